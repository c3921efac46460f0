"""Schedulers: each makes one job after the other."""

import json

from actors.queues.contract import Completed
from actors.queues.job import Job, JobOptions, Scheduler
from tests.loop import Run
from tests.queues import A_WHILE_MS, Opens, line


def test_a_scheduler_makes_one_job_after_the_other(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            options = JobOptions(attempts=2, priority=3)
            await queue.queue.schedule(Scheduler("tick", "tick.job", '{"n": 1}', every_ms=A_WHILE_MS, options=options))
            seen: list[Job] = []
            for _ in range(3):
                await queue.pass_ms(A_WHILE_MS + 20)
                (job,) = await queue.take(consumer)
                await queue.turn(consumer, Completed(job))
                seen.append(job)
                assert (await queue.queue.counts()).unfinished == 1
            assert {(job.name, json.loads(job.data)["n"], job.scheduler) for job in seen} == {("tick.job", 1, "tick")}
            assert {(job.options.attempts, job.options.priority) for job in seen} == {(2, 3)}
            assert len({job.id for job in seen}) == 3

    run(scenario())


def test_what_a_scheduler_missed_is_not_made_up_for(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.queue.schedule(Scheduler("tick", "tick", "{}", every_ms=A_WHILE_MS // 2))
            await queue.pass_ms(4 * A_WHILE_MS)
            await queue.again()
            consumer = await queue.consumer()
            await queue.take(consumer)
            counts = await queue.queue.counts()
            assert (counts.active, counts.waiting + counts.prioritized, counts.delayed) == (1, 0, 1)
            (scheduler,) = await queue.queue.schedulers()
            assert scheduler.next_ms is not None
            assert scheduler.next_ms <= queue.now_ms + A_WHILE_MS // 2
            await queue.pass_ms(A_WHILE_MS // 2 + 20)
            assert await queue.take(consumer)

    run(scenario())


def test_a_cron_scheduler_is_due_when_its_expression_says(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.queue.schedule(Scheduler("hourly", "job", "[1]", cron="0 * * * *", zone="Europe/Warsaw"))
            await queue.queue.schedule(Scheduler("daily", "job", "[1]", cron="30 0 5 * * *"))
            assert (await queue.queue.counts()).delayed == 2
            daily, hourly = sorted(await queue.queue.schedulers(), key=lambda each: each.id)
            assert (hourly.cron, hourly.zone, hourly.every_ms, json.loads(hourly.data)) == (
                "0 * * * *",
                "Europe/Warsaw",
                None,
                [1],
            )
            assert hourly.next_ms is not None
            assert daily.next_ms is not None
            assert hourly.next_ms % 3_600_000 == 0
            assert 0 < hourly.next_ms - queue.now_ms <= 3_600_000
            assert daily.next_ms % 86_400_000 == 5 * 3_600_000 + 30_000
            if queue.place.clock is not None:
                await queue.pass_ms(hourly.next_ms - queue.now_ms)
                assert (await queue.take(await queue.consumer()))[0].scheduler == "hourly"

    run(scenario())


def test_a_scheduler_takes_the_place_of_the_one_of_its_id(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.queue.schedule(Scheduler("tick", "old", "{}", cron="0 0 1 1 *"))
            await queue.queue.schedule(Scheduler("tick", "new", "{}", every_ms=A_WHILE_MS))
            (scheduler,) = await queue.queue.schedulers()
            assert (scheduler.name, scheduler.every_ms, scheduler.cron) == ("new", A_WHILE_MS, None)
            assert (await queue.queue.counts()).unfinished == 1
            await queue.pass_ms(A_WHILE_MS + 20)
            (job,) = await queue.take(await queue.consumer())
            assert job.name == "new"

    run(scenario())


def test_an_ended_scheduler_makes_no_more_jobs_and_takes_back_the_one_that_waits_for_its_time(
    run: Run, opens: Opens
) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.queue.schedule(Scheduler("yearly", "job", "{}", cron="0 0 1 1 *"))
            assert (await queue.queue.counts()).delayed == 1
            assert await queue.queue.unschedule("yearly")
            assert not await queue.queue.unschedule("yearly")
            assert await queue.queue.schedulers() == []
            assert (await queue.queue.counts()).unfinished == 0

    run(scenario())


def test_schedulers_go_on_after_a_restart(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.queue.schedule(Scheduler("tick", "job", "{}", every_ms=A_WHILE_MS))
            await queue.again()
            (scheduler,) = await queue.queue.schedulers()
            assert scheduler.id == "tick"
            consumer = await queue.consumer()
            for _ in range(2):
                await queue.pass_ms(A_WHILE_MS + 20)
                (job,) = await queue.take(consumer)
                await queue.turn(consumer, Completed(job))
                assert job.scheduler == "tick"

    run(scenario())
