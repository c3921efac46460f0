"""The work of one actor on a queue is shared by two workers where it may have many jobs in hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.core.clock import settle
from actors.queues.contract import ConsumerOptions
from actors.queues.worker_pool import LEAST, WORKERS, WorkerPool
from tests.actors.queues.test_worker import LOCK_MS, Wired, Works, works
from tests.loop import Run
from tests.stage import DELIVERED

MANY = WORKERS * LEAST


@asynccontextmanager
async def pool(it: Works, concurrency: int) -> AsyncIterator[WorkerPool]:
    """At work, on a store whose wires can be cut."""
    it.wired = Wired(it.store)
    made = WorkerPool(
        it.wired,
        ConsumerOptions("w", "w", lock_ms=LOCK_MS),
        source="inbound",
        concurrency=concurrency,
        outlet=it.outlet,
        clock=it.clock,
        events=it.events,
    )
    made.start(lambda work: it.spawned.append(asyncio.create_task(work)))
    yield made
    await made.close()


@pytest.mark.parametrize(("concurrency", "workers"), [(1, 1), (MANY - 1, 1), (MANY, 2), (MANY + 1, 2)])
def test_there_are_two_where_each_has_enough_to_do(run: Run, tmp_path: Path, concurrency: int, workers: int) -> None:
    """And together they have as many in hand as one would have."""

    async def main() -> None:
        async with works(tmp_path) as it, pool(it, concurrency) as made:
            await it.add(*range(3 * concurrency))
            await it.offered(concurrency)
            await settle()
            assert (len(it.outlet.messages), made.owed) == (concurrency, concurrency)
            assert it.wired is not None
            assert len(it.wired.consumers) == workers

    run(main())


def test_all_jobs_are_worked_once_and_counted(run: Run, tmp_path: Path) -> None:
    """Whichever of them had it."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = DELIVERED
            async with pool(it, MANY) as made:
                await it.add(*range(100))
                await it.until(lambda: made.finished["completed"] == 100)
                assert sorted(message.data for message in it.outlet.messages) == list(range(100))
                assert made.finished == {"completed": 100, "failed": 0, "retried": 0, "released": 0, "lost": 0}
                await it.until(lambda: not made.owed)

    run(main())


def test_an_outage_is_told_of_once_and_its_end_too(run: Run, tmp_path: Path) -> None:
    """With all that is in hand of both."""

    async def main() -> None:
        async with works(tmp_path) as it, pool(it, MANY):
            await it.add(*range(MANY))
            await it.offered(MANY)
            assert it.wired is not None
            for consumer in it.wired.consumers:
                consumer.cut = True
            for receipt in tuple(it.outlet.receipts):
                assert receipt is not None
                receipt.settle(DELIVERED)
            await it.until(lambda: it.notices)
            for _ in range(5):
                await it.clock.advance(1)
            for consumer in it.wired.consumers:
                consumer.cut = False
            await it.clock.advance(10)
            await it.until(lambda: len(it.notices) > 1)
            assert [notice.text for notice in it.notices] == [
                "inbound: queue q cannot be worked for now: the wire is cut",
                "inbound: queue q is worked again",
            ]
            assert it.notices[0].fields == (("unfinished", MANY),)

    run(main())
