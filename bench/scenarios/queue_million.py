"""Adding a job, and a queue's stats, with a million jobs waiting: their time as a multiple of that with a thousand.

On both stores, each in a place of its own, without a router in front. Jobs are added a hundred at a time, as webhooks
under load add them, each hundred waited for. Stats are asked for while nothing is added: just behind that, a store
still syncs. All figures are medians over the rounds, in which both sizes take turns.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import uvloop

from actors.connections.redis import RedisConnection
from actors.connections.redis.options import RedisConnectionOptions
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.events import Events
from actors.kit.database import Database
from actors.queues.bullmq import bullmq_queue
from actors.queues.contract import Added, QueueStore
from actors.queues.job import NewJob
from actors.queues.sqlite.embedded import EmbeddedQueues
from actors.queues.sqlite.schema import TABLES
from bench.measure import OURS, Result
from bench.mosquitto import PAYLOAD
from bench.servers import redis_server

FEW = 1_000
MANY = 1_000_000
FILLED_AT_A_TIME = 2_000
ADDED_AT_A_TIME = 100
ADDED = 1_500
"""At a look; so few that a million stays a million over all of them (at 2^20 Redis doubles its table of keys)."""
ASKED = 200
REPEATS = 5
"""Of each round: a look takes a fraction of a second, in which the machine may have other things to do."""

Opened = Callable[[], AbstractAsyncContextManager[QueueStore]]
Times = dict[str, list[float]]
"""By what was timed: microseconds, one figure a round."""


@asynccontextmanager
async def _sqlite() -> AsyncIterator[QueueStore]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "store.db", schema=[TABLES])
        await database.open()
        queues = EmbeddedQueues(database, clock=LoopClock(), events=Events())
        try:
            queue = queues.queue("jobs")
            await queue.open()
            yield queue
        finally:
            await queues.close()
            await database.close()


@asynccontextmanager
async def _redis() -> AsyncIterator[QueueStore]:
    with redis_server() as port, tempfile.TemporaryDirectory() as folder:
        options = RedisConnectionOptions(url=f"redis://127.0.0.1:{port}")
        context = ConnectionContext("redis", LoopClock(), Events(), Path(folder), Path(folder))
        connection = RedisConnection(options, context)
        queue = bullmq_queue(connection, "jobs")
        try:
            await queue.open()
            yield queue
        finally:
            await queue.close()
            await connection.close()


STORES: dict[str, Opened] = {"sqlite": _sqlite, "redis": _redis}

_numbers = count()


async def _add(queue: QueueStore, jobs: int, at_a_time: int) -> None:
    loop = asyncio.get_running_loop()
    for begun in range(0, jobs, at_a_time):
        told: list[asyncio.Future[Added | Exception]] = []
        for _ in range(min(at_a_time, jobs - begun)):
            future = loop.create_future()
            told.append(future)
            queue.add(NewJob(f"job-{next(_numbers)}", "message", PAYLOAD, int(time.time() * 1000)), future.set_result)
        for future in told:
            result = await future
            if isinstance(result, Exception):
                raise result


async def _time_adding(queue: QueueStore, times: Times) -> None:
    began = time.perf_counter()
    await _add(queue, ADDED, ADDED_AT_A_TIME)
    times["adding"].append((time.perf_counter() - began) / ADDED * 1e6)


async def _time_stats(queue: QueueStore, times: Times) -> None:
    asked: list[float] = []
    for _ in range(ASKED):
        began = time.perf_counter()
        await queue.stats()
        asked.append((time.perf_counter() - began) * 1e6)
    times["stats"].append(statistics.median(asked))


async def _measure(opened: Opened, rounds: int) -> tuple[Times, Times]:
    """The times with a thousand jobs, of a queue made anew for each look where jobs are added, and with a million."""
    few: Times = {"adding": [], "stats": []}
    many: Times = {"adding": [], "stats": []}
    looks = rounds * REPEATS
    async with opened() as full:
        await _add(full, MANY, FILLED_AT_A_TIME)
        async with opened() as queue:
            await _add(queue, FEW, ADDED_AT_A_TIME)
            for _ in range(looks):
                await _time_stats(queue, few)
                await _time_stats(full, many)
        for _ in range(looks):
            async with opened() as queue:
                await _add(queue, FEW, ADDED_AT_A_TIME)
                await _time_adding(queue, few)
            await _time_adding(full, many)
        counts = await full.counts()
        assert counts.waiting == MANY + looks * ADDED, f"{counts.waiting} jobs wait"
    return few, many


def run(*, rounds: int) -> Result:
    ratios: dict[str, float] = {}
    besides: dict[str, str] = {}
    for store, opened in STORES.items():
        few, many = uvloop.run(_measure(opened, rounds))
        for what in few:
            before, after = statistics.median(few[what]), statistics.median(many[what])
            name = f"{store}, {what}"
            ratios[name] = after / before
            besides[f"{OURS}, {name}"] = f"{after:.0f} µs, and {before:.0f} µs with a thousand"
    return Result("queue-million", "×", max(ratios.values()), {}, variants=ratios, better="lower", besides=besides)
