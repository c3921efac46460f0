"""Works a queue: claims jobs, hands them on as messages, and finishes them as those end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from random import random as any_random
from typing import Any, Final

from actors.core.clock import Clock
from actors.core.errors import BackPressureError, RouterError, StorageError
from actors.core.events import Events, Notice
from actors.core.hands import as_crash
from actors.core.message import Settlement
from actors.core.outlet import Outlet
from actors.kit.backoff import Backoff
from actors.queues.attempt import Attempt, ended
from actors.queues.contract import Completed, Consumer, ConsumerOptions, Failed, Finish, QueueStore, Released, Retried
from actors.queues.handover import Handover
from actors.queues.job import Job
from actors.queues.job_log import JobLog
from actors.queues.locks import Locks
from actors.queues.outage import Outage

REFUSED_WAIT_S: Final = 1.0
"""Before the next claim, when a route has given one back and has not said when to ask again."""
CLOSE_TIMEOUT_S: Final = 5.0
"""What a store has for its last answer; what it does not hear of then comes back to it as stalled."""
BACKOFF: Final = Backoff(delay_s=0.1, max_delay_s=5.0, jitter=0.2)

_ENDS: Final[Mapping[type[Finish], str]] = {
    Completed: "completed",
    Failed: "failed",
    Retried: "retried",
    Released: "released",
}


class QueueWorker:
    """The work of one actor on one queue.

    One exchange with the store is under way at a time: it finishes what has ended since the one before, and claims as
    many as there is room for. So an idle queue answers a job at once, and a busy one is asked as often as it answers.
    No more than `concurrency` jobs are in hand, those included that have ended and of which the store does not know.
    """

    def __init__(
        self,
        store: QueueStore,
        options: ConsumerOptions,
        *,
        source: str,
        concurrency: int,
        outlet: Outlet,
        clock: Clock,
        events: Events,
        outage: Outage,
        random: Callable[[], float] = any_random,
    ) -> None:
        """`source` is the actor that its messages come out of."""
        self._store = store
        self._options = options
        self._source = source
        self._concurrency = concurrency
        self._clock = clock
        self._events = events
        self._outage = outage
        self._random = random
        self._log = JobLog(store, clock)
        self._consumer: Consumer | None = None
        self._in_hand: dict[str, Attempt] = {}
        self._handover = Handover(outlet, clock, source=source, give_back=self._release)
        self._locks = Locks(
            options,
            clock,
            in_hand=self._in_hand,
            ended=lambda: [finish.job for finish in (*self._ended, *self._telling)],
            taken=self._taken_away,
            came_back=self._came_back,
        )
        self._ended: list[Finish] = []
        """What the next exchange tells the store."""
        self._telling: list[Finish] = []
        """What the present one does; where the store does not answer, it is told the same again."""
        self._may_claim = True
        """Whether the store is believed to have jobs."""
        self._look_again_ms: int | None = None
        self._failure: Exception | None = None
        self._draining = False
        self._closing = False
        self._waiter: asyncio.Future[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._keeping: list[asyncio.Task[None]] = []
        self.finished = dict.fromkeys((*_ENDS.values(), "lost"), 0)
        """Jobs since it was made, by how they ended here; `lost`: somebody else had them by then."""

    @property
    def owed(self) -> int:
        """Jobs that it has in hand, or that the store has not heard the end of."""
        return len(self._in_hand) + len(self._ended) + len(self._telling)

    # Its life

    def start(self, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """Begin; what fails in it is raised in a task that `spawn` makes."""
        # A task of its own: what is under way with the store is not to be cancelled when an actor stops.
        self._running = asyncio.get_running_loop().create_task(self._run())
        self._running.add_done_callback(self._ended_by_itself)
        spawn(self._watch(self._running))

    async def _watch(self, running: asyncio.Task[None]) -> None:
        await asyncio.shield(running)

    def drain(self) -> None:
        """Claim nothing more; what is in hand is finished."""
        self._draining = True
        self._stop_looking()
        self._handover.release()
        self._wake()

    async def close(self) -> None:
        """Give back what is in hand, if the store answers in time."""
        self.drain()
        self._closing = True
        self._release(list(self._in_hand.values()))
        self._wake()
        if self._running is not None and not self._running.done():
            await asyncio.wait([self._running], timeout=CLOSE_TIMEOUT_S)
        tasks = [task for task in (self._running, *self._keeping) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        await self._log.close()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()

    # Exchanges with the store

    async def _run(self) -> None:
        failures = 0
        while not self._closing or self._ended or self._telling:
            if self._failure is not None:
                raise self._failure
            consumer = self._consumer
            try:
                if consumer is None:
                    if self._closing:
                        return
                    self._begin_with(await self._store.consumer(self._options))
                elif self._ended or self._telling or (self._may_claim and self._wanted()):
                    await self._exchange(consumer)
                else:
                    self._look_out(consumer)
                    await self._woken()
                    continue
            except StorageError as error:
                failures += 1
                await self._store_failed(error, failures)
            else:
                if failures:
                    failures = 0
                    self._may_claim = True
                    self._outage.over(self)

    def _begin_with(self, consumer: Consumer) -> None:
        self._consumer = consumer
        for work in (self._locks.keep(consumer), self._locks.look_for_stalled(consumer)):
            task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(self._ended_by_itself)
            self._keeping.append(task)

    async def _exchange(self, consumer: Consumer) -> None:
        if not self._telling:
            self._telling, self._ended = self._ended, []
        told = self._telling
        want = self._wanted()
        turn = await consumer.turn(told, want)
        self._telling = []
        if told:
            self._count(told, turn.lost)
        if turn.jobs and (self._draining or self._handover.is_holding):
            self._release([self._taken(job) for job in turn.jobs])
        else:
            begin = self._handover.begin
            for job in turn.jobs:
                begin(self._taken(job))
        if want:
            self._may_claim = len(turn.jobs) >= want
            if not self._may_claim:
                # What is waited for in the store may be another time from now on.
                self._look_again_ms = turn.wait_ms
                self._stop_looking()

    def _wanted(self) -> int:
        """How many jobs could be begun; those of which the store hears now are not in hand any more."""
        if self._draining or not self._handover.has_room:
            return 0
        return max(0, self._concurrency - len(self._in_hand) - len(self._ended))

    def _count(self, told: Sequence[Finish], lost: Sequence[str]) -> None:
        finished = self.finished
        if not lost:
            for each in told:
                finished[_ENDS[type(each)]] += 1
            return
        gone = frozenset(lost)
        for each in told:
            finished["lost" if each.job.id in gone else _ENDS[type(each)]] += 1
        self._warn_of_lost(len(gone))

    async def _store_failed(self, error: StorageError, failures: int) -> None:
        """Wait until it is worth trying again."""
        self._outage.hit(self, error)
        timer = self._clock.call_at(self._clock.now() + BACKOFF.delay(failures, self._random()), self._wake)
        unwatch = self._store.watch(self._wake, lambda why: None) if failures > 1 else None
        try:
            await self._woken()
        finally:
            timer.cancel()
            if unwatch is not None:
                unwatch()

    # Waiting

    async def _woken(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _look_out(self, consumer: Consumer) -> None:
        """See to it that it is woken when it may claim; where it has no hand free, what it has in hand wakes it."""
        if self._draining or self._looking is not None:
            return
        if not (self._may_claim and self._handover.has_room):
            self._looking = asyncio.get_running_loop().create_task(self._look(consumer))
            self._looking.add_done_callback(self._looked)

    async def _look(self, consumer: Consumer) -> None:
        """Until the routes have room, and the store may have jobs."""
        await self._handover.room()
        if not self._may_claim:
            # Where that fails, the exchange that follows says so.
            with suppress(StorageError):
                await consumer.wait(self._look_again_ms)
            self._may_claim = True

    def _looked(self, task: asyncio.Task[None]) -> None:
        if self._looking is task:
            self._looking = None
        self._ended_by_itself(task)
        self._wake()

    def _ended_by_itself(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = as_crash(error)
            self._wake()

    def _stop_looking(self) -> None:
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()

    # Jobs

    def _taken(self, job: Job) -> Attempt:
        attempt = self._in_hand[job.id] = Attempt(self, job)
        return attempt

    def _release(self, attempts: Sequence[Attempt]) -> None:
        """Back to where they came from: to the front, in their order."""
        for attempt in attempts:
            if self._put_down(attempt):
                self._ended.append(Released(attempt.job))
        if attempts:
            self._wake()

    def settled(self, attempt: Attempt, settlement: Settlement) -> None:
        """The message of a job has ended."""
        if not self._put_down(attempt):
            return
        finish = ended(attempt, settlement, self._random())
        self._ended.append(finish)
        if type(finish) is not Completed:
            self._log.failed(attempt, finish)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def gave_back(self, attempt: Attempt, error: RouterError) -> None:
        """A route could not keep the message of a job."""
        if self._put_down(attempt):
            self._ended.append(Released(attempt.job))
            self._handover.rest(error.retry_after_s if isinstance(error, BackPressureError) else REFUSED_WAIT_S)
            self._wake()

    def _put_down(self, attempt: Attempt) -> bool:
        """False where it is not in hand any more: its lock was lost, or it was given back."""
        id_ = attempt.job.id
        if self._in_hand.get(id_) is not attempt:
            return False
        del self._in_hand[id_]
        return True

    # Locks

    def _taken_away(self, attempts: Sequence[Attempt]) -> None:
        """Somebody else has these jobs by now: how they end here counts no more."""
        gone = sum(self._put_down(attempt) for attempt in attempts)
        if gone:
            self.finished["lost"] += gone
            self._warn_of_lost(gone)
            self._wake()

    def _warn_of_lost(self, count: int) -> None:
        text = f"{self._source}: {count} jobs of queue {self._store.name} were taken away while they were worked"
        self._notice(f"{text}, and may be worked twice: their locks had expired")

    def _came_back(self, count: int) -> None:
        text = f"{self._source}: {count} jobs of queue {self._store.name} came back: their worker had died"
        self._notice(text)
        self._may_claim = True
        self._wake()

    def _notice(self, text: str) -> None:
        self._events.emit(Notice(text, "warning"))
