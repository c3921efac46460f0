"""One client's connection: requests in, in their order; an answer to each; a deadline for every state."""

from __future__ import annotations

import asyncio
import logging
from math import inf
from typing import Final, Protocol, cast

from actors.connections.http_exchange import PROBLEM, Exchange, Headers, Successor, field_line, problem
from actors.connections.http_incoming import Arrivals, Incoming
from actors.connections.http_table import Entry, Limits, Refusal

logger = logging.getLogger("pointsman.http")

LINGER_S: Final = 2.0
"""After an answer that did not want the rest of a body: how long that rest is read and thrown away, so that
the client sees the answer before its connection is reset (RFC 9112, 9.6)."""

BUSY: Final = (("Retry-After", "1"),)
CROWDED: Final = Refusal(503, "too many connections", BUSY)
FLOODED: Final = Refusal(503, "too much is arriving at once", BUSY)
SLOW: Final = Refusal(408, "the request took too long to arrive")


class Host(Protocol):
    """What a connection needs of its listener."""

    limits: Limits
    draining: bool
    recently: float
    """Monotonic seconds at the last sweep: a second old at most, and free."""
    buffered: int
    """Bytes of the bodies that are on their way in, over all connections."""

    def now(self) -> float: ...

    def find(self, method: str, target: str, host: str | None) -> Entry | Refusal: ...

    def head(self, status: int, content_type: str) -> bytes: ...

    def joined(self, connection: Connection) -> bool:
        """Count it in; false where that is one too many."""
        ...

    def left(self, connection: Connection) -> None: ...

    def became(self, connection: Connection, successor: Successor) -> None:
        """Count and time `successor` in its place."""
        ...


