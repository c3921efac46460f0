"""When a delayed job is due."""

from actors.queues.contract import Retried
from actors.queues.job import JobOptions
from tests.loop import Run
from tests.queues import KEPT_LONG, Opens, line


def test_a_delayed_job_says_when_it_is_due(run: Run, opens: Opens) -> None:
    """Alone, and in a page of jobs; over a restart, too. A job in another state is not due at any time."""

    async def scenario() -> None:
        async with line(opens) as queue:
            later = queue.new("later", JobOptions(delay_ms=KEPT_LONG))
            await queue.add(later, queue.new("latest", JobOptions(delay_ms=2 * KEPT_LONG, priority=3)), "now")
            due_ms = later.timestamp_ms + KEPT_LONG
            assert (await queue.job("later")).due_ms == due_ms
            assert (await queue.job("now")).due_ms is None
            page = await queue.queue.jobs(["waiting", "delayed"])
            assert [(job.id, job.due_ms is not None) for job in page] == [
                ("now", False),
                ("later", True),
                ("latest", True),
            ]
            assert page[1].due_ms == due_ms
            await queue.again()
            assert (await queue.job("later")).due_ms == due_ms
            await queue.queue.promote(["latest"])
            assert (await queue.job("latest")).due_ms is None

    run(scenario())


def test_many_jobs_of_one_moment_are_due_then(run: Run, opens: Opens) -> None:
    """Though a store may have to tell them apart to keep their order."""

    async def scenario() -> None:
        async with line(opens) as queue:
            new = [queue.new(f"j-{at}", JobOptions(delay_ms=KEPT_LONG)) for at in range(50)]
            await queue.add(*new)
            page = await queue.queue.jobs(["delayed"])
            assert [(job.id, job.due_ms) for job in page] == [(job.id, job.timestamp_ms + KEPT_LONG) for job in new]

    run(scenario())


def test_a_job_that_waits_for_its_next_attempt_is_due_then(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(queue.new("a", JobOptions(attempts=2)))
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            assert job.due_ms is None
            before_ms = queue.now_ms
            await queue.turn(consumer, Retried(job, KEPT_LONG, "503"))
            due_ms = (await queue.job("a")).due_ms
            assert due_ms is not None
            assert before_ms + KEPT_LONG <= due_ms <= queue.now_ms + KEPT_LONG

    run(scenario())
