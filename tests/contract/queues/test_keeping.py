"""What is kept of finished jobs."""

from typing import Any

import pytest

from actors.queues.contract import Completed, Failed
from actors.queues.job import STATES, JobOptions, Keep
from tests.loop import Run
from tests.queues import Opens, line


def test_a_consumer_that_keeps_none_leaves_no_trace_of_a_job(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            consumer = await queue.consumer(keep_completed=Keep(0), keep_failed=Keep(0))
            first, second = await queue.take(consumer, 2)
            await queue.queue.log("j-1", "a line")
            await queue.turn(consumer, Completed(first), Failed(second, "no"))
            assert await queue.ids(*STATES) == []
            assert await queue.queue.job("j-1") is None
            await queue.add("j-1")
            assert await queue.queue.logs("j-1") == []

    run(scenario())


def test_the_newest_of_finished_jobs_are_kept(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer(keep_completed=Keep(2), keep_failed=Keep(1))
            for n in range(4):
                await queue.add(f"c-{n}", f"f-{n}")
                completed, failed = await queue.take(consumer, 2)
                await queue.turn(consumer, Completed(completed), Failed(failed, "no"))
                await queue.pass_ms(2)
            assert await queue.ids("completed") == ["c-3", "c-2"]
            assert await queue.ids("failed") == ["f-3"]
            assert (await queue.queue.counts()).completed == 2

    run(scenario())


def test_what_a_job_says_of_its_keeping_comes_before_what_the_consumer_says(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer(keep_completed=Keep(0), keep_failed=Keep(5))
            await queue.add("kept-1", options=JobOptions(keep_completed=Keep()))
            await queue.add("gone-1", options=JobOptions(keep_failed=Keep(0)))
            kept, gone = await queue.take(consumer, 2)
            await queue.turn(consumer, Completed(kept), Failed(gone, "no"))
            assert await queue.ids("completed", "failed") == ["kept-1"]

    run(scenario())


@pytest.mark.parametrize("ends", ["completed", "failed"])
def test_finished_jobs_that_are_too_old_go_when_another_one_finishes(ends: Any, run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer(keep_completed=Keep(age_s=1), keep_failed=Keep(age_s=1))
            for id in ("old-1", "old-2", "new-1"):
                await queue.add(id)
                (job,) = await queue.take(consumer)
                if id == "new-1":
                    await queue.pass_ms(1_100)
                await queue.turn(consumer, Completed(job) if ends == "completed" else Failed(job, "no"))
            assert await queue.ids(ends) == ["new-1"]

    run(scenario())
