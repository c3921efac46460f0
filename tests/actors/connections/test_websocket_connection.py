"""One connection without a network: a client of the `websockets` library on the other side, and time that is moved."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from actors.connections.http_exchange import Successor
from actors.connections.websocket_connection import CLOSE_S, Manners, WebSocketConnection
from actors.connections.websocket_frames import encoded

MANNERS = Manners(max_message=100, ping_every_s=20.0, ping_timeout_s=5.0)


class Wire(asyncio.Transport):
    """A transport that keeps what is written; `unread` says how much of it the client has not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.unread = 0
        self.closed = self.half_closed = self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@dataclass
class Line:
    """A connection, what its owner was told, and its client."""

    recently: float = 0.0
    messages: list[str | bytes] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    holds: bool = False
    """Whether the owner has no room."""
    closes: bool = False
    """Whether the owner closes at the first message."""

    def __post_init__(self) -> None:
        self.wire = Wire()
        self.client = Protocol(CLIENT, state=OPEN)
        self.connection = WebSocketConnection(self, self, MANNERS)
        self.connection.connection_made(self.wire)

    # As the listener and the owner

    def left(self, connection: Successor) -> None:
        self.told.append("left")

    def received(self, payload: bytes, *, is_text: bool) -> None:
        self.messages.append(payload.decode() if is_text else payload)
        if self.holds:
            self.connection.hold()
        if self.closes:
            self.connection.close(1013)

    def writable(self) -> None:
        self.told.append("writable")

    def lost(self) -> None:
        self.told.append("lost")

    # As the client

    def say(self, *cuts: int) -> None:
        """Deliver what the client has to send, in pieces of these sizes."""
        data = b"".join(self.client.data_to_send())
        for size in cuts:
            if data[:size] and not self.wire.paused:
                self.connection.data_received(data[:size])
                data = data[size:]
        if data:
            self.connection.data_received(data)

    def heard(self) -> list[Frame]:
        """What the client reads of what was written since it read last."""
        data, self.wire.written = bytes(self.wire.written), bytearray()
        self.client.receive_data(data)
        return [event for event in self.client.events_received() if isinstance(event, Frame)]

    @property
    def code(self) -> int | None:
        """What the client was closed with."""
        self.heard()
        return self.client.close_rcvd.code if self.client.close_rcvd is not None else None

    def wait(self, seconds: float) -> None:
        """As the listener's sweep, once a second."""
        for _ in range(round(seconds)):
            self.recently += 1.0
            if self.connection.deadline <= self.recently and not self.wire.closed:
                self.connection.expire()


def test_messages_come_in_as_they_were_sent() -> None:
    """Text and bytes, whole and in fragments, with a ping in between that is answered."""
    line = Line()
    line.client.send_text("ñ".encode())
    line.client.send_binary(b"\xff")
    line.client.send_text(b"a", fin=False)
    line.client.send_continuation(b"", fin=False)
    line.client.send_ping(b"p")
    line.client.send_continuation(b"b", fin=True)
    line.client.send_text(b"")
    line.say()
    assert line.messages == ["ñ", b"\xff", "ab", ""]
    assert [(frame.opcode, bytes(frame.data)) for frame in line.heard()] == [(Opcode.PONG, b"p")]


@given(st.lists(st.text(max_size=20) | st.binary(max_size=100), max_size=8), st.lists(st.integers(1, 40), max_size=30))
def test_however_they_are_cut_they_are_the_same(messages: list[str | bytes], cuts: list[int]) -> None:
    """What the network makes of them is no matter."""
    line = Line()
    for message in messages:
        if isinstance(message, str):
            line.client.send_text(message.encode())
        else:
            line.client.send_binary(message)
    line.say(*cuts)
    assert line.messages == messages


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    """What is no WebSocket ends the connection, at most."""
    line = Line()
    line.connection.data_received(data)
    line.wait(30.0)


def test_a_message_that_is_too_large_closes_with_1009() -> None:
    """Whole or in fragments; what came before counts, what comes behind does not."""
    for pieces in ([b"x" * 101], [b"x" * 60, b"x" * 41]):
        line = Line()
        line.client.send_text(b"before")
        line.client.send_binary(pieces[0], fin=len(pieces) == 1)
        for piece in pieces[1:]:
            line.client.send_continuation(piece, fin=True)
        line.client.send_text(b"behind")
        line.say()
        assert line.messages == ["before"]
        assert line.wire.half_closed
        assert line.code == 1009


