"""A queue in Redis, in BullMQ's format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from actors.connections.redis import RedisConnection
from actors.core.errors import StoreAwayError
from actors.queues.bullmq.consumer import BullmqConsumer
from actors.queues.bullmq.keys import Keys
from actors.queues.bullmq.operators import Operators
from actors.queues.bullmq.producer import Producer
from actors.queues.bullmq.schedulers import Schedulers
from actors.queues.bullmq.scripts import Scripts
from actors.queues.contract import Consumer, ConsumerOptions, Done, QueueStore
from actors.queues.job import Counts, Job, NewJob, Scheduler, State, Stats

PREFIX: Final = "bull"
"""BullMQ's own."""


def bullmq_queue(connection: RedisConnection, name: str, *, prefix: str = PREFIX) -> QueueStore:
    """The queue of this name and prefix in that Redis: one object, which all actors of the process share.

    Raises `ValueError` for a name that BullMQ does not take.
    """
    return connection.belonging(BullmqQueues).queue(name, prefix)


class BullmqQueues:
    """The queues of one connection."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._queues: dict[tuple[str, str], BullmqQueue] = {}

    def queue(self, name: str, prefix: str) -> BullmqQueue:
        found = self._queues.get((name, prefix))
        if found is None:
            found = self._queues[name, prefix] = BullmqQueue(self._connection, name, prefix)
        return found


class BullmqQueue(QueueStore):
    """See `QueueStore`. BullMQ's own scripts move the jobs, so Node's workers and tools see nothing unusual."""

    def __init__(self, connection: RedisConnection, name: str, prefix: str) -> None:
        self._connection = connection
        self._name = name
        self._time: Callable[[], float] = connection.clock.time
        self.keys: Final = Keys(prefix, name)
        self._scripts = Scripts()
        self._producer = Producer(connection, self.keys, self._scripts, connection.clock.now)
        self._operators = Operators(connection, self.keys)
        self._schedulers = Schedulers(connection, self.keys, self._time)
        self._tokens: set[str] = set()
        """Of the consumers that are not closed."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> str:
        return "redis"

    async def open(self) -> None:
        """See `QueueStore.open`; raises `RouterError` where a certificate cannot be used."""
        await self._connection.open()

    async def close(self) -> None:
        """Wait for what is being added; the connection is for others to close."""
        await self._producer.finish()

    def watch(self, available: Callable[[], None], unavailable: Callable[[str], None]) -> Callable[[], None]:
        return self._connection.watch(available, unavailable)

    def add(self, job: NewJob, done: Done) -> None:
        self._producer.add(job, done)

    async def consumer(self, options: ConsumerOptions) -> Consumer:
        """What an earlier process of its identity had in hand comes back now, or, while Redis is away, later."""
        consumer = BullmqConsumer(
            self._connection,
            self.keys,
            self._scripts,
            options,
            time=self._time,
            living=lambda: self._tokens,
            closed=self._tokens.discard,
            next_iteration=self._schedulers.next_iteration,
        )
        self._tokens.add(consumer.token)
        try:
            await consumer.begin()
        except StoreAwayError:
            # Its first turn does it.
            return consumer
        except BaseException:
            self._tokens.discard(consumer.token)
            raise
        return consumer

    # Operators

    async def stats(self) -> Stats:
        return await self._operators.stats()

    async def counts(self) -> Counts:
        return await self._operators.counts()

    async def jobs(self, states: Sequence[State], *, start: int = 0, limit: int = 100) -> list[Job]:
        return await self._operators.jobs(states, start=start, limit=limit)

    async def job(self, id: str) -> Job | None:
        return await self._operators.job(id)

    async def logs(self, id: str, *, start: int = 0, limit: int = 1000) -> list[str]:
        return await self._operators.logs(id, start=start, limit=limit)

    async def log(self, id: str, line: str) -> None:
        await self._operators.log(id, line)

    async def progress(self, id: str, progress: str) -> None:
        await self._operators.progress(id, progress)

    async def pause(self) -> None:
        await self._operators.pause()

    async def resume(self) -> None:
        await self._operators.resume()

    async def retry(self, ids: Sequence[str] | None = None) -> int:
        return await self._operators.retry(ids)

    async def promote(self, ids: Sequence[str] | None = None) -> int:
        return await self._operators.promote(ids)

    async def remove(self, id: str) -> None:
        await self._operators.remove(id)

    async def clear(self, states: Sequence[State]) -> int:
        return await self._operators.clear(states)

    async def schedule(self, scheduler: Scheduler) -> None:
        await self._schedulers.schedule(scheduler)

    async def unschedule(self, id: str) -> bool:
        return await self._schedulers.unschedule(id)

    async def schedulers(self) -> list[Scheduler]:
        return await self._schedulers.schedulers()
