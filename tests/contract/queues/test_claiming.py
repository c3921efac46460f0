"""Which jobs come first, and how a consumer learns of them."""

import asyncio

from actors.queues.job import MAX_PRIORITY, JobOptions
from tests.loop import Run
from tests.queues import A_WHILE_MS, DEADLINE_S, Opens, line

# The order of claims


def test_jobs_are_claimed_in_the_order_of_their_arrival(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("j-1")
            await queue.add("j-2")
            assert await queue.take_ids(consumer, 1) == ["j-1"]
            await queue.add("j-3")
            assert await queue.take_ids(consumer, 2) == ["j-2", "j-3"]

    run(scenario())


def test_priority_0_comes_first_and_then_1_and_so_on(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            for id, priority in {"p-max": MAX_PRIORITY, "p-9": 9, "p-1a": 1, "p-0": 0, "p-1b": 1, "p-10": 10}.items():
                await queue.add(id, options=JobOptions(priority=priority))
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.prioritized) == (1, 5)
            assert await queue.ids("prioritized") == ["p-1a", "p-1b", "p-9", "p-10", "p-max"]
            consumer = await queue.consumer()
            assert await queue.take_ids(consumer, 6) == ["p-0", "p-1a", "p-1b", "p-9", "p-10", "p-max"]

    run(scenario())


def test_a_lifo_job_comes_before_those_that_wait(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            await queue.add("l-1", "l-2", options=JobOptions(lifo=True))
            assert await queue.ids("waiting") == ["l-2", "l-1", "j-1", "j-2"]
            assert await queue.take_ids(await queue.consumer(), 4) == ["l-2", "l-1", "j-1", "j-2"]

    run(scenario())


def test_no_more_than_wanted_are_claimed(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2", "j-3")
            consumer = await queue.consumer()
            assert [job.id for job in (await queue.turn(consumer, want=2)).jobs] == ["j-1", "j-2"]
            assert not (await queue.turn(consumer, want=0)).jobs
            assert [job.id for job in (await queue.turn(consumer, want=2)).jobs] == ["j-3"]

    run(scenario())


def test_two_consumers_never_have_the_same_job(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            ids = [f"j-{n}" for n in range(60)]
            await queue.add(*ids)
            consumers = [await queue.consumer(name=f"w-{n}") for n in range(3)]
            taken = await asyncio.gather(*(queue.take(each, 20, at_most=3) for each in consumers))
            assert sorted(job.id for jobs in taken for job in jobs) == sorted(ids)
            assert {job.worker for job in taken[1]} == {"w-1"}

    run(scenario())


# Waiting


def test_a_consumer_that_waits_is_woken_by_a_job(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            assert await queue.finds_nothing(consumer)
            waiting = asyncio.create_task(queue.take(consumer))
            await queue.pass_ms(20)
            await queue.add("j-1")
            async with asyncio.timeout(DEADLINE_S):
                assert [job.id for job in await waiting] == ["j-1"]

    run(scenario())


def test_a_wait_ends_when_its_time_is_over_and_can_be_cancelled(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            waiting = asyncio.create_task(consumer.wait(A_WHILE_MS))
            await queue.pass_ms(A_WHILE_MS)
            async with asyncio.timeout(DEADLINE_S):
                await waiting
            waiting = asyncio.create_task(consumer.wait(None))
            await queue.pass_ms(20)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=DEADLINE_S)
            assert waiting.cancelled()
            await queue.add("j-1")
            assert await queue.take_ids(consumer, 1) == ["j-1"]

    run(scenario())
