"""The locks of what a worker has in hand, and the jobs of workers that died."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.queues.attempt import Attempt
from actors.queues.contract import Consumer, ConsumerOptions
from actors.queues.job import Job

RENEWALS: Final = 2
"""In the time that a lock lasts."""
AGAIN: Final = 10
"""Where a renewal failed, so many fit into the time of a lock."""


class Locks:
    """Keeps them while jobs are in hand, however long that is: a route may wait for a target for hours."""

    def __init__(
        self,
        options: ConsumerOptions,
        clock: Clock,
        *,
        in_hand: Mapping[str, Attempt],
        ended: Callable[[], Iterable[Job]],
        taken: Callable[[Sequence[Attempt]], None],
        came_back: Callable[[int], None],
    ) -> None:
        """`ended` are the jobs of which the store has not heard yet. `taken` is told of those in hand whose locks are
        lost, and `came_back` how many jobs of other workers wait again."""
        self._lock_s = options.lock_ms / 1000
        self._stalled_interval_s = options.stalled_interval_ms / 1000
        self._clock = clock
        self._in_hand = in_hand
        self._ended = ended
        self._taken = taken
        self._came_back = came_back

    async def keep(self, consumer: Consumer) -> None:
        """For ever."""
        wait_s = self._lock_s / RENEWALS
        while True:
            await self._clock.sleep(wait_s)
            wait_s = self._lock_s / RENEWALS
            attempts = dict(self._in_hand)
            jobs = [attempt.job for attempt in attempts.values()]
            jobs += self._ended()
            if not jobs:
                continue
            try:
                lost = await consumer.renew(jobs)
            except StorageError:
                wait_s = self._lock_s / AGAIN
                continue
            if lost:
                # What has ended meanwhile is rightly not its own any more.
                self._taken([attempt for id_ in lost if (attempt := attempts.get(id_)) is not None])

    async def look_for_stalled(self, consumer: Consumer) -> None:
        """For ever."""
        while True:
            try:
                stalled = await consumer.look_for_stalled()
            except StorageError:
                stalled = ()
            if stalled:
                self._came_back(len(stalled))
            await self._clock.sleep(self._stalled_interval_s)
