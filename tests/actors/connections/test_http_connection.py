"""However a client's bytes are cut, and whenever its answers come, the conversation is the same."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.connections.http_connection import Connection
from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import HttpListener
from actors.core.clock import ManualClock
from tests.loop import Run

HOST = b"Host: localhost\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and delivers nothing while reading is paused."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = bytearray()
        self.closed = False
        self.paused = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


@dataclass
class Talk:
    """One connection without a network; its handler answers at once, or when it is told to."""

    listener: HttpListener
    at_once: bool
    wire: Wire = field(default_factory=Wire)
    open: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener.add(["POST"], "/echo", self._handle, max_body=200)
        self.connection = Connection(self.listener)
        self.connection.connection_made(self.wire)

    def _handle(self, exchange: Exchange) -> None:
        assert not self.open, "two requests of one connection at a time"
        self.open.append(exchange)
        if self.at_once:
            self.answer()

    def answer(self) -> None:
        exchange = self.open.pop()
        exchange.respond(200, exchange.body)

    def say(self, pieces: list[bytes]) -> None:
        """Deliver the pieces as a loop would, answering whenever nothing else can happen."""
        waiting = [piece for piece in pieces if piece]
        while waiting or self.open:
            if waiting and not self.wire.paused and not self.wire.closed:
                self.connection.data_received(waiting.pop(0))
            elif self.open:
                self.answer()
            else:
                assert self.wire.closed, "reading is paused, and nothing would ever resume it"
                return


def plain(body: bytes) -> bytes:
    return b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(chunks: list[bytes]) -> bytes:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"


requests = st.one_of(
    st.binary(max_size=100).map(plain),
    st.lists(st.binary(min_size=1, max_size=20), max_size=9).map(chunked),
    st.just(b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"),
    st.just(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"),
    st.just(b"POST /echo HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 0\r\n\r\n"),
)
lasts = st.sampled_from(
    [
        b"",
        plain(b"x" * 300),
        chunked([b"x" * 100] * 3),
        b"POST /echo HTTP/1.0\r\n" + HOST + b"Content-Length: 1\r\n\r\nx",
    ]
)
"""What may end a conversation; a body that is too large does so only where it did not come whole."""


def heard(run: Run, pieces: list[bytes], *, at_once: bool) -> list[bytes]:
    """The status lines and bodies that a client hears."""

    async def main() -> list[bytes]:
        talk = Talk(HttpListener("127.0.0.1", 0, clock=ManualClock()), at_once)
        talk.say(pieces)
        talk.connection.connection_lost(None)
        assert talk.listener.buffered == 0
        assert len(talk.listener) == 0
        await talk.listener.close()
        return answers(bytes(talk.wire.written))

    return run(main())


def answers(written: bytes) -> list[bytes]:
    found: list[bytes] = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        (length,) = [int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
        found.append(head.split(b"\r\n")[0] + b" " + rest[:length])
        written = rest[length:]
    return found


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[start:end] for start, end in pairwise(bounds) if start < end]


@settings(max_examples=200)
@given(
    said=st.lists(requests, max_size=40),
    last=lasts,
    places=st.lists(st.integers(0, 10_000), max_size=30),
    at_once=st.booleans(),
    one_by_one=st.booleans(),
)
def test_the_cuts_and_the_timing_change_nothing(
    run: Run, said: list[bytes], last: bytes, places: list[int], at_once: bool, one_by_one: bool
) -> None:
    """Against one request at a time, answered at once."""
    wanted = heard(run, [*said, last], at_once=True)
    whole = b"".join(said) + last
    bytewise = [whole[place : place + 1] for place in range(600)] + [whole[600:]]
    got = heard(run, bytewise if one_by_one else cut(whole, places), at_once=at_once)
    assert got == wanted


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_noise_is_answered_or_waited_for(run: Run, noise: bytes, places: list[int]) -> None:
    """And never an exception, nor an answer that is no HTTP."""
    got = heard(run, cut(noise, places), at_once=True)
    assert all(answer.startswith(b"HTTP/1.1 ") for answer in got)


def test_a_body_larger_than_the_parser_holds_is_no_dead_end(run: Run) -> None:
    """Pipelined behind a request that waits: reading pauses, and goes on when that has its answer."""

    async def main() -> None:
        listener = HttpListener("127.0.0.1", 0, clock=ManualClock())
        talk = Talk(listener, at_once=False)
        sizes: list[int] = []

        def measure(exchange: Exchange) -> None:
            sizes.append(len(exchange.body))
            exchange.respond(204)

        listener.add(["POST"], "/large", measure, max_body=10_000_000)
        large = b"POST /large HTTP/1.1\r\n" + HOST + b"Content-Length: 5000000\r\n\r\n" + bytes(5_000_000)
        pieces = [plain(b"x"), *(large[start : start + 250_000] for start in range(0, len(large), 250_000))]
        talk.say(pieces)
        assert sizes == [5_000_000]
        talk.connection.connection_lost(None)
        await listener.close()

    run(main())


def statuses(run: Run, *said: bytes) -> list[int]:
    got = heard(run, list(said), at_once=True)
    return [int(answer.split()[1]) for answer in got]


def test_a_head_of_many_small_requests_is_no_large_head(run: Run) -> None:
    """The limit is on one head, not on what a connection brings over time."""
    assert statuses(run, *[plain(b"x")] * 1000) == [200] * 1000
