"""HTTP out: each message is a request, and what is answered is the reply."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actors.connections.http_client import Answer, ClientTls, HttpClient, UnreachableError, tls_context
from actors.connections.http_outcomes import failure
from actors.connections.reach import reach
from actors.connections.tcp_probe import until_connectable
from actors.core.actor import AsyncioActor
from actors.core.errors import DecodeError, DeliveryError, RouterError
from actors.core.events import Notice
from actors.core.examination import ExamineContext, Finding
from actors.core.message import Message, Reply
from actors.core.spec import Context, Options, endpoint
from actors.kit import cloudevents, codecs
from actors.kit.expressions import Template, TemplateTree
from actors.kit.secrets import Secret
from actors.kit.units import Between, Duration, Size
from actors.kit.url_template import UrlTemplate

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

WITHOUT_BODY: Final = frozenset({"GET", "DELETE"})
"""Methods that send one only where `body` is given."""

NOT_FOR_USERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "idempotency-key"}
)
"""What HTTP itself, or our promise, needs as it is."""

KEPT_HEADERS: Final = (
    "location",
    "etag",
    "last-modified",
    "content-language",
    "x-request-id",
    "x-correlation-id",
)
"""Of an answer: what goes with the reply. Credentials, cookies and the connection's own headers do not."""

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BasicAuth(_Part):
    """A user and a password."""

    user: str = Field(min_length=1, pattern="^[^:]*$")
    """The user's name."""
    password: Secret
    """The user's password."""


class Auth(_Part):
    """What the `Authorization` header says; one of these."""

    bearer: Secret | None = None
    """A token."""
    basic: BasicAuth | None = None
    """A user and a password."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("give one of bearer and basic")
        return self

    def header(self) -> str:
        if self.basic is not None:
            pair = f"{self.basic.user}:{self.basic.password.reveal()}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        assert self.bearer is not None, "validated"
        return f"Bearer {self.bearer.reveal()}"


class TlsOptions(_Part):
    """How the server is known, and how the router is; files in PEM format."""

    verify: bool = True
    """Whether the server's certificate must be valid; `false` lets anybody in between read along."""
    ca: str | None = None
    """A file of the authorities to trust in place of the system's."""
    cert: str | None = None
    """A file with the router's own certificate, where the server asks for one."""
    key: str | None = None
    """A file with that certificate's key."""


