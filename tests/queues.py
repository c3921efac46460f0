"""The stores of queues that one suite holds against the contract, each behind the same few handles."""

import asyncio
import importlib
import importlib.util
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from actors.core.clock import LoopClock, ManualClock
from actors.core.connection import CONNECTION, ConnectionContext
from actors.core.events import Events
from actors.kit.database import Database
from actors.queues.contract import Added, Consumer, ConsumerOptions, Finish, Order, QueueStore, Turn
from actors.queues.job import Job, JobOptions, NewJob
from tests.servers import RedisServer

DEADLINE_S = 10.0
A_WHILE_MS = 200
"""Long enough for what happens before it not to take as long, on a busy machine; it passes in real time for Redis."""
KEPT_LONG = 60_000

# A producer's key begins with the signature of the order that made it; `Order.key_of` returns a key without it.
BY_CUSTOMER = Order("by-customer/", lambda job: str(json.loads(job.data).get("customer", "")))


def of(customer: str) -> dict[str, Any]:
    """What makes a job that customer's, with the key that its producer gave it."""
    return {"data": json.dumps({"customer": customer}), "key": f"by-customer/{customer}"}


class Place(Protocol):
    """Where queues are kept, as the process of a test has it; a `restart` makes another process of it."""

    @property
    def clock(self) -> ManualClock | None:
        """Where time is moved by hand; None where it passes by itself."""
        ...

    async def queue(self, name: str) -> QueueStore:
        """A queue, opened."""
        ...

    async def restart(self) -> None:
        """What this process had is gone, as if it had been killed; what it had kept is there."""
        ...


Opens = Callable[[], AbstractAsyncContextManager[Place]]


class SqlitePlace:
    """Queues in a database file."""

    def __init__(self, path: Path, clock: ManualClock | None = None) -> None:
        self._path = path
        self.clock = clock or ManualClock()
        self.database: Database | None = None

    async def start(self) -> None:
        from actors.queues.sqlite.embedded import EmbeddedQueues
        from actors.queues.sqlite.schema import TABLES

        self.database = Database(self._path, schema=[TABLES])
        await self.database.open()
        self._queues = EmbeddedQueues(self.database, clock=self.clock, events=Events())

    async def queue(self, name: str) -> QueueStore:
        queue: QueueStore = self._queues.queue(name)
        await queue.open()
        return queue

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        if self.database is not None:
            await self._queues.close()
            await self.database.close()


@asynccontextmanager
async def sqlite_place(directory: Path) -> AsyncIterator[Place]:
    place = SqlitePlace(directory / "queues.db")
    await place.start()
    try:
        yield place
    finally:
        await place.stop()


def has_redis() -> bool:
    """Whether the store in Redis is there to be tested."""
    names = ("actors.queues.bullmq", "actors.connections.redis")
    return all(importlib.util.find_spec(name) is not None for name in names)


class RedisPlace:
    """Queues in a Redis that the whole session shares, under a prefix of the test's own."""

    def __init__(self, server: RedisServer, directory: Path, wall: Callable[[], float] | None = None) -> None:
        """`wall` is the time that the scripts are told; Redis has its own for locks, limiters and deduplication."""
        self.clock = None
        self._wall = wall
        self._server = server
        self._directory = directory
        self._prefix = f"t{time.monotonic_ns()}"
        self._connections: list[Any] = []
        self._queues: list[QueueStore] = []

    async def start(self) -> None:
        redis = importlib.import_module("actors.connections.redis")
        spec = getattr(redis.RedisConnection, CONNECTION)
        options = spec.options.model_validate({"url": self._server.url})
        clock = LoopClock()
        clock.time = self._wall or clock.time
        context = ConnectionContext("redis", clock, Events(), self._directory, self._directory, 0)
        self._connections.append(redis.RedisConnection(options, context))

    @property
    def connection(self) -> Any:
        """The one of this process."""
        return self._connections[-1]

    async def queue(self, name: str) -> QueueStore:
        bullmq = importlib.import_module("actors.queues.bullmq")
        queue: QueueStore = bullmq.bullmq_queue(self.connection, name, prefix=self._prefix)
        self._queues.append(queue)
        await queue.open()
        return queue

    async def restart(self) -> None:
        """The connections of before stay open until the end: nobody uses them any more."""
        await self.start()

    async def stop(self) -> None:
        for queue in self._queues:
            await queue.close()
        for connection in self._connections:
            await connection.close()


