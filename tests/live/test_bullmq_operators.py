"""What operators do to a queue in Redis, where the contract of all stores leaves it to Redis."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from actors.queues.bullmq.operators import AT_A_TIME, PIECE_BYTES
from actors.queues.contract import Completed, Failed, Order
from actors.queues.job import JobOptions, Scheduler
from tests.loop import Run
from tests.queues import Line, Opens, line, redis_place
from tests.servers import RedisServer

pytestmark = pytest.mark.needs("redis-server")

MANY = 2 * AT_A_TIME + 10
HOUR_MS = 3_600_000
LONG_AGO_MS = 1_600_000_000_000
BY_CUSTOMER = Order("by/", lambda job: str(json.loads(job.data).get("customer", "")))


@pytest.fixture
def opens(redis_server: RedisServer, tmp_path: Path) -> Opens:
    return partial(redis_place, redis_server, tmp_path)


async def fail_all(queue: Line, count: int) -> None:
    consumer = await queue.consumer()
    await queue.turn(consumer, *[Failed(job, "no") for job in await queue.take(consumer, count)])


def test_what_takes_several_pieces_takes_all(run: Run, opens: Opens) -> None:
    """Pages, retries, promotions and deletions, each of more jobs than one script takes."""

    async def scenario() -> None:
        async with line(opens) as queue:
            ids = [f"j-{n}" for n in range(MANY)]
            await queue.add(*ids)
            assert await queue.ids("waiting", limit=MANY + 1) == ids
            assert await queue.ids("waiting", start=AT_A_TIME - 1, limit=AT_A_TIME + 2) == ids[249:501]
            await fail_all(queue, MANY)
            assert await queue.queue.retry() == MANY
            assert sorted(await queue.ids("waiting", limit=MANY)) == sorted(ids)
            assert await queue.queue.clear(["waiting"]) == MANY
            await queue.add(*[f"d-{n}" for n in range(MANY)], options=JobOptions(delay_ms=HOUR_MS))
            assert await queue.queue.promote() == MANY
            assert (await queue.queue.counts()).waiting == MANY

    run(scenario())


def test_a_page_goes_on_from_one_state_to_the_next(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            await queue.add("p-1", "p-2", options=JobOptions(priority=1))
            await queue.add("d-1", options=JobOptions(delay_ms=HOUR_MS))
            assert await queue.ids("waiting", "prioritized", "delayed", start=1, limit=3) == ["j-2", "p-1", "p-2"]
            assert await queue.ids("delayed", "waiting", start=0, limit=2) == ["d-1", "j-1"]

    run(scenario())


def test_large_jobs_come_in_small_pieces_and_all_of_them(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            data = json.dumps("x" * (PIECE_BYTES // 2))
            await queue.add(*[queue.new(f"j-{n}", data=data) for n in range(5)])
            await queue.add("p-1", options=JobOptions(priority=1))
            jobs = await queue.queue.jobs(["waiting", "prioritized"])
            assert [job.id for job in jobs] == [*[f"j-{n}" for n in range(5)], "p-1"]
            assert jobs[4].data == data
            assert await queue.ids("waiting", "prioritized", start=3, limit=2) == ["j-3", "j-4"]

    run(scenario())


def test_the_oldest_job_is_found_behind_younger_ones(run: Run, opens: Opens) -> None:
    """One that came back, one of a low priority, and one that is parked."""

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"p-{n}", JobOptions(priority=n)) for n in range(1, 9)])
            old = queue.new("p-old", JobOptions(priority=1000))
            await queue.add(old._replace(timestamp_ms=LONG_AGO_MS + 2))
            assert (await queue.queue.stats()).oldest_ms == LONG_AGO_MS + 2
            await queue.add(queue.new("a-1")._replace(timestamp_ms=LONG_AGO_MS + 1))
            await fail_all(queue, 1)
            await queue.add(*[f"j-{n}" for n in range(100)])
            assert (await queue.queue.stats()).oldest_ms == LONG_AGO_MS + 2
            await queue.queue.retry()
            assert (await queue.queue.stats()).oldest_ms == LONG_AGO_MS + 1

    run(scenario())


def test_a_retried_job_may_stall_as_often_as_a_new_one(run: Run, opens: Opens) -> None:
    """That it once stalled too often does not fail it when it begins again."""

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            for _ in range(2):
                await queue.take(await queue.consumer())
                await queue.again()
            consumer = await queue.consumer()
            (doomed,) = await queue.take(consumer)
            assert doomed.doomed
            await queue.turn(consumer, Failed(doomed, doomed.doomed))
            assert await queue.queue.retry(["j-1"]) == 1
            (job,) = await queue.take(consumer)
            assert (job.doomed, job.stalled, job.attempts_made) == (None, 0, 0)

    run(scenario())


def test_retried_jobs_of_one_key_keep_to_their_order(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", data='{"customer": "a"}') for n in range(3)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            for _ in range(3):
                (job,) = await queue.take(consumer)
                await queue.turn(consumer, Failed(job, "no"))
                await queue.pass_ms(2)
            assert await queue.queue.retry() == 3
            for n in range(3):
                (job,) = await queue.take(consumer)
                assert job.id == f"a-{n}"
                assert await queue.finds_nothing(consumer)
                await queue.turn(consumer, Completed(job))

    run(scenario())


def test_clearing_gives_up_the_keys_of_those_that_had_them(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            later = JobOptions(delay_ms=HOUR_MS)
            await queue.add(*[queue.new(f"a-{n}", key="by/a") for n in range(3)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (owner,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Failed(owner, "no"))
            assert (await queue.queue.counts()).parked == 1
            assert await queue.queue.clear(["waiting"]) == 2
            await queue.add(queue.new("a-9", later, key="by/a"), queue.new("a-10", key="by/a"))
            assert await queue.take_ids(consumer, 1) == ["a-10"]
            assert await queue.queue.clear(["delayed", "failed"]) == 2

    run(scenario())


def test_a_scheduler_passes_over_times_that_have_had_their_job(run: Run, opens: Opens) -> None:
    """Somebody promoted the next job, and it has been worked before its time."""

    async def scenario() -> None:
        async with line(opens) as queue:
            daily = Scheduler("daily", "job", "{}", cron="0 0 * * *", zone="Asia/Tokyo")
            await queue.queue.schedule(daily)
            (first,) = await queue.queue.schedulers()
            consumer = await queue.consumer()
            assert await queue.queue.promote() == 1
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Completed(job))
            await queue.queue.unschedule("daily")
            await queue.queue.schedule(daily)
            (again,) = await queue.queue.schedulers()
            assert (again.next_ms or 0) - (first.next_ms or 0) == 24 * HOUR_MS

    run(scenario())


def test_a_scheduler_reads_back_as_it_was_given(run: Run, opens: Opens) -> None:
    options = JobOptions(attempts=4, priority=2, others={"keepLogs": 5})
    given = [
        Scheduler("a", "n", '{"x": 0.1}', every_ms=HOUR_MS, options=options),
        Scheduler("b", "n", "{}", cron="0 0 * * *"),
        Scheduler("c", "n", "[]", cron="0 0 * * *", zone="UTC"),
    ]

    async def scenario() -> None:
        async with line(opens) as queue:
            for each in given:
                await queue.queue.schedule(each)
            found = sorted(await queue.queue.schedulers(), key=lambda each: each.id)
            assert [replace(each, next_ms=None) for each in found] == given

    run(scenario())
