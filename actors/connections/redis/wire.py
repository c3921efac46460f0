"""One socket to Redis: commands leave in their order, and so do answers come back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

Argument = str | bytes | int | float
Reply = Any
"""What RESP2 has: text, whole numbers, None, lists of those, and errors (`hiredis.ReplyError`)."""

LARGE: Final = 4096
"""Bytes of a command that sets out at once: Redis works on it while this turn of the loop goes on."""


class Wire(asyncio.Protocol):
    """Sends commands, however many before the first answer, and hands each answer to who waits for it.

    Text that is not UTF-8 comes back with replacement characters, as Node's clients have it.
    """

    def __init__(self, now: Callable[[], float], lost: Callable[[str], None]) -> None:
        self._now = now
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.is_closed = False
        self.heard = now()
        """When the server last said anything, monotonic seconds."""

    def send(self, command: tuple[Argument, ...], patience_s: float) -> asyncio.Future[Reply]:
        """The answer to come, or the error that it is; the server is dead if it takes longer than `patience_s`."""
        answer: asyncio.Future[Reply] = self._loop.create_future()
        if self.is_closed:
            answer.set_exception(ConnectionError("the connection is closed"))
            return answer
        if not self._out:
            # What is said in one turn of the loop leaves in one packet.
            self._loop.call_soon(self._flush)
        packed = cast("bytes", hiredis.pack_command(cast("Any", command)))
        self._out.append(packed)
        self._waiting.append((answer, self._now() + patience_s))
        if len(packed) > LARGE:
            self._flush()
        return answer

    def overdue(self, now: float) -> bool:
        """Whether an answer took too long."""
        return bool(self._waiting) and self._waiting[0][1] < now

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def close(self, why: str) -> None:
        """What waits for an answer gets none."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()
        waiting = list(self._waiting)
        self._waiting.clear()
        self._out.clear()
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(ConnectionError(why))
                # Whoever gave up waiting does not ask for it any more.
                answer.exception()
        self._lost(why)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None and not self.is_closed:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.heard = self._now()
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if not waiting:
                    raise hiredis.ProtocolError("an answer that nobody asked for")
                answer, _ = waiting.popleft()
                if answer.done():
                    continue
                if isinstance(reply, hiredis.ReplyError):
                    answer.set_exception(reply)
                else:
                    answer.set_result(reply)
        except hiredis.HiredisError as error:
            self.close(f"it does not speak Redis's protocol: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self.close(str(error) if error is not None and str(error) else "the server closed the connection")
