"""One client's connection after the upgrade: frames in, frames out, pings, and the closing handshake."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol, cast

from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, SEND_EOF, SERVER
from websockets.protocol import Protocol as Frames

from actors.connections.http_exchange import Successor
from actors.connections.websocket_frames import PONG

logger = logging.getLogger("pointsman.websocket")
# The library tells of every connection that it ends.
logger.setLevel(logging.WARNING)

CLOSE_S: Final = 2.0
"""How long a client has for its part of the closing handshake, and for what was sent before."""

WRITE_BUFFER: Final = 64 * 1024
"""Bytes that wait in our own buffer for a client that reads slowly; then its messages wait in its mailbox."""

UNSENT_IN_KERNEL: Final = 64 * 1024
"""Bytes that wait in the kernel's, which by itself takes up to 4 MiB that no policy could ever conflate or drop."""

TCP_NOTSENT_LOWAT: Final[int | None] = getattr(
    socket, "TCP_NOTSENT_LOWAT", 25 if hasattr(socket, "TCP_QUICKACK") else None
)
"""Python names it from 3.12 on; 25 is Linux's."""

SLICE: Final = 16 * 1024
"""As much is read at a time, so that few messages are in memory that their route has no room for yet."""

REASON_SIZE: Final = 123
"""Bytes of a close frame's reason, at most (RFC 6455, 5.5)."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What is expected of a client; seconds and bytes."""

    max_message: int
    ping_every_s: float
    """After so long without a sign of life it is asked for one."""
    ping_timeout_s: float
    """After so long without an answer it is dead."""


class Host(Protocol):
    """What a connection needs of the listener that it came by."""

    recently: float
    """Monotonic seconds at the last sweep: a second old at most, and free."""

    def left(self, connection: Successor) -> None: ...


class Owner(Protocol):
    """Whom a connection tells what happens on it."""

    def received(self, payload: bytes, *, is_text: bool) -> None:
        """A whole message came; the text is valid UTF-8."""
        ...

    def writable(self) -> None:
        """The client has read what kept it `stuffed`."""
        ...

    def lost(self) -> None:
        """It is over; nothing follows."""
        ...