class HttpOptions(Options):
    """What an `http` target can be told."""

    url: UrlTemplate
    """Where to. What a message puts into the path or the query is percent-encoded; scheme and host may be
    templated only with `allow_hosts`."""
    allow_hosts: tuple[str, ...] = ()
    """The hosts that a templated URL may lead to: `host`, or `host:port` for another port than the usual."""
    method: Method = "POST"
    """The HTTP method."""
    headers: dict[HeaderName, Template] = Field(default_factory=dict)
    """Headers to send."""
    body: TemplateTree | None = None
    """What to send; left out, the message's data, and nothing with GET and DELETE."""
    auth: Auth | None = None
    """Credentials."""
    timeout: Annotated[Duration, Between("10ms", "1h")] = Duration("10s")
    """From the start of a request to the last byte of its answer; four fifths of it are for connecting."""
    pool: int = Field(32, ge=1, le=1000)
    """Connections, and requests under way, at once."""
    max_response: Annotated[Size, Between("0B", "256MiB")] = Size("1MiB")
    """The largest answer that becomes a reply; of a larger one only the status counts."""
    tls: TlsOptions | None = None
    """What to trust, for `https`."""
    cloudevents: bool = False
    """Whether the message's attributes travel as `ce-…` headers (CloudEvents 1.0, binary mode)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.url.origin is None and not self.allow_hosts:
            raise ValueError("a URL whose scheme or host is templated needs allow_hosts")
        for name in self.headers:
            if name.lower() in NOT_FOR_USERS:
                raise ValueError(f"the header {name!r} is set by the router itself")
        return self


async def _examine(options: HttpOptions, context: ExamineContext) -> Sequence[Finding]:
    """No request is sent: any might have an effect."""
    address, origin = options.url.address, options.url.origin
    if address is None or origin is None:
        hosts = ", ".join(options.allow_hosts)
        return [Finding("ok", f"each message says to which host ({hosts}): none was tried")]
    tls = None
    if origin.lower().startswith("https:"):
        given = ClientTls() if options.tls is None else ClientTls(**options.tls.model_dump())
        try:
            tls = await asyncio.to_thread(tls_context, given)
        except RouterError as error:
            return [Finding("problem", str(error), "correct `tls`")]
    found = await reach(*address, tls=tls, time=context.clock.time)
    return [found if found.level == "problem" else found._replace(text=f"{found.text}; no request was sent")]


@endpoint("http", options=HttpOptions, target=True, replies=True, examine=_examine)
class Http(AsyncioActor):
    """Sends each message as an HTTP request; 2xx is delivered, and the answer is the reply.

    `Idempotency-Key` is the message's id, on every attempt. 408, 423, 425, 429 and 503 are overload, and wait
    as `Retry-After` says; 409 and the other 5xx are tried again; all other 4xx, 501, 505 and redirects, which
    are not followed, go to the fallback at once. No answer in time to what was sent, or half of one, is
    `unknown`. Where the host of a constant URL does not accept connections, deliveries are refused at once
    until it does again.
    """

    def __init__(self, options: HttpOptions, context: Context) -> None:
        super().__init__()
        self.concurrency = options.pool
        self._options = options
        self._context = context
        self._address = options.url.address
        self._hosts = frozenset(host.lower() for host in options.allow_hosts)
        self._authorization = None if options.auth is None else options.auth.header()
        self._probing = False
        self._client = HttpClient(
            timeout_s=options.timeout,
            connections=options.pool,
            max_response=options.max_response,
            tls=None if options.tls is None else ClientTls(**options.tls.model_dump()),
        )

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        await self._client.open()

    async def on_stop(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        await self._client.close()

    async def on_receive(self, message: Message) -> Reply:
        options, now_s = self._options, self._context.clock.time()
        url = options.url.render(message, now_s, allow_hosts=self._hosts)
        headers, body = self._content(message, now_s)
        try:
            answer = await self._client.send(options.method, url, headers, body)
        except UnreachableError as error:
            self._away(str(error))
            raise
        where = f"{options.method} {url.partition('?')[0]}"
        refusal = failure(answer.status, answer.headers, answer.body, where=where, now_s=now_s)
        if refusal is not None:
            raise refusal
        return self._reply(answer)

    def _content(self, message: Message, now_s: float) -> tuple[dict[str, str], bytes | None]:
        options = self._options
        headers: dict[str, str] = {"idempotency-key": message.id}
        if options.cloudevents:
            headers |= cloudevents.to_headers(message)
        if message.traceparent is not None:
            headers["traceparent"] = message.traceparent
        if self._authorization is not None:
            headers["authorization"] = self._authorization
        body: bytes | None = None
        if options.body is not None:
            body, headers["content-type"] = codecs.encode(options.body.render(message, now_s))
        elif options.method not in WITHOUT_BODY:
            body, headers["content-type"] = _payload(message)
        for name, template in options.headers.items():
            headers[name.lower()] = template.render_text(message, now_s)
        for name, value in headers.items():
            if "\r" in value or "\n" in value or "\0" in value:
                raise DeliveryError(f"the header {name} would hold a line break", reason="invalid", retryable=False)
        return headers, body

    def _reply(self, answer: Answer) -> Reply:
        content_type = answer.headers.get("Content-Type")
        headers = {name: value for name in KEPT_HEADERS if (value := answer.headers.get(name)) is not None}
        if answer.body is None:
            size = self._options.max_response
            self._context.events.emit(
                Notice(f"{self._context.name}: an answer of more than {size} was not kept", "warning")
            )
        return Reply(_decoded(answer.body, content_type), headers, answer.status, content_type)

    # The remote end comes and goes

    def _away(self, why: str) -> None:
        if self._address is not None and not self._probing:
            self._probing = True
            self._context.standing.unavailable(why)
            self.spawn(self._until_back(self._address))

    async def _until_back(self, address: tuple[str, int]) -> None:
        await until_connectable(*address, clock=self._context.clock)
        self._probing = False
        self._context.standing.available()


def _payload(message: Message) -> tuple[bytes, str]:
    """The data in bytes; bytes, and text that came as text, keep their media type."""
    body, content_type = codecs.encode(message.data)
    given = (message.datacontenttype or "").partition(";")[0].strip()
    if given and isinstance(message.data, bytes):
        content_type = given
    elif isinstance(message.data, str) and (given.startswith("text/") or given.endswith("xml")):
        content_type = f"{given}; charset=utf-8"
    return body, content_type


def _decoded(body: bytes | None, content_type: str | None) -> Any:
    """What an answer says, or its bytes where that is not what it claims to be."""
    if not body:
        return None
    try:
        return codecs.decode(body, content_type)
    except DecodeError:
        return body
