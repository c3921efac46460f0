"""HTTP in: requests at a path become messages, and are answered with what became of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from actors.connections import http_answers
from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import HttpListener
from actors.connections.http_paths import PathPattern
from actors.connections.http_senders import Respond, Sender, Senders
from actors.connections.http_table import NOWHERE
from actors.core.actor import AsyncioActor
from actors.core.errors import BackPressureError, DecodeError, ExpressionError, StorageError
from actors.core.hop import Hop
from actors.core.message import Message, new_id
from actors.core.spec import Context, Options, endpoint
from actors.core.succession import Succession
from actors.kit import cloudevents, codecs
from actors.kit.compression import UnfoldedTooLargeError, UnknownEncodingError, decompress
from actors.kit.credentials import Verify
from actors.kit.expressions import Template
from actors.kit.units import Between, Duration, Size

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

NEVER_CARRIED: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
ID_HEADERS: Final = ("idempotency-key", "webhook-id")
LONGEST_ID: Final = 255

PATH: Final = r"^/[^?#\s]*$"

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]


class WebhookOptions(Options):
    """What a webhook can be told."""

    path: str = Field(json_schema_extra={"pattern": PATH}, examples=["/orders", "/orders/{order_id}"])
    """Where it listens, compared byte for byte. A segment in braces is a parameter: any one segment, whose value,
    percent-decoded, is a header of the message (`headers.order_id`)."""
    methods: tuple[Method, ...] = Field(("POST",), min_length=1)
    """The HTTP methods it takes."""
    verify: Verify | None = None
    """How a sender proves who it is; without it, everybody who reaches the listener may send."""
    respond: Respond | None = None
    """When to answer: `accepted`, as soon as the message is safe; `delivered`, with its outcome; `reply`, with
    what the target answered. Left out, `accepted` where every route is durable, else `delivered`."""
    timeout: Annotated[Duration, Between("10ms", "1h")] = Duration("30s")
    """How long a sender waits for its answer; the message goes on afterwards."""
    max_body: Annotated[Size, Between("1B", "256MiB")] = Size("1MiB")
    """The largest body taken, also after it was decompressed."""
    content_types: tuple[str, ...] | None = None
    """The media types taken; others are refused with 415. Left out, `decode: json` takes JSON, and all others
    take everything."""
    decode: codecs.Decode = "auto"
    """How the body becomes `data`."""
    id: Template | None = None
    """The message's id, which is also its idempotency key. Left out: the header `ce-id`, `Idempotency-Key` or
    `webhook-id`, and a new one where there is none."""
    key: Template | None = None
    """The partition key."""
    message_type: Template | None = None
    """The message's type; left out, the one of a CloudEvent, else `message`."""
    subject: Template | None = None
    """What the message is about."""
    headers: tuple[HeaderName, ...] = ("x-request-id", "x-correlation-id", "tracestate")
    """The request headers that become headers of the message, in lower case. Credentials, cookies and
    signatures are never handed on."""
    accepted_status: int = Field(202, ge=200, le=299)
    """The status of an `accepted` answer; some senders take nothing but 200."""
    delivered_status: int = Field(200, ge=200, le=299)
    """The status of a `delivered` answer."""

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if re.fullmatch(PATH, path) is None:
            raise ValueError("a path begins with a slash, and has no ?, no # and no space")
        PathPattern.parse(path)
        return path

    @model_validator(mode="after")
    def _no_secrets_in_headers(self) -> Self:
        secret = NEVER_CARRIED | (self.verify.headers if self.verify else frozenset())
        for name in self.headers:
            if name.lower() in secret:
                raise ValueError(f"the header {name!r} is a credential and never becomes part of a message")
        return self

    @model_validator(mode="after")
    def _no_header_twice(self) -> Self:
        for name in PathPattern.parse(self.path).names:
            if name in (header.lower() for header in self.headers):
                raise ValueError(f"the header {name!r} would be the path's parameter and the request's header")
        return self

    @property
    def media_types(self) -> frozenset[str] | None:
        """What is taken, in lower case; None: everything."""
        if self.content_types is not None:
            return frozenset(name.lower() for name in self.content_types)
        return frozenset({"application/json", "+json"}) if self.decode == "json" else None