class WebSocketConnection(asyncio.Protocol):
    """Costs no task and no timer: the listener's sweep looks at `deadline`, for pings and for closing alike."""

    __slots__ = (
        "_backlog",
        "_frames",
        "_heard_at",
        "_held",
        "_host",
        "_is_text",
        "_manners",
        "_owner",
        "_parts",
        "_pinged",
        "_pong",
        "_transport",
        "_unread",
        "closing",
        "deadline",
        "stuffed",
    )

    def __init__(self, host: Host, owner: Owner, manners: Manners) -> None:
        self.deadline = inf
        self.stuffed = False
        """Whether the client has so much to read that nothing more shall be sent to it for now."""
        self.closing = False
        """Whether the closing handshake has begun, or it is over: what is sent goes nowhere."""
        self._host = host
        self._owner: Owner | None = owner
        self._manners = manners
        self._frames = Frames(SERVER, state=OPEN, max_size=manners.max_message, logger=logger)
        self._transport: asyncio.Transport | None = None
        # The message that arrives in fragments.
        self._parts: bytearray | None = None
        self._is_text = False
        # While its owner has no room, nothing is read.
        self._held = False
        self._unread = b""
        # When it last gave a sign of life, how much it then had to read, and whether it was asked for another.
        self._heard_at = host.recently
        self._backlog = 0
        self._pinged = False
        self._pong = b""

    # The loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        opened = transport.get_extra_info("socket")
        if opened is not None and TCP_NOTSENT_LOWAT is not None:
            opened.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL)
        self._heard_at = self._host.recently
        self.deadline = self._heard_at + self._manners.ping_every_s

    def connection_lost(self, error: BaseException | None) -> None:
        self.closing = True
        self._host.left(self)
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.lost()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._host.recently
        if self._held:
            self._unread += data
        else:
            self._read(data)

    def eof_received(self) -> bool:
        self._frames.receive_eof()
        self._send_what_is_due()
        return False

    def pause_writing(self) -> None:
        self.stuffed = True

    def resume_writing(self) -> None:
        self.stuffed = False
        self._heard_at = self._host.recently
        if self._pong:
            self._write(self._pong)
            self._pong = b""
        if self._owner is not None and not self.closing:
            self._owner.writable()

    # The owner's side

    def send(self, frame: bytes) -> None:
        """Send a whole message, unless it is `closing`."""
        if not self.closing:
            self._write(frame)

    def hold(self) -> None:
        """Read nothing more until `go_on`; what has been read by then may still come."""
        if not self._held and not self.closing:
            self._held = True
            if self._transport is not None and not self._transport.is_closing():
                self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if self._held:
            self._held = False
            self._heard_at = self._host.recently
            unread, self._unread = self._unread, b""
            self._read(unread)
            if not self._held and self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, unless it has begun; the client has two seconds for its part."""
        if self.closing:
            return
        if self._frames.state is OPEN:  # or the client's own close is being read
            try:
                self._frames.send_close(code, reason.encode()[:REASON_SIZE].decode(errors="ignore"))
            except ProtocolError as error:
                raise ValueError(f"not a code to close with: {code}") from error
        self._send_what_is_due()
        self.go_on()

    # The listener's side

    def expire(self) -> None:
        """Close one that takes too long to close, or is dead; ask one that has been quiet."""
        transport, now = self._transport, self._host.recently
        if transport is None:
            return
        backlog = transport.get_write_buffer_size()
        if self.closing:
            transport.abort()
            return
        if self._held or backlog < self._backlog:
            self._heard_at = now
        self._backlog = backlog
        quiet_since = self._heard_at + self._manners.ping_every_s
        if quiet_since > now:
            self._pinged = False
            self.deadline = quiet_since
        elif self._pinged:
            transport.abort()
        else:
            self._pinged = True
            self._frames.send_ping(b"")
            self._send_what_is_due()
            self._backlog = transport.get_write_buffer_size()
            self.deadline = now + self._manners.ping_timeout_s

    def drain(self) -> None:
        """Nothing: its owner closes it."""

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Frames

    def _read(self, data: bytes) -> None:
        frames = self._frames
        for start in range(0, len(data), SLICE):
            if self._held:
                self._unread = data[start:]
                return
            frames.receive_data(data if len(data) <= SLICE else data[start : start + SLICE])
            for frame in frames.events_received():
                self._take(cast(Frame, frame))
            self._send_what_is_due()

    def _take(self, frame: Frame) -> None:
        if self.closing or frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._deliver(bytes(frame.data))
                return
            self._parts = bytearray()
        assert self._parts is not None, "the library sees to the order of frames"
        self._parts += frame.data
        if frame.fin:
            payload, self._parts = bytes(self._parts), None
            self._deliver(payload)

    def _deliver(self, payload: bytes) -> None:
        if self._is_text:
            try:
                payload.decode()
            except UnicodeDecodeError:
                self._frames.fail(CloseCode.INVALID_DATA, "not UTF-8")
                self._begin_to_close()
                return
        if self._owner is not None:
            self._owner.received(payload, is_text=self._is_text)

    def _send_what_is_due(self) -> None:
        for data in self._frames.data_to_send():
            if data == SEND_EOF:
                self._end()
            elif self.stuffed and data[0] == PONG:
                # The last ping alone need be answered, or one that pings and does not read would fill our memory.
                self._pong = data
            else:
                self._write(data)
        if self._frames.state is not OPEN:
            self._begin_to_close()

    def _begin_to_close(self) -> None:
        if not self.closing:
            self.closing = True
            self.deadline = self._host.recently + CLOSE_S

    def _end(self) -> None:
        """Nothing more is sent. Closing at once would reset the connection where the client is still sending, and
        it would never see why."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
