"""How attempts end: completed, failed, retried, released; and whose they were to end."""

from actors.queues.contract import Completed, Failed, Finish, Released, Retried
from actors.queues.job import JobOptions
from tests.loop import Run
from tests.queues import A_WHILE_MS, KEPT_LONG, Opens, line


def test_a_completed_job_says_what_became_of_it(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            before = queue.now_ms
            await queue.add("j-1")
            consumer = await queue.consumer(name="worker-7")
            (job,) = await queue.take(consumer)
            assert (job.attempts_started, job.attempts_made, job.worker) == (1, 0, "worker-7")
            turn = await queue.turn(consumer, Completed(job, '{"sent": true}'))
            assert not turn.lost
            done = await queue.job("j-1")
            assert (done.state, done.return_value, done.worker) == ("completed", '{"sent": true}', "worker-7")
            assert (done.attempts_made, done.attempts_started, done.failed_reason) == (1, 1, None)
            assert done.processed_ms is not None
            assert done.finished_ms is not None
            assert before <= done.processed_ms <= done.finished_ms <= queue.now_ms

    run(scenario())


def test_a_failed_job_says_why(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            assert not (await queue.turn(consumer, Failed(job, "404 — nöpe", "line 1\nline 2"))).lost
            failed = await queue.job("j-1")
            assert (failed.state, failed.failed_reason) == ("failed", "404 — nöpe")
            assert failed.stacktrace == ("line 1\nline 2",)
            assert (failed.attempts_made, failed.attempts_started) == (1, 1)
            assert failed.finished_ms is not None

    run(scenario())


def test_a_retried_job_is_delayed_and_comes_back_with_what_it_has_done(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", options=JobOptions(attempts=3))
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Retried(job, A_WHILE_MS, "first", "stack 1", '["a"]'))
            delayed = await queue.job("j-1")
            assert (delayed.state, delayed.failed_reason, delayed.attempts_made) == ("delayed", "first", 1)
            assert delayed.stacktrace == ("stack 1",)
            assert await queue.finds_nothing(consumer)
            await queue.pass_ms(A_WHILE_MS)
            (job,) = await queue.take(consumer)
            assert (job.attempts_made, job.attempts_started, job.done) == (1, 2, '["a"]')
            await queue.turn(consumer, Retried(job, 0, "second", "stack 2"))
            (job,) = await queue.take(consumer)
            assert (job.attempts_made, job.attempts_started, job.done) == (2, 3, '["a"]')
            await queue.turn(consumer, Failed(job, "third", "stack 3"))
            failed = await queue.job("j-1")
            assert (failed.state, failed.attempts_made, failed.failed_reason) == ("failed", 3, "third")
            assert failed.stacktrace == ("stack 1", "stack 2", "stack 3")

    run(scenario())


def test_a_job_that_is_retried_at_once_waits_behind_the_others(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Retried(job, 0, "no"))
            assert await queue.take_ids(consumer, 2) == ["j-2", "j-1"]

    run(scenario())


def test_released_jobs_are_back_where_they_came_from_and_no_attempt_counts(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2", "j-3", "j-4")
            await queue.add("p-1", "p-2", "p-3", options=JobOptions(priority=1))
            consumer = await queue.consumer()
            jobs = await queue.take(consumer, 6)
            released = [job for job in jobs if job.id != "j-1"]
            assert not (await queue.turn(consumer, *map(Released, released))).lost
            assert (await queue.job("p-1")).state == "prioritized"
            again = await queue.take(consumer, 6)
            assert [job.id for job in again] == ["j-2", "j-3", "j-4", "p-1", "p-2", "p-3"]
            assert {job.attempts_made for job in again} == {0}
            assert {job.stalled for job in again} == {0}

    run(scenario())


def test_one_exchange_finishes_and_claims(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[f"j-{n}" for n in range(8)])
            consumer = await queue.consumer()
            jobs = await queue.take(consumer, 4)
            finished: list[Finish] = [
                Completed(jobs[0]),
                Failed(jobs[1], "no"),
                Retried(jobs[2], KEPT_LONG, "wait"),
                Released(jobs[3]),
            ]
            turn = await queue.turn(consumer, *finished, want=3)
            assert [job.id for job in turn.jobs] == ["j-3", "j-4", "j-5"]
            counts = await queue.queue.counts()
            assert (counts.completed, counts.failed, counts.delayed, counts.active, counts.waiting) == (1, 1, 1, 3, 2)

    run(scenario())


def test_what_is_finished_twice_or_by_somebody_else_is_told_as_lost(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            mine, other = await queue.consumer(), await queue.consumer(name="other")
            first, second = await queue.take(mine, 2)
            assert not (await queue.turn(mine, Completed(first))).lost
            assert list((await queue.turn(mine, Failed(first, "no"), Completed(second))).lost) == ["j-1"]
            assert (await queue.job("j-1")).state == "completed"
            await queue.add("j-3")
            (third,) = await queue.take(mine)
            for finish in (Completed(third), Failed(third, "no"), Retried(third, 0, "no"), Released(third)):
                assert list((await queue.turn(other, finish)).lost) == ["j-3"]
            assert not (await queue.turn(mine, Completed(third))).lost

    run(scenario())


def test_released_jobs_of_one_priority_keep_their_order_whatever_their_names(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("p-9", "p-1", "p-5", "p-2", options=JobOptions(priority=3))
            consumer = await queue.consumer()
            for _ in range(2):
                jobs = await queue.take(consumer, 3)
                assert [job.id for job in jobs] == ["p-9", "p-1", "p-5"]
                await queue.turn(consumer, *map(Released, jobs))
            assert await queue.take_ids(consumer, 4) == ["p-9", "p-1", "p-5", "p-2"]
            assert await queue.finds_nothing(consumer)

    run(scenario())


def test_a_job_that_comes_back_in_the_turn_that_gave_it_back_is_in_hand(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            for finish in (Retried(job, 0, "no"), Released(job)):
                turn = await queue.turn(consumer, finish, want=1)
                assert ([job.id for job in turn.jobs], list(turn.lost)) == (["j-1"], [])
                assert list(await consumer.renew([job])) == []
            assert not (await queue.turn(consumer, Completed(job))).lost

    run(scenario())


def test_what_is_due_comes_before_what_is_tried_again_at_once(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            await queue.add("d-1", options=JobOptions(delay_ms=1))
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.pass_ms(A_WHILE_MS)
            await queue.turn(consumer, Retried(job, 0, "no"))
            assert await queue.take_ids(consumer, 2) == ["d-1", "j-1"]

    run(scenario())
