"""What operators see of a queue, and do to it."""

import asyncio
import json
from dataclasses import replace

import pytest

from actors.queues.contract import Completed, Failed, JobNotFoundError, Retried
from actors.queues.job import STATES, JobOptions
from tests.loop import Run
from tests.queues import DEADLINE_S, KEPT_LONG, Opens, line

# Operators


def test_failed_jobs_wait_again_with_all_their_attempts(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("f-1", "f-2", "f-3")
            await queue.add("f-p", options=JobOptions(priority=4))
            consumer = await queue.consumer()
            for job in await queue.take(consumer, 4):
                await queue.turn(consumer, Failed(job, "no", "stack"))
            await queue.add("j-1")
            assert await queue.queue.retry(["f-2"]) == 1
            job = await queue.job("f-2")
            assert (job.state, job.attempts_made, job.failed_reason, job.finished_ms) == ("waiting", 0, None, None)
            assert await queue.queue.retry() == 3
            assert await queue.queue.retry() == 0
            assert (await queue.job("f-p")).attempts_made == 0
            jobs = await queue.take(consumer, 5)
            assert sorted(job.id for job in jobs) == ["f-1", "f-2", "f-3", "f-p", "j-1"]
            assert (await queue.queue.counts()).failed == 0

    run(scenario())


def test_a_failed_job_that_waits_again_knows_which_ways_of_it_had_ended_well(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", options=JobOptions(attempts=2))
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Retried(job, 0, "no", done='["a"]'))
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Failed(job, "no"))
            await queue.queue.retry(["j-1"])
            (job,) = await queue.take(consumer)
            assert (job.done, job.attempts_made) == ('["a"]', 0)

    run(scenario())


def test_only_what_has_failed_can_be_retried_and_otherwise_nothing_happens(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("f-1", "j-1")
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Failed(job, "no"))
            for wrong in ("j-1", "nobody"):
                with pytest.raises(JobNotFoundError):
                    await queue.queue.retry([wrong])
            assert await queue.ids("failed") == ["f-1"]
            assert await queue.queue.retry([]) == 0

    run(scenario())


def test_delayed_jobs_can_be_promoted(run: Run, opens: Opens) -> None:
    later = JobOptions(delay_ms=KEPT_LONG)

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("d-1", "d-2", "d-3", options=later)
            await queue.add("d-p", options=replace(later, priority=1))
            await queue.add("j-1")
            assert await queue.queue.promote(["d-2"]) == 1
            assert (await queue.job("d-2")).state == "waiting"
            with pytest.raises(JobNotFoundError):
                await queue.queue.promote(["j-1"])
            with pytest.raises(JobNotFoundError):
                await queue.queue.promote(["nobody"])
            consumer = await queue.consumer()
            assert await queue.take_ids(consumer, 2) == ["j-1", "d-2"]
            waiting = asyncio.create_task(queue.take(consumer, 3))
            await queue.pass_ms(20)
            assert await queue.queue.promote() == 3
            async with asyncio.timeout(DEADLINE_S):
                assert [job.id for job in await waiting] == ["d-1", "d-3", "d-p"]
            assert await queue.queue.promote() == 0

    run(scenario())


def test_a_job_that_nobody_works_can_be_removed(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("done-1", "active-1", "j-1", "j-2")
            await queue.add("d-1", options=JobOptions(delay_ms=KEPT_LONG))
            await queue.add("p-1", options=JobOptions(priority=1))
            consumer = await queue.consumer()
            done, _ = await queue.take(consumer, 2)
            await queue.turn(consumer, Completed(done))
            for id in ("done-1", "j-1", "d-1", "p-1"):
                await queue.queue.remove(id)
                assert await queue.queue.job(id) is None
            for wrong in ("active-1", "done-1", "nobody"):
                with pytest.raises(JobNotFoundError):
                    await queue.queue.remove(wrong)
            assert await queue.take_ids(consumer, 1) == ["j-2"]
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.prioritized, counts.delayed, counts.active, counts.completed) == (
                0,
                0,
                0,
                2,
                0,
            )

    run(scenario())


