"""One client as an actor: what is in its mailbox goes to its connection, and what it sends enters the routes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from actors.connections.websocket_connection import Host, Manners, WebSocketConnection
from actors.connections.websocket_frames import GOING_AWAY, INTERNAL_ERROR, TRY_AGAIN_LATER, encoded
from actors.connections.websocket_postbox import Parcel, Postbox
from actors.core.actor import AsyncioActor
from actors.core.deferred import Deferred
from actors.core.envelope import Envelope
from actors.core.errors import BackPressureError, DecodeError, DeliveryError, ExpressionError, Reason, RouterError
from actors.core.message import Message, Receipt
from actors.core.outlet import Outlet


class Hub(Protocol):
    """What a client needs of the endpoint it belongs to."""

    outlet: Outlet
    ignored: int
    """Messages of clients that no route wanted."""

    def message(self, peer: Peer, payload: bytes, *, is_text: bool) -> Message:
        """What a client has sent; raises `DecodeError` and `ExpressionError`."""
        ...

    def undecoded(self, peer: Peer, payload: bytes, *, is_text: bool) -> Message:
        """The same where that failed, as it came."""
        ...

    def left(self, peer: Peer) -> None:
        """It takes no more messages."""
        ...


class Peer(AsyncioActor):
    """A client of a WebSocket endpoint, which is its parent.

    It takes a message from its mailbox only while its connection has room, so that whatever a slow client has
    to wait for is there, under the mailbox's bounds and policy.
    """

    defers = True

    def __init__(
        self,
        client: str,
        hub: Hub,
        host: Host,
        postbox: Postbox,
        manners: Manners,
        *,
        headers: Mapping[str, str],
        rooms: tuple[str, ...],
        remote: str,
    ) -> None:
        super().__init__()
        self.client = client
        """Its id, which no client of any other run has."""
        self.headers = headers
        """Of the messages that it sends."""
        self.attributes: Mapping[str, Any] = {"partitionkey": client} | ({"subject": rooms[0]} if rooms else {})
        """Of the same."""
        self.rooms = rooms
        self.remote = remote
        self.postbox = postbox
        self.connection = WebSocketConnection(host, self, manners)
        self._hub = hub
        self._held: deque[Message] = deque()
        """What it has sent and no route has room for."""
        self._writing: tuple[bytes, Deferred] | None = None
        """What is in hand until the connection has room."""
        self._gone = False
        self._draining = False

    def about(self) -> Mapping[str, str]:
        """What an operator may want to know of it."""
        return {"remote": self.remote, "rooms": ", ".join(self.rooms)}

    def move(self, hub: Hub) -> None:
        """Belong to another endpoint from now on, which has taken the place of the one before."""
        self._hub = hub

    def drain(self) -> None:
        """Take nothing more from the client; what it has sent already is handed on."""
        self._draining = True
        self.connection.hold()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; the actor ends with its connection. What waits is not sent any more."""
        self._hub.left(self)
        self.connection.close(code, reason)

    def see_off(self, code: int) -> None:
        """Close when all that waits has been sent; the client has two seconds to read it."""
        self.writable()
        while self.postbox.messages and not self.connection.closing:
            self.connection.send(self._frame(self.postbox.take()))
            self.postbox.handled += 1
        self.close(code)

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(INTERNAL_ERROR)

    def on_stop(self) -> None:
        self._gone = True
        self.see_off(GOING_AWAY)
        self._give_up_writing()
        while self._held:
            text = f"client {self.client} left before a route had room for what it sent"
            self._hub.outlet.reject(self._held.popleft(), None, reason="full", error=text)

    # To the client

    def on_receive(self, message: Any) -> Deferred | None:
        # With one in hand at a time, that is the one.
        frame = self._frame(next(iter(self.actor_inbox.in_hand)))
        if self.connection.closing:
            raise self._is_gone()
        if not self.connection.stuffed:
            self.connection.send(frame)
            return None
        self._writing = frame, Deferred()
        return self._writing[1]

    def _frame(self, envelope: Envelope) -> bytes:
        """Of one that has been taken from the mailbox. A parcel has its frame, which was made once for all clients."""
        self.postbox.taken(envelope)
        return envelope.frame if isinstance(envelope, Parcel) else encoded(envelope.message.data)

    def _is_gone(self) -> DeliveryError:
        return DeliveryError(f"client {self.client} is gone", reason="connect", retryable=False)

    def writable(self) -> None:
        if self._writing is not None:
            (frame, done), self._writing = self._writing, None
            self.connection.send(frame)
            done.answer()

    def lost(self) -> None:
        self._give_up_writing()
        self._hub.left(self)
        if not self._gone:
            self.stop()

    def _give_up_writing(self) -> None:
        if self._writing is not None:
            (_, done), self._writing = self._writing, None
            done.fail(self._is_gone())

    # From the client

    def received(self, payload: bytes, *, is_text: bool) -> None:
        hub = self._hub
        if not hub.outlet.routed:
            hub.ignored += 1
            return
        try:
            message = hub.message(self, payload, is_text=is_text)
        except (DecodeError, ExpressionError) as error:
            reason: Reason = "undecodable" if isinstance(error, DecodeError) else "expression"
            hub.outlet.reject(hub.undecoded(self, payload, is_text=is_text), None, reason=reason, error=str(error))
            return
        if self._held:
            self._held.append(message)
            return
        try:
            hub.outlet.offer(message, _Sent(self))
        except BackPressureError:
            self._held.append(message)
            self.connection.hold()
            self.spawn(self._hand_on())
        except RouterError as error:
            self.not_kept(error)

    async def _hand_on(self) -> None:
        """Wait for room, as long as it takes; the client is not read meanwhile."""
        while self._held:
            try:
                await self._hub.outlet.put(self._held[0], _Sent(self))
            except RouterError as error:
                self.not_kept(error)
            self._held.popleft()
        if not self._draining:
            self.connection.go_on()

    def not_kept(self, error: RouterError) -> None:
        """A message of the client's was lost; it hears of that in the one way there is."""
        self.close(TRY_AGAIN_LATER, f"a message could not be kept: {error}")


class _Sent(Receipt):
    """A message of a client's, which waits for no answer and hears only of failure."""

    __slots__ = ("_peer",)

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer

    @property
    def until_accepted(self) -> bool:
        return True

    def on_refused(self, error: RouterError) -> None:
        self._peer.not_kept(error)
