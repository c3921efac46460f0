"""Requests as they arrive: parsed by aiohttp, in their order, each with its body as far as it has come."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, Protocol, cast

from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader

from actors.connections.http_table import Entry, Limits, Refusal

READ_BUFFER: Final = 256 * 1024
"""As much as one read of the loop's brings."""

PIPELINED: Final = 16
"""Requests that the parser takes ahead of their answers."""


class Flow(Protocol):
    """Whom the parser tells that its buffer of a body is full, or has room."""

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


class Incoming:
    """The request whose turn it is."""

    __slots__ = ("_body", "_payload", "entry", "message", "size")

    def __init__(self, message: RawRequestMessage, payload: StreamReader) -> None:
        self.message = message
        self.entry: Entry | None = None
        self.size = 0
        """Bytes of the body that `take_in` has taken."""
        self._payload = payload
        self._body: bytes | bytearray = b""

    @property
    def complete(self) -> bool:
        """Whether the client has sent all of it; what of that `take_in` has not seen may be too much."""
        return self._payload.is_eof()

    @property
    def expectation(self) -> str | None:
        return self.message.headers.get("Expect")

    def admit(self, entry: Entry) -> Refusal | None:
        """It goes to `entry`, unless its head says that its body is too large."""
        self.entry = entry
        announced = self.message.headers.get("Content-Length")
        if announced is not None and int(announced) > entry.max_body:
            return entry.too_large
        return None

    def take_in(self) -> int:
        """Add what has arrived to the body; returns how many bytes that was."""
        chunk = self._payload.read_nowait()
        if not self.size:
            self._body = chunk  # most bodies come in one piece
        elif chunk:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += chunk
        self.size += len(chunk)
        return len(chunk)

    def body(self) -> bytes:
        """What `take_in` has taken."""
        return bytes(self._body)


class Arrivals:
    """What a client has sent ahead, bounded: a head, and a number of requests."""

    __slots__ = ("_crowded", "_head_limit", "_parser", "_waiting", "head_size", "rest")

    def __init__(self, flow: Flow, limits: Limits) -> None:
        self.head_size = 0
        """Bytes of a head that has begun to arrive and is not complete."""
        self.rest: bytes | None = None
        """What came after a request to go over to WebSocket, and is no HTTP; None where there was none."""
        self._head_limit = limits.head_size
        self._waiting: deque[tuple[RawRequestMessage, StreamReader] | HttpProcessingError] = deque()
        self._crowded = False
        self._parser = HttpRequestParser(
            cast(Any, flow),  # it calls no more than Flow has, whatever its types say
            asyncio.get_running_loop(),
            READ_BUFFER,
            max_line_size=limits.head_size,
            max_field_size=limits.head_size,
            max_headers=limits.headers,
            auto_decompress=False,
            max_msg_queue_size=PIPELINED,
        )

    def __len__(self) -> int:
        return len(self._waiting)

    def feed(self, data: bytes, *, head_expected: bool) -> None:
        """Parse; `head_expected` says that no body is under way, so that what stays unparsed is a head."""
        if self.rest is not None:
            self.rest += data
            return
        try:
            arrived, switches, rest = self._parser.feed_data(data)
        except HttpProcessingError as error:
            self._waiting.append(error)
            return
        if switches:
            self.rest = rest
        if arrived:
            self.head_size = 0
            self._waiting.extend(arrived)
            # With that many unanswered, the one in hand among them, the parser stops between two requests.
            self._crowded = len(self._waiting) >= PIPELINED - 1
        elif head_expected and data:
            self.head_size += len(data)
            if self.head_size > self._head_limit:
                self._waiting.append(LineTooLong(b"", self._head_limit))

    def next(self) -> Incoming | Refusal | None:
        """The next request; a refusal where the client does not speak HTTP; None where it has to come yet."""
        if not self._waiting:
            if not self._crowded:
                return None
            self._crowded = False
            self.feed(b"", head_expected=False)
            return self.next()
        arrival = self._waiting.popleft()
        if isinstance(arrival, LineTooLong):
            return Refusal(431, "the head of the request is too large")
        if isinstance(arrival, HttpProcessingError):
            return Refusal(400, arrival.message.partition("\n")[0].rstrip(":"))
        return Incoming(*arrival)

    def answered(self) -> None:
        """The request in hand has its answer."""
        self._parser.message_consumed()
