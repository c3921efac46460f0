"""Queues in the database of their process: what is theirs alone, beside the contract that all stores keep to."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from actors.core.clock import ManualClock
from actors.core.errors import StorageError
from actors.core.events import Events
from actors.kit.database import Database
from actors.queues.contract import Added, Completed, Order, Retried
from actors.queues.job import Deduplication, Job, JobOptions, Keep
from actors.queues.sqlite.embedded import EmbeddedQueues
from actors.queues.sqlite.schema import TABLES
from tests.loop import Run
from tests.queues import DEADLINE_S, Line, SqlitePlace, line, sqlite_place


@asynccontextmanager
async def embedded(path: Path) -> AsyncIterator[tuple[EmbeddedQueues, Database]]:
    database = Database(path, schema=[TABLES])
    await database.open()
    try:
        yield EmbeddedQueues(database, clock=ManualClock(), events=Events()), database
    finally:
        await database.close()


def test_who_names_a_queue_has_the_same_object(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded(tmp_path / "q.db") as (queues, _):
            assert queues.queue("orders") is queues.queue("orders")
            assert queues.queue("orders") is not queues.queue("letters")
            assert await queues.names() == []
            await asyncio.gather(*(queues.queue(name).open() for name in ("orders", "letters", "orders")))
            assert await queues.names() == ["letters", "orders"]
            await queues.close()
        async with embedded(tmp_path / "q.db") as (queues, _):
            assert await queues.names() == ["letters", "orders"]

    run(scenario())


def test_nothing_is_added_to_a_queue_that_is_not_open(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded(tmp_path / "q.db") as (queues, _):
            place = SqlitePlace(tmp_path / "other.db")
            (outcome,) = await Line(place, queues.queue("orders")).submit(Line(place, queues.queue("o")).new("j-1"))
            assert isinstance(outcome, StorageError)
            with pytest.raises(StorageError):
                await queues.queue("orders").counts()

    run(scenario())


def test_what_is_added_in_one_turn_takes_one_commit(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded(tmp_path / "q.db") as (queues, database):
            place = SqlitePlace(tmp_path / "other.db")
            queue = Line(place, queues.queue("orders"))
            await queue.queue.open()
            before = database.commits
            await queue.add(*[f"j-{n}" for n in range(500)])
            assert database.commits == before + 1
            once = [queue.new(f"d-{n}", JobOptions(deduplication=Deduplication(f"only-{n}"))) for n in range(100)]
            assert await queue.submit(*once) == [Added(f"d-{n}") for n in range(100)]

    run(scenario())


def test_a_job_is_on_the_disk_when_it_is_told_as_added(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            told: asyncio.Future[object] = asyncio.get_running_loop().create_future()

            def done(outcome: object) -> None:
                told.set_result(outcome)

            queue.queue.add(queue.new("j-1"), done)
            assert not told.done()
            async with asyncio.timeout(DEADLINE_S):
                assert await told == Added("j-1")
            copy = tmp_path / "copy.db"
            for suffix in ("", "-wal"):
                (tmp_path / f"copy.db{suffix}").write_bytes((tmp_path / f"queues.db{suffix}").read_bytes())
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("SELECT count(*) FROM queue_jobs").fetchone() == (1,)

    run(scenario())


def test_jobs_of_a_turn_that_was_cancelled_are_told_by_the_next(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            await queue.add("j-1", "j-2", "j-3")
            consumer = await queue.consumer()
            turn = asyncio.create_task(consumer.turn((), 2))
            await asyncio.sleep(0)
            turn.cancel()
            await asyncio.wait([turn])
            assert turn.cancelled()
            jobs = await queue.take(consumer, 3, at_most=1)
            assert [job.id for job in jobs] == ["j-1", "j-2", "j-3"]
            assert not (await queue.turn(consumer, *map(Completed, jobs))).lost

    run(scenario())


@pytest.mark.parametrize("order", [None, Order("by-id/", lambda job: job.id)], ids=["unordered", "ordered"])
def test_jobs_too_large_for_one_answer_come_in_several(order: Order | None, run: Run, tmp_path: Path) -> None:
    def limit(connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)

    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            assert isinstance(queue.place, SqlitePlace)
            assert queue.place.database is not None
            await queue.place.database.read(limit)
            await queue.add(*[queue.new(f"j-{n}", data=f'"{"x" * 300_000}"') for n in range(10)])
            consumer = await queue.consumer(order=order)
            jobs: list[Job] = []
            while len(jobs) < 10:
                jobs += (await queue.turn(consumer, want=10)).jobs
            assert [job.id for job in jobs] == [f"j-{n}" for n in range(10)]

    run(scenario())


def test_a_key_that_an_earlier_order_gave_holds_up_nobody_for_ever(run: Run, tmp_path: Path) -> None:
    """As when `order_by` changes while a job waits for its retry, and others of its key are parked."""

    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            await queue.add(*[queue.new(f"a-{n}", key="old/a") for n in range(3)])
            old = await queue.consumer(order=Order("old/", lambda _: ""))
            (first,) = await queue.take(old)
            assert await queue.finds_nothing(old)
            await queue.turn(old, Retried(first, 1_000, "no"))
            new = await queue.consumer(order=Order("new/", lambda job: job.id))
            await queue.pass_ms(1_000)
            jobs = await queue.take(new, 3)
            assert {job.id for job in jobs} == {"a-0", "a-1", "a-2"}
            await queue.turn(new, *map(Completed, jobs))
            counts = await queue.queue.counts()
            assert (counts.parked, counts.completed) == (0, 3)

    run(scenario())


def test_finished_jobs_leave_nothing_in_the_file(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            await queue.add(*[f"j-{n}" for n in range(20)])
            once = JobOptions(deduplication=Deduplication("only"))
            await queue.add("d-1", options=once)
            consumer = await queue.consumer(keep_completed=Keep(0))
            jobs = await queue.take(consumer, 21)
            await queue.queue.log("j-1", "a line")
            await queue.turn(consumer, *map(Completed, jobs))

    run(scenario())
    with closing(sqlite3.connect(tmp_path / "queues.db")) as connection:
        for table in ("queue_jobs", "queue_payloads", "queue_logs", "queue_deduplications"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_an_expired_deduplication_id_is_not_kept_for_ever(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            for n in range(3):
                await queue.add(f"j-{n}", options=JobOptions(deduplication=Deduplication(f"only-{n}", ttl_ms=500)))
            consumer = await queue.consumer()
            await queue.pass_ms(600)
            await consumer.look_for_stalled()

    run(scenario())
    with closing(sqlite3.connect(tmp_path / "queues.db")) as connection:
        assert connection.execute("SELECT count(*) FROM queue_deduplications").fetchone() == (0,)