def _claims(options: WebhookOptions) -> frozenset[str]:
    path = PathPattern.parse(options.path).anonymous
    return frozenset(f"path {method} {path}" for method in options.methods)


def _succession(before: WebhookOptions, after: WebhookOptions) -> Succession:
    return "handed_over"


@endpoint(
    "webhook",
    options=WebhookOptions,
    source=True,
    claims=_claims,
    hop=Hop(acknowledges="each"),
    succession=_succession,
)
class Webhook(AsyncioActor):
    """Takes HTTP requests at a path of the shared listener; each is a message.

    The answer is a small JSON document: `{"id": …, "status": "accepted"}` as soon as the message is safe, or
    `{"id": …, "outcome": …}` when it has ended, or the target's own answer. What goes wrong is told as RFC
    9457 problem details: 400 where the body does not decode, 401 without proof, 413, 415, 503 with
    `Retry-After` where there is no room or no disk, 502 where the message became a dead letter, 504 where
    the answer took too long. A CloudEvent, in binary or structured mode, keeps its attributes.
    """

    def __init__(self, options: WebhookOptions, context: Context) -> None:
        super().__init__()
        self.options = options
        self._context = context
        # What each request needs is read here, once: an attribute of a pydantic model costs four times one of ours.
        self._verify = options.verify
        self._decode = options.decode
        self._respond = options.respond
        self._time = context.clock.time
        self._media_types = options.media_types
        self._headers = tuple(name.lower() for name in options.headers)
        self._templated = any((options.id, options.key, options.message_type, options.subject))
        self._draining = False
        self._remove: Callable[[], None] | None = None
        self._successor: Webhook | None = None
        self._senders = Senders(
            context.clock,
            timeout_s=float(options.timeout),
            accepted_status=options.accepted_status,
            delivered_status=options.delivered_status,
        )

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        listener = self._context.resources.get(HttpListener)
        options = self.options
        if not self._context.succeeds:
            # First of all: webhooks start side by side, and once it is open no path of theirs must be unknown.
            self._remove = listener.add(options.methods, options.path, self._request, max_body=options.max_body)
        await listener.open()

    def take_over(self, predecessor: Webhook | None) -> None:
        """Requests come here from now on; those that wait for an answer get it from the predecessor."""
        if not self._context.succeeds:
            return
        listener, options = self._context.resources.get(HttpListener), self.options
        remove = predecessor.leave_to(self) if predecessor is not None else _nothing
        self._remove = listener.replace(remove, options.methods, options.path, self._request, max_body=options.max_body)

    def leave_to(self, successor: Webhook) -> Callable[[], None]:
        """Take no more requests in; returns what ends the path."""
        self._successor = successor
        remove, self._remove = self._remove, None
        return remove or _nothing

    @property
    def owed(self) -> int:
        """Requests that wait for their answer, but for those whose clients have gone."""
        return self._senders.owed

    def on_drain(self) -> None:
        self._draining = True

    def on_stop(self) -> None:
        if self._remove is not None:
            self._remove()
            self._remove = None
        self._senders.dismiss()

    # A request in

    def _request(self, exchange: Exchange) -> None:
        if self._successor is not None:
            self._forward(exchange, self._successor)
            return
        if self._draining:
            http_answers.not_now(exchange, "the router stops")
            return
        verify = self._verify
        headers = exchange.headers
        if verify is not None and not verify.proves(headers, exchange.body, self._time()):
            exchange.refuse(401, "no valid proof of who sends this", [("WWW-Authenticate", verify.challenge)])
            return
        content_type = headers.get("content-type")
        if self._media_types is not None and not _is_one_of(self._media_types, content_type):
            taken = ", ".join(sorted(self._media_types))
            exchange.refuse(415, f"{content_type or 'no content type'} is not taken here; {taken} is")
            return
        try:
            message = self._message(exchange, content_type)
        except UnfoldedTooLargeError as error:
            exchange.refuse(413, str(error))
        except UnknownEncodingError as error:
            exchange.refuse(415, str(error), [("Accept-Encoding", "gzip, deflate")])
        except (DecodeError, ExpressionError) as error:
            exchange.refuse(400, str(error))
        else:
            self._hand_on(exchange, message)

    def _forward(self, exchange: Exchange, successor: Webhook) -> None:
        """The head of a request came here, and its body when the path was another's."""
        options = successor.options
        if options.path == self.options.path and exchange.method in options.methods:
            successor._request(exchange)
        else:
            exchange.refuse(NOWHERE.status, NOWHERE.detail)

    def _message(self, exchange: Exchange, content_type: str | None) -> Message:
        headers, body = exchange.headers, exchange.body
        if (encoding := headers.get("content-encoding")) is not None:
            body = decompress(body, encoding, limit=self.options.max_body)
        event = cloudevents.from_headers(headers)
        if content_type is not None and content_type.lower().startswith(cloudevents.STRUCTURED):
            event, data = cloudevents.from_document(codecs.decode(body, content_type, "json"))
        else:
            data = codecs.decode(body, content_type, self._decode)
        carried: dict[str, str] = {}
        for name in self._headers:
            if (value := headers.get(name)) is not None:
                carried[name] = value
        attributes: dict[str, Any] = {}
        if content_type is not None:
            attributes["datacontenttype"] = content_type
        if (traceparent := headers.get("traceparent")) is not None:
            attributes["traceparent"] = traceparent
        type_ = "message"
        if event is not None:
            id_, type_ = _checked_id(event.id), event.type
            attributes |= event.attributes
            carried |= event.headers
        else:
            id_ = _given_id(exchange)
        carried |= exchange.parameters
        message = Message(id_, self._context.name, data, carried, type_, self._time(), attributes)
        return self._completed(message) if self._templated else message

    def _completed(self, message: Message) -> Message:
        """The message with what the templates make of it."""
        options, now_s = self.options, message.time
        id_, type_ = message.id, message.type
        if options.id is not None:
            id_ = _checked_id(options.id.render_text(message, now_s)) or new_id()
        if options.message_type is not None:
            type_ = options.message_type.render_text(message, now_s)
        attributes = dict(message.attributes)
        if options.key is not None:
            attributes["partitionkey"] = options.key.render_text(message, now_s)
        if options.subject is not None:
            attributes["subject"] = options.subject.render_text(message, now_s)
        return message._replace(id=id_, type=type_, attributes=attributes)

    def _hand_on(self, exchange: Exchange, message: Message) -> None:
        outlet = self._context.outlet
        respond = self._respond or ("accepted" if outlet.safe else "delivered")
        sender = Sender(self._senders, exchange, message.id, respond)
        try:
            outlet.offer(message, sender)
        except (BackPressureError, StorageError) as error:
            http_answers.not_taken(exchange, error)
            return
        if exchange.open:
            self._senders.add(sender)


def _nothing() -> None:
    """There is no path to end."""


def _is_one_of(media_types: frozenset[str], content_type: str | None) -> bool:
    media = (content_type or "").partition(";")[0].strip().lower()
    return media in media_types or f"+{media.rpartition('+')[2]}" in media_types


def _given_id(exchange: Exchange) -> str:
    for name in ID_HEADERS:
        if (value := exchange.headers.get(name)) is not None:
            # The draft of Idempotency-Key has it in quotes (a structured field); most senders do not.
            return _checked_id(value.strip().strip('"')) or new_id()
    return new_id()


def _checked_id(given: str) -> str:
    if len(given) > LONGEST_ID or not given.isprintable():
        raise DecodeError(f"an id has at most {LONGEST_ID} printable characters")
    return given