def test_clear_deletes_all_jobs_of_some_states(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("done-1", "bad-1", "active-1", "j-1", "j-2")
            await queue.add("d-1", options=JobOptions(delay_ms=KEPT_LONG))
            await queue.add("p-1", options=JobOptions(priority=1))
            consumer = await queue.consumer()
            done, bad, active = await queue.take(consumer, 3)
            await queue.turn(consumer, Completed(done), Failed(bad, "no"))
            assert await queue.queue.clear(["waiting"]) == 2
            assert await queue.ids("waiting", "prioritized", "delayed") == ["p-1", "d-1"]
            assert await queue.queue.clear(["prioritized", "delayed", "completed"]) == 3
            assert await queue.ids(*STATES) == ["active-1", "bad-1"]
            assert await queue.queue.clear(["failed", "waiting", "waiting-children"]) == 1
            assert not (await queue.turn(consumer, Completed(active))).lost

    run(scenario())


def test_jobs_are_listed_in_pages(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[f"j-{n}" for n in range(10)])
            consumer = await queue.consumer()
            for job in await queue.take(consumer, 3):
                await queue.turn(consumer, Completed(job))
                await queue.pass_ms(2)
            await queue.take(consumer)
            assert await queue.ids("waiting") == [f"j-{n}" for n in range(4, 10)]
            assert await queue.ids("waiting", start=2, limit=3) == ["j-6", "j-7", "j-8"]
            assert await queue.ids("waiting", start=5, limit=3) == ["j-9"]
            assert await queue.ids("waiting", start=6) == []
            assert await queue.ids("completed") == ["j-2", "j-1", "j-0"]
            assert await queue.ids("completed", start=1, limit=1) == ["j-1"]
            assert await queue.ids("active") == ["j-3"]
            assert [job.state for job in await queue.queue.jobs(["active"])] == ["active"]

    run(scenario())


def test_stats_say_how_a_queue_stands(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            stats = await queue.queue.stats()
            assert (stats.counts.unfinished, stats.paused, stats.oldest_ms) == (0, False, None)
            first = queue.new("j-1")
            await queue.add(first)
            await queue.pass_ms(5)
            await queue.add("j-2")
            await queue.add("p-1", options=JobOptions(priority=1))
            stats = await queue.queue.stats()
            assert (stats.counts.waiting, stats.counts.prioritized) == (2, 1)
            assert stats.oldest_ms == first.timestamp_ms
            assert stats.counts == await queue.queue.counts()
            await queue.take(await queue.consumer(), 3)
            stats = await queue.queue.stats()
            assert (stats.counts.active, stats.oldest_ms) == (3, None)

    run(scenario())


def test_a_store_that_is_there_says_so_at_once(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.queue.open()
            heard: list[str] = []
            available = asyncio.Event()
            stop = queue.queue.watch(available.set, heard.append)
            async with asyncio.timeout(DEADLINE_S):
                await available.wait()
            stop()
            stop()
            assert heard == []

    run(scenario())


def test_a_closed_consumer_lets_others_have_the_jobs(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await consumer.close()
            await consumer.close()
            await queue.add("j-1")
            assert await queue.take_ids(await queue.consumer(), 1) == ["j-1"]

    run(scenario())


# Pause


def test_nobody_begins_a_job_of_a_paused_queue_over_restarts(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.queue.pause()
            await queue.queue.pause()
            assert (await queue.queue.stats()).paused
            await queue.add("j-3")
            await queue.add("d-1", options=JobOptions(delay_ms=1))
            await queue.add("l-1", options=JobOptions(lifo=True))
            await queue.pass_ms(2)
            turn = await queue.turn(consumer, Completed(job), want=5)
            assert not turn.jobs
            assert not turn.lost
            await queue.again()
            assert (await queue.queue.stats()).paused
            consumer = await queue.consumer()
            assert await queue.finds_nothing(consumer)
            assert (await queue.queue.counts()).unfinished == 4
            waiting = asyncio.create_task(queue.take(consumer, 4))
            await queue.pass_ms(20)
            await queue.queue.resume()
            async with asyncio.timeout(DEADLINE_S):
                assert [job.id for job in await waiting] == ["l-1", "j-2", "j-3", "d-1"]
            assert not (await queue.queue.stats()).paused

    run(scenario())


# Logs and progress


def test_a_job_has_a_log_and_says_how_far_it_is(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            for n in range(5):
                await queue.queue.log("j-1", f"line {n}")
            assert await queue.queue.logs("j-1") == [f"line {n}" for n in range(5)]
            assert await queue.queue.logs("j-1", start=1, limit=2) == ["line 1", "line 2"]
            assert await queue.queue.logs("j-2") == []
            await queue.queue.progress("j-1", '{"of": 10}')
            job = await queue.job("j-1")
            assert job.progress is not None
            assert json.loads(job.progress) == {"of": 10}
            with pytest.raises(JobNotFoundError):
                await queue.queue.log("nobody", "line")
            with pytest.raises(JobNotFoundError):
                await queue.queue.progress("nobody", "1")

    run(scenario())


def test_a_failed_job_that_waits_again_is_as_new(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("f-1", options=JobOptions(lifo=True))
            await queue.take(await queue.consumer())
            await queue.again()
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            assert (job.stalled, job.attempts_started) == (1, 2)
            await queue.turn(consumer, Failed(job, "no"))
            await queue.add("j-1")
            await queue.queue.retry()
            (job,) = await queue.take(consumer)
            assert (job.id, job.stalled, job.attempts_started, job.attempts_made) == ("f-1", 0, 1, 0)

    run(scenario())