def test_text_that_is_not_utf8_closes_with_1007() -> None:
    """And hands nothing on, nor what comes behind."""
    line = Line()
    line.client.send_text(b"\xff")
    line.client.send_text(b"behind")
    line.say()
    assert line.messages == []
    assert line.code == 1007


def test_a_frame_that_is_not_masked_closes_with_1002() -> None:
    """As RFC 6455, 5.1, asks of a server."""
    line = Line()
    line.connection.data_received(encoded("hello"))
    assert line.messages == []
    assert line.code == 1002


def test_a_client_that_closes_is_answered() -> None:
    """What it sent before counts."""
    line = Line()
    line.client.send_text(b"bye")
    line.client.send_close(1000)
    line.say()
    assert line.messages == ["bye"]
    assert (line.code, line.wire.half_closed, line.connection.closing) == (1000, True, True)
    line.connection.connection_lost(None)
    assert line.told == ["left", "lost"]


def test_both_sides_may_close_at_once() -> None:
    """The client's close is behind the message that its owner closes at."""
    line = Line(closes=True)
    line.client.send_text(b"0")
    line.client.send_text(b"1")
    line.client.send_close(1000)
    line.say()
    assert line.messages == ["0"]
    assert (line.code, line.wire.half_closed) == (1000, True)


def test_a_client_that_does_not_close_in_time_is_cut_off() -> None:
    """What is sent after the closing handshake has begun goes nowhere."""
    line = Line()
    line.connection.close(1001, "ñ" * 100)
    line.connection.close(1012)
    line.connection.send(encoded("late"))
    (close,) = line.heard()
    assert close.opcode is Opcode.CLOSE
    assert line.code == 1001
    line.wait(CLOSE_S - 1.0)
    assert not line.wire.closed
    line.wait(1.0)
    assert line.wire.closed


def test_a_code_that_cannot_be_sent_is_refused() -> None:
    """1005 and 1006 are for telling that there was none."""
    with pytest.raises(ValueError, match="not a code"):
        Line().connection.close(1006)


def test_a_quiet_client_is_asked_and_a_dead_one_cut_off() -> None:
    """The answer, or anything else, is a sign of life."""
    line = Line()
    line.wait(19.0)
    assert line.heard() == []
    line.wait(1.0)
    (ping,) = line.heard()
    assert ping.opcode is Opcode.PING
    line.say()
    line.wait(19.0)
    assert line.heard() == []
    line.wait(6.0)
    assert [frame.opcode for frame in line.heard()] == [Opcode.PING]
    line.wait(4.0)
    assert line.wire.closed


def test_a_client_that_reads_slowly_is_alive() -> None:
    """That its backlog shrinks is a sign of life; one whose backlog stands still is dead."""
    line = Line()
    line.wire.unread = 1000
    line.connection.pause_writing()
    for _ in range(10):
        line.wire.unread -= 50
        line.wait(10.0)
    assert not line.wire.closed
    line.wait(60.0)
    assert line.wire.closed


def test_while_the_owner_has_no_room_nothing_is_read() -> None:
    """And the client is not to blame for its silence; the rest comes in order."""
    line = Line(holds=True)
    for number in range(3):
        line.client.send_text(str(number).encode())
        line.say()
    assert line.messages == ["0"]
    assert line.wire.paused
    line.wait(100.0)
    assert not line.wire.closed
    line.connection.go_on()
    assert line.messages == ["0", "1", "2"]
    line.holds = False
    line.connection.go_on()
    assert not line.wire.paused


def test_a_close_is_seen_though_nothing_is_read() -> None:
    """Closing one that is held lets its own close in."""
    line = Line(holds=True)
    line.client.send_text(b"0")
    line.say()
    line.connection.close(1001)
    assert not line.wire.paused
    line.heard()
    line.say()
    assert line.wire.half_closed


def test_one_that_pings_and_never_reads_fills_no_memory() -> None:
    """Only the last ping is answered when it reads again."""
    line = Line()
    line.connection.pause_writing()
    for number in range(1000):
        line.client.send_ping(str(number).encode())
        line.say()
    assert line.heard() == []
    line.connection.resume_writing()
    assert [bytes(frame.data) for frame in line.heard()] == [b"999"]
    assert line.told == ["writable"]


def test_a_half_closed_connection_is_over() -> None:
    """A client that ends its side without a closing handshake gets nothing more."""
    line = Line()
    assert line.connection.eof_received() is False
    assert line.connection.closing
