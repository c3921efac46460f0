"""Works the jobs of a queue in the database of its process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from actors.queues.contract import ConsumerOptions, Finish, Retried, Turn
from actors.queues.job import Job
from actors.queues.sqlite import claiming, finishing
from actors.queues.sqlite.claiming import Claim, Found
from actors.queues.sqlite.finishing import Ended
from actors.queues.sqlite.record import Row
from actors.queues.sqlite.transaction import Transaction

if TYPE_CHECKING:
    from actors.queues.sqlite.queue import SqliteQueue


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction of a turn brought."""

    found: Found
    freed: int
    """Jobs that may be claimed now, by whoever asks."""
    due_ms: int | None
    """When the next delayed job is due, where that may have changed; else `has_due` is false."""
    has_due: bool


class SqliteConsumer:
    """A `Consumer`. A turn is one transaction, and a second one where keys of jobs have to be made first."""

    def __init__(self, queue: SqliteQueue, options: ConsumerOptions) -> None:
        self._queue = queue
        self._options = options
        self._exchange: asyncio.Task[Turn] | None = None
        self._left: list[Job] = []
        """Claimed by a turn that was cancelled before it could tell."""
        self._seen = -1
        """What had happened in the queue when it was last looked at."""
        self._is_closed = False

    async def turn(self, finished: Sequence[Finish], want: int) -> Turn:
        if self._exchange is not None:
            await asyncio.wait([self._exchange])
        exchange = asyncio.create_task(self._turn(finished, want), name=f"turn of queue {self._queue.name}")
        self._exchange = exchange
        try:
            return await asyncio.shield(exchange)
        except asyncio.CancelledError:
            exchange.add_done_callback(self._keep)
            raise
        finally:
            if exchange.done():
                self._exchange = None

    async def wait(self, timeout_ms: int | None) -> None:
        queue = self._queue
        seen, self._seen = self._seen, queue.wakes.count
        if self._is_closed or self._left or seen != queue.wakes.count:
            return
        waits = [] if timeout_ms is None else [timeout_ms]
        if queue.wakes.due_ms is not None and not queue.paused:
            waits.append(queue.wakes.due_ms - queue.now_ms)
        if waits and min(waits) <= 0:
            return
        sleeper = queue.wakes.sleeper()
        timer = None
        if waits:
            timer = queue.clock.call_at(queue.clock.now() + min(waits) / 1000, partial(_wake, sleeper))
        try:
            await sleeper
        finally:
            queue.wakes.forget(sleeper)
            if timer is not None:
                timer.cancel()

    async def renew(self, jobs: Iterable[Job]) -> Sequence[str]:
        return self._queue.claims.renew((job.id for job in jobs), self, self._options.lock_ms)

    async def look_for_stalled(self) -> Sequence[str]:
        return await self._queue.bring_back(self._options.max_stalled)

    async def close(self) -> None:
        self._is_closed = True
        if self._exchange is not None:
            await asyncio.wait([self._exchange])
        self._queue.wakes.wake()

    async def _turn(self, finished: Sequence[Finish], want: int) -> Turn:
        queue = self._queue
        left, self._left = self._left[:want], self._left[want:]
        want = 0 if self._is_closed else want - len(left)
        promotes = want > 0 and queue.wakes.due_ms is not None and queue.wakes.due_ms <= queue.now_ms
        if queue.paused:
            want = 0
        ended, lost = self._ended(finished)
        if not ended and want <= 0 and not promotes:
            return Turn(left, None, lost)
        asked_at = queue.wakes.count
        queue.exchanges += 1
        keys: dict[int, str] = {}
        claimed: list[Job] = list(left)
        wait_ms: int | None = None
        try:
            while True:
                work = partial(self._work, ended=ended, want=want, keys=dict(keys), promotes=promotes)
                outcome = await queue.transact(work)
                found = outcome.found
                # In this order: what was given back or is tried again may be claimed again at once.
                queue.claims.remove(each.finish.job.id for each in ended)
                queue.claims.put(found.rows, self, self._options.lock_ms)
                ended = []
                if outcome.has_due:
                    queue.wakes.learn(outcome.due_ms, asked_at)
                claimed += [each.job for each in found.rows]
                want -= len(found.rows)
                if outcome.freed and (want <= 0 or found.limited_until_ms is not None):
                    queue.wakes.wake()
                if not found.unkeyed or want <= 0 or queue.paused:
                    break
                keys |= self._make_keys(found.unkeyed)
        except Exception:
            for each in ended:
                if (held := queue.claims.find(each.finish.job.id)) is not None:
                    held.is_ending = False
            if len(claimed) == len(left):
                self._left = [*left, *self._left]
                raise
            # What was claimed is told; what is wrong shows at the next turn.
            return Turn(claimed, 0, lost)
        finally:
            queue.exchanges -= 1
        if want > 0:
            # Whatever happens from now on is a reason not to sleep.
            self._seen = asked_at if not found.more else -1
            wait_ms = self._wait_ms(found)
        else:
            self._seen = -1
        return Turn(claimed, wait_ms, lost)

    def _ended(self, finished: Sequence[Finish]) -> tuple[list[Ended], list[str]]:
        """What is its own to finish, and the ids of what is not."""
        ended: list[Ended] = []
        lost: list[str] = []
        for each in finished:
            held = self._queue.claims.of(each.job.id, self)
            if held is None:
                lost.append(each.job.id)
            else:
                held.is_ending = True
                ended.append(Ended(held.row, each, held.holds))
        return ended, lost

    def _work(
        self, transaction: Transaction, *, ended: Sequence[Ended], want: int, keys: Mapping[int, str], promotes: bool
    ) -> Outcome:
        """On the database's thread."""
        freed = finishing.finish(transaction, ended, self._options) if ended else 0
        has_due = promotes or any(_may_delay(each.finish) for each in ended)
        found = Found()
        if promotes:
            # Of a paused queue as well: they wait from now on, before what is added later.
            found.more = claiming.promote(transaction) == claiming.PROMOTED_AT_ONCE
        if want > 0:
            order = self._options.order
            more = found.more
            found = claiming.claim(
                transaction,
                Claim(
                    want,
                    self._options.name,
                    self._options.limiter,
                    order.signature if order is not None else None,
                    keys,
                ),
            )
            found.more |= more
            has_due |= any(each.job.scheduler is not None for each in found.rows)
        return Outcome(found, freed, transaction.next_due_ms() if has_due else None, has_due)

    def _make_keys(self, rows: Sequence[Row]) -> dict[int, str]:
        order = self._options.order
        assert order is not None
        return {each.row: order.key_of(each.job).removeprefix(order.signature) for each in rows}

    def _wait_ms(self, found: Found) -> int | None:
        if found.more:
            return 0
        queue = self._queue
        times = [time for time in (found.limited_until_ms, queue.wakes.due_ms) if time is not None]
        return max(0, min(times) - queue.now_ms) if times and not queue.paused else None

    def _keep(self, exchange: asyncio.Task[Turn]) -> None:
        if not exchange.cancelled() and exchange.exception() is None:
            self._left += exchange.result().jobs


def _may_delay(finish: Finish) -> bool:
    """Whether a job may be delayed by it: its own, or the next one of its deduplication id."""
    return isinstance(finish, Retried) or finish.job.options.deduplication is not None


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
