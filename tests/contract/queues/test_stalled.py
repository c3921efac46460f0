"""Locks, and jobs whose worker died."""

import asyncio

from actors.queues.contract import Completed, Failed
from actors.queues.job import JobOptions
from tests.loop import Run
from tests.queues import A_WHILE_MS, DEADLINE_S, Opens, line

STALLED = "job stalled more than allowable limit"


def test_jobs_of_a_process_that_died_come_back_in_front_when_its_successor_begins(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2", "j-3")
            await queue.add("p-1", options=JobOptions(priority=1))
            await queue.take(await queue.consumer(), 2)
            await queue.again()
            jobs = await queue.take(await queue.consumer(), 4)
            assert [job.id for job in jobs] == ["j-1", "j-2", "j-3", "p-1"]
            assert [job.stalled for job in jobs] == [1, 1, 0, 0]
            assert [job.attempts_made for job in jobs] == [0, 0, 0, 0]
            assert [job.attempts_started for job in jobs] == [2, 2, 1, 1]
            assert {job.doomed for job in jobs} == {None}

    run(scenario())


def test_a_job_that_stalled_too_often_must_fail_with_bullmqs_words(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            await queue.take(await queue.consumer())
            await queue.again()
            (job,) = await queue.take(await queue.consumer())
            assert (job.stalled, job.doomed) == (1, None)
            await queue.again()
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            assert (job.stalled, job.doomed) == (2, STALLED)
            await queue.turn(consumer, Failed(job, STALLED))
            failed = await queue.job("j-1")
            assert (failed.state, failed.failed_reason) == ("failed", STALLED)
            await queue.queue.retry(["j-1"])
            (job,) = await queue.take(consumer)
            assert job.doomed is None

    run(scenario())


def test_how_often_a_job_may_stall_is_the_consumers_to_say(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            await queue.take(await queue.consumer(max_stalled=0))
            await queue.again()
            (job,) = await queue.take(await queue.consumer(max_stalled=0))
            assert job.doomed == STALLED

    run(scenario())


def test_a_job_whose_lock_has_expired_comes_back_and_is_lost_to_its_worker(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            fast = {"stalled_interval_ms": A_WHILE_MS // 2, "lock_ms": A_WHILE_MS}
            dead, living = await queue.consumer(**fast), await queue.consumer(identity="node-2", **fast)
            (job,) = await queue.take(dead)
            found: list[str] = []
            async with asyncio.timeout(DEADLINE_S):
                while not found:
                    await queue.pass_ms(A_WHILE_MS // 2)
                    found += await living.look_for_stalled()
            assert found == ["j-1"]
            assert list(await dead.renew([job])) == ["j-1"]
            again, other = await queue.take(living, 2)
            assert (again.id, again.stalled, other.id) == ("j-1", 1, "j-2")
            assert list((await queue.turn(dead, Completed(job))).lost) == ["j-1"]
            assert not (await queue.turn(living, Completed(again))).lost

    run(scenario())


def test_a_job_whose_lock_is_renewed_does_not_come_back(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            fast = {"stalled_interval_ms": 50, "lock_ms": 2 * A_WHILE_MS}
            working, other = await queue.consumer(**fast), await queue.consumer(identity="node-2", **fast)
            (job,) = await queue.take(working)
            for _ in range(6):
                await queue.pass_ms(A_WHILE_MS // 2)
                assert list(await working.renew([job])) == []
                assert list(await other.look_for_stalled()) == []
            assert not (await queue.turn(working, Completed(job))).lost

    run(scenario())


def test_a_second_consumer_in_the_same_process_leaves_the_jobs_of_the_first_alone(run: Run, opens: Opens) -> None:
    """As when a change lets an actor's successor run beside it."""

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            old = await queue.consumer()
            (job,) = await queue.take(old)
            new = await queue.consumer()
            (other,) = await queue.take(new)
            assert other.id == "j-2"
            assert await queue.finds_nothing(new)
            assert not (await queue.turn(old, Completed(job))).lost

    run(scenario())