class Connection(asyncio.Protocol):
    """Costs no task and no timer.

    It is idle, or receives a request, or waits for a handler's answer, or closes. `deadline` is when its
    listener's sweep ends that; a handler has its own.
    """

    __slots__ = (
        "_arrivals",
        "_buffered",
        "_closing",
        "_exchange",
        "_held",
        "_host",
        "_last",
        "_received",
        "_request",
        "_stuffed",
        "_timed",
        "_transport",
        "_working",
        "deadline",
        "remote",
    )

    def __init__(self, host: Host) -> None:
        self.deadline = inf
        self.remote = ""
        self._host = host
        self._request: Incoming | None = None
        self._exchange: Exchange | None = None
        # How much of a body the listener counts for us, how much came since the deadline was set, and whether
        # it is the deadline of something that arrives.
        self._buffered = 0
        self._received = 0
        self._timed = False
        # What is not to go on: after this answer, at all, reading, writing, `_work`.
        self._last = False
        self._closing = False
        self._held = False
        self._stuffed = False
        self._working = False

    # The loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._arrivals = Arrivals(self._host.limits)
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""
        self._receiving()
        if not self._host.joined(self):
            self._refuse(CROWDED, linger=False)

    def connection_lost(self, error: BaseException | None) -> None:
        if self._exchange is not None:
            self._exchange.abandon()
            self._exchange = None
        self._closing = True
        self._forget()
        self._arrivals.close()
        self._host.left(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._arrivals.feed(data)
        if self._arrivals.head_begun:
            self._receiving()
        if self._exchange is None and not self._stuffed:
            self._work()
        else:
            self._pause()

    def eof_received(self) -> bool:
        """A client may end its side and still wait for its answer; TLS knows no such half."""
        self._last = True
        return self._exchange is not None and self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """The client does not read its answers: it gets no more of them until it does."""
        self._stuffed = True
        self.deadline = self._host.now() + self._host.limits.receive_timeout_s

    def resume_writing(self) -> None:
        self._stuffed = False
        if self._exchange is None and not self._closing:
            self._idle()
            self._work()

    def _pause(self) -> None:
        if not self._held and not self._transport.is_closing():
            self._held = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._held and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    # The listener's side

    def expire(self) -> None:
        """The deadline of what it is doing has passed."""
        pace = self._host.limits.slowest_bytes_per_s
        if self._closing or self._stuffed:
            self._transport.abort()
        elif self._request is None and not self._arrivals.head_begun:
            self._close()
        elif self._received >= pace:
            # A large body may take its time, as long as it comes at a pace that no slow attack keeps.
            self.deadline += self._received / pace
            self._received = 0
        else:
            self._refuse(SLOW, linger=False)

    def drain(self) -> None:
        """Close as soon as no answer is owed."""
        self._last = True
        if self._request is None and not self._arrivals:
            self._close()

    def abort(self) -> None:
        self._transport.abort()

    # Requests in

    def _receiving(self) -> None:
        """A request begins to arrive; its head and its body have one deadline."""
        if not self._timed and self._exchange is None:
            self._timed = True
            self._received = 0
            self.deadline = self._host.now() + self._host.limits.receive_timeout_s

    def _work(self) -> None:
        """Take what has arrived as far as it goes; an answer that comes at once does not enter it again."""
        if self._working:
            return
        self._working = True
        while self._exchange is None and not self._closing and not self._stuffed:
            if self._request is None:
                arrival = self._arrivals.next()
                if arrival is None:
                    break
                if isinstance(arrival, Refusal):
                    self._refuse(arrival)
                else:
                    self._begin(arrival)
            elif not self._receive(self._request):
                break
        self._working = False
        if self._exchange is None and not self._stuffed:
            self._resume()

    def _begin(self, request: Incoming) -> None:
        """Look at the head, which alone may decide the answer."""
        self._request = request
        if request.switches or not request.keeps_alive:
            self._last = True
        entry = self._host.find(request.method, request.target, request.headers.get("host"))
        refusal = entry if isinstance(entry, Refusal) else request.admit(entry)
        if refusal is None and not request.complete:
            self._receiving()
            expectation = request.headers.get("expect")
            if expectation is not None and expectation.lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif expectation is not None:
                refusal = Refusal(417, f"nobody here meets the expectation {expectation!r}")
        if refusal is not None:
            self._refuse(refusal)

    def _receive(self, request: Incoming) -> bool:
        """Take in what has arrived of the body; true where that was all of it, or too much."""
        host, entry = self._host, request.entry
        assert entry is not None, "a request without an entry was refused"
        if request.size > entry.max_body:
            self._refuse(entry.too_large)
        elif request.complete:
            self._hand_over(request, entry)
        elif self._arrivals.broken is not None:
            self._refuse(self._arrivals.broken)
        else:
            grown = request.size - self._buffered
            self._received += grown
            self._buffered = request.size
            host.buffered += grown
            if host.buffered <= host.limits.buffered:
                return self._arrivals.parse_on()
            self._refuse(FLOODED)
        return True

    def _hand_over(self, request: Incoming, entry: Entry) -> None:
        _, _, query = request.target.partition("?")
        body = request.body if type(request.body) is bytes else bytes(request.body)
        self._exchange = exchange = Exchange(
            self, request.method, entry.path, query, request.headers, body, self.remote, entry.parameters
        )
        self.deadline = inf
        try:
            entry.handler(exchange)
        except Exception:
            logger.exception("the handler of %s failed", entry.path)
            exchange.refuse(500, "the handler of this path failed")

    # Answers out

    def answer(self, exchange: Exchange, status: int, body: bytes, content_type: str, headers: Headers) -> None:
        """As `Exchange.respond`."""
        if exchange is self._exchange and not self._transport.is_closing():
            self._write(status, body, content_type, headers)
            self._exchange = None
            self._next()

    def switch(self, exchange: Exchange, successor: Successor, headers: Headers) -> bool:
        """As `Exchange.switch`."""
        rest = self._arrivals.rest
        if exchange is not self._exchange or rest is None or self._arrivals or self._transport.is_closing():
            return False
        lines = b"".join([field_line(name, value) for name, value in headers])
        self._exchange = None
        self._forget()
        self._closing = True
        self._resume()
        self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % lines)
        self._transport.set_protocol(cast(asyncio.Protocol, successor))
        self._host.became(self, successor)
        successor.connection_made(self._transport)
        if rest:
            successor.data_received(rest)
        return True

    def _refuse(self, refusal: Refusal, *, linger: bool = True) -> None:
        """Answer without a handler; where a request is incomplete, its rest is not worth waiting for."""
        goes_on = self._request is not None and self._request.complete
        if not goes_on:
            self._last = True
        self._write(refusal.status, problem(refusal.status, refusal.detail), PROBLEM, refusal.headers)
        if goes_on:
            self._next()
        elif linger:
            self._forget()
            self._closing = True
            self.deadline = self._host.now() + LINGER_S
            self._resume()
        else:
            self._close()

    def _next(self) -> None:
        """The request has its answer: close, or go on with what has arrived meanwhile."""
        self._forget()
        if self._last:
            self._close()
        elif not self._stuffed:
            self._idle()
            self._work()

    def _idle(self) -> None:
        self._timed = False
        self.deadline = self._host.recently + self._host.limits.keep_alive_s

    def _close(self) -> None:
        self._closing = True
        self.deadline = self._host.now() + LINGER_S
        self._transport.close()

    def _forget(self) -> None:
        """Let go of the request in hand."""
        self._request = None
        if self._buffered:
            self._host.buffered -= self._buffered
            self._buffered = 0

    def _write(self, status: int, body: bytes, content_type: str, headers: Headers) -> None:
        request = self._request
        lines = b"".join([field_line(name, value) for name, value in headers]) if headers else b""
        if self._host.draining:
            self._last = True
        if self._last:
            lines += b"Connection: close\r\n"
        elif request is not None and request.is_old:
            lines += b"Connection: keep-alive\r\n"
        if status != 204:
            lines += b"Content-Length: %d\r\n" % len(body)
        if request is not None and request.method == "HEAD":
            body = b""
        self._transport.write(b"%b%b\r\n%b" % (self._host.head(status, content_type), lines, body))
