"""The real clock, and one that tests move by hand."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol


class Timer(Protocol):
    """Something that will be called, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Where time comes from. `now` and `call_at` are monotonic; `time` is the wall clock."""

    def now(self) -> float:
        """Monotonic seconds, for deadlines and ages."""
        ...

    def time(self) -> float:
        """Epoch seconds, for messages, expiry and people."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the loop at `when` on the monotonic clock."""
        ...

    async def sleep(self, delay_s: float) -> None: ...


class LoopClock:
    """The running loop's own clock."""

    __slots__ = ("_loop", "now", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self.now: Callable[[], float] = time.monotonic
        self.time: Callable[[], float] = time.time

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return self._loop.call_later(max(0.0, when - time.monotonic()), callback)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class _ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """Time that stands still until `advance` moves it; for tests and for topology tests in virtual time."""

    def __init__(self, *, epoch_s: float = 1_700_000_000.0) -> None:
        self._now = 0.0
        self._epoch_s = epoch_s
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._order = count()

    def now(self) -> float:
        return self._now

    def time(self) -> float:
        return self._epoch_s + self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_at(self._now + delay_s, wake)
        try:
            await done
        finally:
            timer.cancel()

    async def advance(self, seconds: float = 0.0) -> None:
        """Move time on by `seconds`, calling what is due in its order and letting the loop settle after each."""
        until = self._now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= until:
            when, _, timer = heapq.heappop(self._timers)
            if timer.callback is None:
                continue
            self._now = max(self._now, when)
            timer.callback()
            await settle()
        self._now = until
        await settle()


async def settle(turns: int = 20) -> None:
    """Let the loop take `turns` turns, so that what is ready to run has run."""
    for _ in range(turns):
        await asyncio.sleep(0)
