"""HTTP in: requests at a path become messages, and are answered with what became of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from actors.connections import http_answers
from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import HttpListener
from actors.core.actor import AsyncioActor
from actors.core.clock import Timer
from actors.core.errors import (
    BackPressureError,
    DecodeError,
    ExpressionError,
    RouterError,
    StorageError,
)
from actors.core.message import Message, Receipt, Settlement, new_id
from actors.core.spec import Context, Options, endpoint
from actors.kit import cloudevents, codecs
from actors.kit.compression import UnfoldedTooLargeError, UnknownEncodingError, decompress
from actors.kit.credentials import Verify
from actors.kit.expressions import Template
from actors.kit.units import Between, Duration, Size

Respond = Literal["accepted", "delivered", "reply"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

NEVER_CARRIED: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
ID_HEADERS: Final = ("idempotency-key", "webhook-id")
LONGEST_ID: Final = 255
MAY_STILL: Final = "no answer in time; the message was taken in and may still be delivered"

PATH: Final = r"^/[^?#\s]*$"

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]


class WebhookOptions(Options):
    """What a webhook can be told."""

    path: str = Field(json_schema_extra={"pattern": PATH}, examples=["/orders"])
    """Where it listens, compared exactly as it was sent."""
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
        return path

    @model_validator(mode="after")
    def _no_secrets_in_headers(self) -> Self:
        secret = NEVER_CARRIED | (self.verify.headers if self.verify else frozenset())
        for name in self.headers:
            if name.lower() in secret:
                raise ValueError(f"the header {name!r} is a credential and never becomes part of a message")
        return self

    @property
    def media_types(self) -> frozenset[str] | None:
        """What is taken, in lower case; None: everything."""
        if self.content_types is not None:
            return frozenset(name.lower() for name in self.content_types)
        return frozenset({"application/json", "+json"}) if self.decode == "json" else None


def _claims(options: WebhookOptions) -> frozenset[str]:
    return frozenset(f"path {method} {options.path}" for method in options.methods)


@endpoint("webhook", options=WebhookOptions, source=True, claims=_claims)
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
        self._media_types = options.media_types
        self._headers = tuple(name.lower() for name in options.headers)
        self._templated = any((options.id, options.key, options.message_type, options.subject))
        self._draining = False
        self._removals: list[Callable[[], None]] = []
        # In the order of their deadlines, since all wait equally long: one timer is enough.
        self._waiting: dict[_Waiting, float] = {}
        self._timer: Timer | None = None

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        listener = self._context.resources.get(HttpListener)
        options = self.options
        # First of all: webhooks start side by side, and once it is open no path of theirs must be unknown.
        self._removals.append(listener.add(options.methods, options.path, self._request, max_body=options.max_body))
        await listener.open()

    def on_drain(self) -> None:
        self._draining = True

    def on_stop(self) -> None:
        while self._removals:
            self._removals.pop()()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for receipt in waiting:
            http_answers.not_now(receipt.exchange, "the router stops; the message may still be delivered")

    # A request in

    def _request(self, exchange: Exchange) -> None:
        if self._draining:
            http_answers.not_now(exchange, "the router stops")
            return
        verify = self.options.verify
        headers = exchange.headers
        if verify is not None and not verify.proves(headers, exchange.body, self._context.clock.time()):
            exchange.refuse(401, "no valid proof of who sends this", [("WWW-Authenticate", verify.challenge)])
            return
        content_type = headers.get("content-type")
        if self._media_types is not None and not _is_one_of(self._media_types, content_type):
            exchange.refuse(415, f"{content_type or 'no content type'} is not taken here")
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

    def _message(self, exchange: Exchange, content_type: str | None) -> Message:
        options, headers = self.options, exchange.headers
        body = exchange.body
        if (encoding := headers.get("content-encoding")) is not None:
            body = decompress(body, encoding, limit=options.max_body)
        event = cloudevents.from_headers(headers)
        if content_type is not None and content_type.lower().startswith(cloudevents.STRUCTURED):
            event, data = cloudevents.from_document(codecs.decode(body, content_type, "json"))
        else:
            data = codecs.decode(body, content_type, options.decode)
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
        message = Message(id_, self._context.name, data, carried, type_, self._context.clock.time(), attributes)
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
        respond = self.options.respond or ("accepted" if outlet.safe else "delivered")
        receipt = _Waiting(self, exchange, message.id, respond)
        try:
            outlet.offer(message, receipt)
        except (BackPressureError, StorageError) as error:
            http_answers.not_taken(exchange, error)
            return
        if exchange.open:
            self._wait(receipt)

    # Whoever waits for an answer

    def _wait(self, receipt: _Waiting) -> None:
        deadline = self._context.clock.now() + self.options.timeout
        self._waiting[receipt] = deadline
        if self._timer is None:
            self._timer = self._context.clock.call_at(deadline, self._give_up)

    def answered(self, receipt: _Waiting) -> None:
        """It does not wait any more."""
        self._waiting.pop(receipt, None)

    def _give_up(self) -> None:
        """Answer those that have waited too long, and look again when the next one has."""
        clock = self._context.clock
        self._timer = None
        while self._waiting:
            receipt, deadline = next(iter(self._waiting.items()))
            if deadline > clock.now():
                self._timer = clock.call_at(deadline, self._give_up)
                return
            del self._waiting[receipt]
            receipt.given_up = True
            receipt.exchange.refuse(504, MAY_STILL, id=receipt.message_id)


class _Waiting(Receipt):
    """A message whose sender waits."""

    __slots__ = ("_respond", "_webhook", "exchange", "given_up", "message_id")

    def __init__(self, webhook: Webhook, exchange: Exchange, message_id: str, respond: Respond) -> None:
        super().__init__()
        self.exchange = exchange
        self.message_id = message_id
        self.given_up = False
        self._webhook = webhook
        self._respond = respond

    @property
    def late(self) -> bool:
        return self.given_up and self._respond == "reply"

    @property
    def until_accepted(self) -> bool:
        return self._respond == "accepted"

    def on_accepted(self) -> None:
        if self._respond == "accepted":
            self._webhook.answered(self)
            http_answers.accepted(self.exchange, self.message_id, status=self._webhook.options.accepted_status)

    def on_refused(self, error: RouterError) -> None:
        self._webhook.answered(self)
        http_answers.not_taken(self.exchange, error)

    def on_settled(self, settlement: Settlement) -> None:
        if self._respond == "accepted":
            return
        self._webhook.answered(self)
        if self._respond == "reply" and settlement.outcome == "delivered" and settlement.reply is not None:
            http_answers.replied(self.exchange, settlement.reply)
        else:
            status = self._webhook.options.delivered_status
            http_answers.settled(self.exchange, self.message_id, settlement, status=status)


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
