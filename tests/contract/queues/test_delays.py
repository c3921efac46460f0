"""Jobs that wait for their time."""

import asyncio
import time

from actors.queues.job import JobOptions
from tests.loop import Run
from tests.queues import A_WHILE_MS, DEADLINE_S, KEPT_LONG, Opens, line


def test_a_delayed_job_waits_for_its_time(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("d-1", options=JobOptions(delay_ms=A_WHILE_MS))
            turn = await queue.turn(consumer, want=1)
            assert not turn.jobs
            assert turn.wait_ms is not None
            assert 0 < turn.wait_ms <= A_WHILE_MS
            assert (await queue.job("d-1")).state == "delayed"
            await queue.pass_ms(A_WHILE_MS)
            (job,) = await queue.take(consumer)
            assert job.id == "d-1"
            assert (await queue.job("d-1")).state == "active"

    run(scenario())


def test_delayed_jobs_come_by_their_times_behind_those_that_wait(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("d-2", options=JobOptions(delay_ms=A_WHILE_MS))
            await queue.add("d-1", options=JobOptions(delay_ms=A_WHILE_MS // 2))
            await queue.add("p-d", options=JobOptions(delay_ms=A_WHILE_MS // 2, priority=1))
            await queue.add("later-1", options=JobOptions(delay_ms=KEPT_LONG))
            assert await queue.ids("delayed") == ["d-1", "p-d", "d-2", "later-1"]
            await queue.add("j-1", "j-2")
            await queue.pass_ms(A_WHILE_MS)
            assert await queue.take_ids(consumer, 5) == ["j-1", "j-2", "d-1", "d-2", "p-d"]
            assert await queue.finds_nothing(consumer)

    run(scenario())


def test_a_consumer_that_waits_is_told_of_a_delayed_job_within_50_ms(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("d-1", options=JobOptions(delay_ms=A_WHILE_MS))
            assert await queue.finds_nothing(consumer)
            started = time.monotonic()
            waiting = asyncio.create_task(queue.take(consumer))
            if queue.place.clock is not None:
                await queue.pass_ms(A_WHILE_MS + 50)
            async with asyncio.timeout(DEADLINE_S):
                assert [job.id for job in await waiting] == ["d-1"]
            if queue.place.clock is None:
                assert A_WHILE_MS - 20 <= (time.monotonic() - started) * 1000 <= A_WHILE_MS + 150

    run(scenario())


def test_a_delayed_job_that_is_added_while_a_consumer_waits_is_seen(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("d-2", options=JobOptions(delay_ms=KEPT_LONG))
            waiting = asyncio.create_task(queue.take(consumer))
            await queue.pass_ms(A_WHILE_MS // 2)
            await queue.add("d-1", options=JobOptions(delay_ms=A_WHILE_MS))
            await queue.pass_ms(A_WHILE_MS + 50)
            async with asyncio.timeout(DEADLINE_S):
                assert [job.id for job in await waiting] == ["d-1"]

    run(scenario())
