"""When consumers that wait for jobs are woken: by a job that comes, or when a delayed one is due."""

from __future__ import annotations

import asyncio


class Wakes:
    """What happened in a queue is counted, so that nobody sleeps through what happened before he lay down."""

    def __init__(self) -> None:
        self.count = 0
        self.due_ms: int | None = None
        """No delayed job is due earlier, epoch milliseconds; None: there is none."""
        self._sleepers: set[asyncio.Future[None]] = set()

    def wake(self) -> None:
        """A job may be there."""
        self.count += 1
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    def expect(self, due_ms: int | None) -> None:
        """A delayed job is due at that time; whoever waits thinks about for how long again."""
        if due_ms is not None and (self.due_ms is None or due_ms < self.due_ms):
            self.due_ms = due_ms
            self.wake()

    def learn(self, due_ms: int | None, asked_at: int) -> None:
        """The next delayed job is due then, as the store had it when `count` was `asked_at`."""
        if self.count == asked_at:
            self.due_ms = due_ms
        else:
            self.expect(due_ms)

    def sleeper(self) -> asyncio.Future[None]:
        """Done when it is woken; it is given back to `forget`."""
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        return sleeper

    def forget(self, sleeper: asyncio.Future[None]) -> None:
        self._sleepers.discard(sleeper)
