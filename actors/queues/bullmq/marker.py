"""Waits for BullMQ's marker: a member of a sorted set, which is there when a job may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from actors.connections.redis import RedisConnection
from actors.connections.redis.link import Link
from actors.connections.redis.wire import Argument
from actors.core.errors import StorageError
from actors.queues.bullmq.keys import Keys

LONGEST_S: Final = 5
"""After so long it is worth asking without a marker: who took it may have died (BullMQ's `drainDelay`)."""


class MarkerWait:
    """Of one consumer, over a connection of its own.

    The marker `0` says that a job waits; `1` has the time when a delayed one is due as its score. Whoever takes it
    looks at the queue, and that puts it back while there are jobs. What is taken when nobody waits here any more is
    put back at once: others would sleep.
    """

    def __init__(self, connection: RedisConnection, keys: Keys, time: Callable[[], float]) -> None:
        self._connection = connection
        self._keys = keys
        self._time = time
        self._link: Link | None = None
        self._pop: asyncio.Task[list[str] | None] | None = None
        self._putting_back: set[asyncio.Task[None]] = set()
        self._waits = 0
        self._due_ms: float | None = None
        self.is_owed = False
        """A marker was taken, and nobody has looked at the queue since."""

    async def wait(self, timeout_ms: int | None) -> None:
        """Until a marker is there, a delayed job is due, or the time is over; one that is cancelled costs nothing."""
        longest_ms = LONGEST_S * 1000
        deadline_ms = self._time() * 1000 + (longest_ms if timeout_ms is None else min(timeout_ms, longest_ms))
        self._waits += 1
        try:
            while (left_ms := self._left_ms(deadline_ms)) > 0:
                if self._pop is None:
                    self._pop = asyncio.get_running_loop().create_task(self._take(), name="wait for a marker")
                    self._pop.add_done_callback(self._popped)
                pop = self._pop
                await asyncio.wait((pop,), timeout=left_ms / 1000)
                if pop.done() and await self._is_there(pop, deadline_ms):
                    return
        finally:
            self._waits -= 1

    async def close(self) -> None:
        """Take no more markers, and leave none that nobody has looked for."""
        pop, self._pop = self._pop, None
        if pop is not None:
            pop.cancel()
            await asyncio.wait((pop,))
        if self.is_owed:
            self._put_back(0, "0")
        if self._putting_back:
            await asyncio.wait(self._putting_back)
        link, self._link = self._link, None
        if link is not None:
            await self._connection.release(link)

    def _left_ms(self, deadline_ms: float) -> float:
        now_ms = self._time() * 1000
        due_ms = self._due_ms
        if due_ms is not None:
            if due_ms <= now_ms:
                self._due_ms = None
                return 0.0
            deadline_ms = min(deadline_ms, due_ms)
        return deadline_ms - now_ms

    async def _is_there(self, pop: asyncio.Task[list[str] | None], deadline_ms: float) -> bool:
        if pop is self._pop:
            self._pop = None
        if pop.cancelled():
            return True
        if pop.exception() is not None:
            # Redis is away. What came meanwhile may have left no marker: look as soon as it is back.
            return self._link is None or await self._link.up(max(0.0, self._left_ms(deadline_ms)) / 1000)
        taken = pop.result()
        if taken is None:
            return False
        score = float(taken[2])
        if taken[1] == "0" or score <= self._time() * 1000:
            self.is_owed = True
            return True
        self._due_ms = score if self._due_ms is None else min(score, self._due_ms)
        return False

    async def _take(self) -> list[str] | None:
        if self._link is None:
            self._link = self._connection.waiting_client(f"wait for {self._keys.qualified}")
        link = self._link
        await link.tried()
        longest_s = LONGEST_S + self._connection.timeout_s
        taken: list[str] | None = await link.execute(
            "BZPOPMIN", self._keys.marker, LONGEST_S, timeout_s=longest_s, patience_s=longest_s
        )
        return taken

    def _popped(self, pop: asyncio.Task[list[str] | None]) -> None:
        if pop.cancelled() or self._waits:
            return
        if self._pop is pop:
            self._pop = None
        if pop.exception() is None and (taken := pop.result()) is not None:
            self._put_back(float(taken[2]), taken[1])

    def _put_back(self, score: float, member: str) -> None:
        task = asyncio.get_running_loop().create_task(self._add("ZADD", self._keys.marker, score, member))
        self._putting_back.add(task)
        task.add_done_callback(self._putting_back.discard)

    async def _add(self, *command: Argument) -> None:
        try:
            await self._connection.execute(*command)
        except StorageError:
            # Others look every few seconds.
            return
