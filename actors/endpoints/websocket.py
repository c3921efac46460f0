"""WebSocket clients: each an actor of its own, in rooms; what they send enters routes, and messages go out to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from actors.connections import http_answers
from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import FILES_LEFT_TO_OTHERS, HttpListener, most_connections
from actors.connections.http_paths import PathPattern
from actors.connections.http_table import Refusal
from actors.connections.websocket_admission import Admitted, Auth, Origin, admitted
from actors.connections.websocket_clients import AT_A_TIME, Clients
from actors.connections.websocket_frames import GOING_AWAY, RESTART, encoded
from actors.connections.websocket_postbox import ClientMailboxOptions, Parcel, Postbox
from actors.connections.websocket_rooms import rooms_of
from actors.core.actor import AsyncioActor
from actors.core.errors import DecodeError, DeliveryError, ExpressionError
from actors.core.examination import ExamineContext, Finding
from actors.core.message import Message, Reply, new_id
from actors.core.spec import Context, Options, endpoint
from actors.core.succession import Succession
from actors.kit import codecs
from actors.kit.expressions import Template, TemplateTree
from actors.kit.units import Between, Duration, Size

if TYPE_CHECKING:
    from actors.connections.websocket_peer import Peer

LONGEST_ID: Final = 255
OUR_HEADERS: Final = frozenset({"client", "room", "user"})


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class PingOptions(Options):
    """How it is noticed that a client is not there any more."""

    every: Annotated[Duration, Between("1s", "1h")] = Duration("20s")
    """A client that was quiet for so long is sent a ping, 1s to 1h."""
    timeout: Annotated[Duration, Between("1s", "1h")] = Duration("20s")
    """A client that neither answers nor reads for so long after it is cut off, 1s to 1h."""


class WebsocketOptions(Options):
    """What a `websocket` can be told."""

    path: str = Field(json_schema_extra={"pattern": r"^/[^?#\s]*$"}, examples=["/ws/folder/{folder_id}"])
    """Where clients connect. A segment in braces is a parameter: any one segment, whose value is a field of the
    connection's `data`, and a header of what the client sends."""
    auth: Auth | None = None
    """How a client proves who it is, before the upgrade; without it, everybody who reaches the listener may connect."""
    origins: tuple[Origin, ...] = ()
    """Pages of other sites that may connect, such as `https://app.example`; `*` for all. Those of the listener's own
    host may, and what is no browser."""
    rooms: Annotated[tuple[Template, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])] = ()
    """The rooms that a client is in: one, or several. `data` has the parameters of path and query, and `headers` has
    `client` and `user`. A template that is a list names several, and an empty name is no room."""
    subprotocols: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")], ...] = ()
    """Names of what is spoken here, the best first; a client that offers one of them is told which was chosen."""
    max_clients: int = Field(10_000, ge=1, le=1_000_000)
    """Clients at a time, 1 to 1,000,000; one more is answered 503."""
    max_message: Annotated[Size, Between("1B", "64MiB")] = Size("64KiB")
    """The largest message that a client may send; a larger one closes it with 1009."""
    decode: codecs.Decode = "auto"
    """How what a client sends becomes `data`; `auto` takes a text for JSON where it parses as JSON, and leaves bytes
    as they are."""
    id: Template | None = None
    """The id of a message that a client sends, which is also its idempotency key; left out, a new one."""
    key: Template | None = None
    """Its partition key; left out, the client."""
    message_type: Template | None = None
    """Its type; left out, `message`."""
    to_room: Template | None = None
    """As a target: the room whose clients get a message."""
    to_client: Template | None = None
    """As a target: the one client that gets it, by the header `client` of what that has sent. Where it is not
    connected any more the delivery is refused. Without `to_room` and `to_client` all clients get it."""
    require_client: bool = False
    """As a target: true refuses a delivery that reaches nobody."""
    body: TemplateTree | None = None
    """As a target: what is sent; left out, `data`. Bytes are sent as a binary message, text as text, all else as
    JSON."""
    conflate: Template | None = None
    """As a target: of messages that wait for a client, with the same key by this template, only the newest is kept. An
    empty key is conflated with none."""
    client_mailbox: ClientMailboxOptions = ClientMailboxOptions()
    """Where messages wait for a client."""
    ping: PingOptions = PingOptions()
    """When a client counts as dead."""

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not path.startswith("/") or any(mark in path for mark in "?#") or any(mark.isspace() for mark in path):
            raise ValueError("a path begins with a slash, and has no ?, no # and no space")
        for name in PathPattern.parse(path).names:
            if name in OUR_HEADERS:
                raise ValueError(f"a parameter cannot be called {name!r}: that is a header of every message")
        return path

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.to_room is not None and self.to_client is not None:
            raise ValueError("give one of to_room and to_client")
        return self


def _claims(options: WebsocketOptions) -> frozenset[str]:
    return frozenset({f"path GET {PathPattern.parse(options.path).anonymous}"})