@asynccontextmanager
async def redis_place(server: RedisServer, directory: Path) -> AsyncIterator[Place]:
    place = RedisPlace(server, directory)
    await place.start()
    try:
        yield place
    finally:
        await place.stop()


@dataclass
class Line:
    """A queue in a test's hands."""

    place: Place
    queue: QueueStore
    consumers: list[Consumer] = field(default_factory=list)

    # Time

    @property
    def now_ms(self) -> int:
        clock = self.place.clock
        return int((clock.time() if clock is not None else time.time()) * 1000)

    async def pass_ms(self, ms: int) -> None:
        """Let so much time go by."""
        if self.place.clock is not None:
            await self.place.clock.advance(ms / 1000)
        else:
            await asyncio.sleep(ms / 1000)

    # Producers

    def new(self, id: str, options: JobOptions | None = None, *, data: str = "{}", **fields: Any) -> NewJob:
        return NewJob(id, fields.pop("name", "job"), data, self.now_ms, options or JobOptions(), **fields)

    async def submit(self, *jobs: NewJob) -> list[Added | Exception]:
        """Add them in one turn of the loop, and wait for what each is told."""
        loop = asyncio.get_running_loop()
        told: list[asyncio.Future[Added | Exception]] = [loop.create_future() for _ in jobs]
        for job, future in zip(jobs, told, strict=True):
            self.queue.add(job, future.set_result)
        async with asyncio.timeout(DEADLINE_S):
            return [await future for future in told]

    async def add(self, *jobs: NewJob | str, options: JobOptions | None = None) -> list[str]:
        """Add them in one turn of the loop; returns their ids."""
        new = [self.new(job, options) if isinstance(job, str) else job for job in jobs]
        ids: list[str] = []
        for outcome in await self.submit(*new):
            assert isinstance(outcome, Added), outcome
            ids.append(outcome.id)
        return ids

    # Workers

    async def consumer(self, **options: Any) -> Consumer:
        defaults = ConsumerOptions(name="worker", identity="node-1")
        consumer = await self.queue.consumer(replace(defaults, **options))
        self.consumers.append(consumer)
        return consumer

    async def turn(self, consumer: Consumer, *finished: Finish, want: int = 0) -> Turn:
        async with asyncio.timeout(DEADLINE_S):
            return await consumer.turn(finished, want)

    async def take(self, consumer: Consumer, count: int = 1, *, at_most: int | None = None) -> list[Job]:
        """Claim `count` jobs, in as many turns as that takes."""
        jobs: list[Job] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(jobs) < count:
                turn = await consumer.turn((), min(count - len(jobs), at_most or count))
                jobs += turn.jobs
                if not turn.jobs:
                    await consumer.wait(turn.wait_ms)
        return jobs

    async def take_ids(self, consumer: Consumer, count: int) -> list[str]:
        return [job.id for job in await self.take(consumer, count)]

    async def finds_nothing(self, consumer: Consumer) -> bool:
        """Whether there is no job to be had now."""
        return not (await self.turn(consumer, want=10)).jobs

    # Operators

    async def job(self, id: str) -> Job:
        job = await self.queue.job(id)
        assert job is not None, f"there is no job {id}"
        return job

    async def ids(self, *states: Any, start: int = 0, limit: int = 100) -> list[str]:
        jobs: Sequence[Job] = await self.queue.jobs(states, start=start, limit=limit)
        return [job.id for job in jobs]

    async def again(self) -> None:
        """The process dies, and another one opens the queue."""
        self.consumers.clear()
        await self.place.restart()
        self.queue = await self.place.queue(self.queue.name)

    async def close(self) -> None:
        for consumer in self.consumers:
            await consumer.close()
        await self.queue.close()


@asynccontextmanager
async def line(opens: Opens, name: str = "orders") -> AsyncIterator[Line]:
    """A queue in a place of its own."""
    async with opens() as place:
        held = Line(place, await place.queue(name))
        try:
            yield held
        finally:
            await held.close()