def _succession(before: WebsocketOptions, after: WebsocketOptions) -> Succession:
    return "handed_over"


async def _examine(options: WebsocketOptions, context: ExamineContext) -> Sequence[Finding]:
    most = most_connections(options.max_clients)
    if most >= options.max_clients:
        return [Finding("ok", f"up to {options.max_clients:,} clients at a time")]
    text = f"up to {most:,} clients at a time, by the number of files that may be open"
    if "max_clients" not in options.model_fields_set:
        return [Finding("ok", text)]
    wanted = options.max_clients + FILES_LEFT_TO_OTHERS
    advice = f"let the system allow more, such as LimitNOFILE={wanted} in its systemd unit"
    return [Finding("warning", f"{text}, and `max_clients` is {options.max_clients:,}", advice)]


@endpoint(
    "websocket",
    options=WebsocketOptions,
    source=True,
    target=True,
    replies=True,
    claims=_claims,
    relays=False,
    succession=_succession,
    examine=_examine,
)
class Websocket(AsyncioActor):
    """WebSocket clients at a path of the shared listener; each is an actor of its own below this one.

    As a source, each message of a client is one, with the headers `client` (its id), `room` (its first), `user` (of
    `basic`) and the parameters of the path; without a route from here what clients send is thrown away. A client is
    not read while a route has no room, and closed with 1013 where its message could not be kept.

    As a target, a message counts as delivered when it is in the mailboxes of the clients that are connected and meant:
    who connects later does not get it, and who is too slow is treated as `client_mailbox` says, and counted. A slow
    client holds up nobody else. The reply is the number of clients.

    Refused before the upgrade: 401 without proof, 403 from a foreign page, 503 with `max_clients` connected. A client
    is closed with 1001 when the router stops, and with 1012 when this actor crashed; its id is never used again.
    Where its options change in a running router, clients stay connected, in the rooms and with the mailbox that they
    came with; they are closed with 1012 where `path`, `auth` or `origins` is another, so that they ask anew.
    """

    def __init__(self, options: WebsocketOptions, context: Context) -> None:
        super().__init__()
        self.options = options
        self.outlet = context.outlet
        self.ignored = 0
        """Messages of clients that no route wanted."""
        self._context = context
        self._clients = Clients(context.name, context.events)
        # No client of another run may have the same id, since messages may wait that long for theirs.
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)
        self._draining = False
        self._closing_code = GOING_AWAY
        self._remove: Callable[[], None] | None = None

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        # Not before: the library takes a tenth of a second to import.
        from actors.connections.websocket_connection import Manners
        from actors.connections.websocket_peer import Peer

        options = self.options
        self._peer = Peer
        self._manners = Manners(int(options.max_message), float(options.ping.every), float(options.ping.timeout))
        self._listener = self._context.resources.get(HttpListener)
        await self._listener.open()
        if not self._context.succeeds:
            self._remove = self._listener.add(["GET"], options.path, self._connect, max_body=0)

    def take_over(self, predecessor: Websocket | None) -> None:
        """Clients come here from now on, and those who may stay are this one's."""
        if not self._context.succeeds:
            return
        remove = predecessor.leave() if predecessor is not None else _nothing
        self._remove = self._listener.replace(remove, ["GET"], self.options.path, self._connect, max_body=0)
        if predecessor is not None:
            self._welcome(predecessor)

    def leave(self) -> Callable[[], None]:
        """Let nobody in any more; returns what ends the path."""
        self._draining = True
        remove, self._remove = self._remove, None
        return remove or _nothing

    def _welcome(self, predecessor: Websocket) -> None:
        options, before = self.options, predecessor.options
        if (options.path, options.auth, options.origins) != (before.path, before.auth, before.origins):
            for peer in tuple(predecessor._clients):
                peer.see_off(RESTART)
            return
        # Whoever is being told something just now goes on with the same clients.
        self._clients = predecessor._clients
        predecessor._clients = Clients(self._context.name, self._context.events)
        self.ignored = predecessor.ignored
        size = int(options.client_mailbox.size)
        for peer in self._clients:
            peer.move(self)
            # Or what is allowed from now on might not fit into it.
            peer.postbox.max_bytes = max(peer.postbox.max_bytes, size)

    def on_drain(self) -> None:
        self._draining = True
        for peer in self._clients:
            peer.drain()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing_code = RESTART

    def on_stop(self) -> None:
        if self._remove is not None:
            self._remove()
            self._remove = None
        for peer in tuple(self._clients):
            peer.see_off(self._closing_code)

    def about(self) -> Mapping[str, int]:
        """What an operator may want to know of it; counts are since it started."""
        return {
            "clients": len(self._clients),
            "rooms": self._clients.rooms,
            "conflated": self._clients.conflated,
            "too_slow": self._clients.too_slow,
            "ignored": self.ignored,
        }

    # Clients come and go

    def _connect(self, exchange: Exchange) -> None:
        if self._draining:
            http_answers.not_now(exchange, "the router stops")
            return
        options = self.options
        opened = admitted(exchange, auth=options.auth, origins=options.origins, subprotocols=options.subprotocols)
        if isinstance(opened, Refusal):
            exchange.refuse(opened.status, opened.detail, opened.headers)
            return
        if len(self._clients) >= options.max_clients:
            http_answers.not_now(exchange, "too many clients", retry_after_s=5.0)
            return
        try:
            peer = self._made(exchange, opened)
        except ExpressionError as error:
            exchange.refuse(400, f"no room can be told: {error}")
            return
        if exchange.switch(peer.connection, opened.answer):
            self._clients.add(peer)
            self._context.children.start(peer.client, lambda: peer, peer.postbox)

    def _made(self, exchange: Exchange, opened: Admitted) -> Peer:
        options, context = self.options, self._context
        client = f"{self._prefix}-{next(self._numbers)}"
        headers = {**exchange.parameters, "client": client}
        if opened.user:
            headers["user"] = opened.user
        now_s = context.clock.time()
        opening = Message(client, context.name, {**opened.query, **exchange.parameters}, headers, "opening", now_s)
        rooms = rooms_of(opening, options.rooms, now_s)
        mailbox = options.client_mailbox
        postbox = Postbox(
            f"{context.name}/{client}",
            now=context.clock.now,
            capacity=mailbox.capacity,
            max_bytes=int(mailbox.size),
            slow=mailbox.overflow,
        )
        return self._peer(
            client,
            self,
            self._listener,
            postbox,
            self._manners,
            headers={**headers, "room": rooms[0]} if rooms else headers,
            rooms=rooms,
            remote=exchange.remote,
        )

    def left(self, peer: Peer) -> None:
        """It gets no more messages; a second time does nothing."""
        self._clients.remove(peer)

    # From clients

    def message(self, peer: Peer, payload: bytes, *, is_text: bool) -> Message:
        """What a client has sent; raises `DecodeError` and `ExpressionError`."""
        options = self.options
        as_is = options.decode == "auto" and not is_text
        message = self._message(peer, payload if as_is else codecs.decode(payload, None, options.decode))
        now_s = message.time
        if options.id is not None:
            given = options.id.render_text(message, now_s)
            if len(given) > LONGEST_ID or not given.isprintable():
                raise DecodeError(f"an id has at most {LONGEST_ID} printable characters")
            message = message._replace(id=given or message.id)
        if options.message_type is not None:
            message = message._replace(type=options.message_type.render_text(message, now_s))
        if options.key is not None:
            message = message.with_attributes(partitionkey=options.key.render_text(message, now_s))
        return message

    def undecoded(self, peer: Peer, payload: bytes, *, is_text: bool) -> Message:
        """What a client has sent, where that is all that can be made of it."""
        return self._message(peer, payload.decode() if is_text else payload)

    def _message(self, peer: Peer, data: Any) -> Message:
        context = self._context
        return Message(new_id(), context.name, data, peer.headers, "message", context.clock.time(), peer.attributes)

    # To clients

    def on_receive(self, message: Message) -> Reply | Coroutine[Any, Any, Reply]:
        now_s = self._context.clock.time()
        peers = self._meant(message, now_s)
        parcel = self._parcel(message, now_s)
        if len(peers) > AT_A_TIME:
            return self._post_in_turns(parcel, tuple(peers))
        return self._reply(self._clients.post(parcel, peers))

    def _meant(self, message: Message, now_s: float) -> Collection[Peer]:
        options = self.options
        if options.to_client is not None:
            client = options.to_client.render_text(message, now_s)
            if (peer := self._clients.get(client)) is None:
                raise DeliveryError(f"client {client!r} is not connected", reason="refused", retryable=False)
            return (peer,)
        if options.to_room is not None:
            return self._clients.in_room(options.to_room.render_text(message, now_s))
        return self._clients.all()

    def _parcel(self, message: Message, now_s: float) -> Parcel:
        options = self.options
        frame = encoded(message.data if options.body is None else options.body.render(message, now_s))
        if len(frame) > options.client_mailbox.size:
            text = f"a message of {len(frame)} bytes is larger than a client's mailbox of {options.client_mailbox.size}"
            raise DeliveryError(text, reason="invalid", retryable=False)
        key = "" if options.conflate is None else options.conflate.render_text(message, now_s)
        return Parcel(message, self._context.clock.now(), frame, key)

    async def _post_in_turns(self, parcel: Parcel, peers: Sequence[Peer]) -> Reply:
        return self._reply(await self._clients.post_in_turns(parcel, peers))

    def _reply(self, reached: int) -> Reply:
        if not reached and self.options.require_client:
            raise DeliveryError("no client is there to get it", reason="refused", retryable=False)
        return Reply({"clients": reached})


def _nothing() -> None:
    """There is no path to end."""
