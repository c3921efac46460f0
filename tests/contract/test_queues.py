"""What every store of queues keeps to; see `actors/queues/contract.py`. What is BullMQ's means what it means there."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.queues.contract import (
    Added,
    Completed,
    Failed,
    Finish,
    JobNotFoundError,
    Limiter,
    Order,
    Released,
    Retried,
)
from actors.queues.job import (
    MAX_PRIORITY,
    STATES,
    Backoff,
    Deduplication,
    Job,
    JobOptions,
    Keep,
    Scheduler,
    check_id,
)
from tests.loop import Run
from tests.queues import DEADLINE_S, Opens, has_redis, line, redis_place, sqlite_place

STALLED = "job stalled more than allowable limit"
A_WHILE_MS = 200
"""Long enough for what happens before it not to take as long, on a busy machine; it passes in real time for Redis."""
KEPT_LONG = 60_000

# A producer's key begins with the signature of the order that made it; `Order.key_of` returns a key without it.
BY_CUSTOMER = Order("by-customer/", lambda job: str(json.loads(job.data).get("customer", "")))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "redis",
            marks=[
                pytest.mark.live,
                pytest.mark.needs("redis-server"),
                pytest.mark.skipif(not has_redis(), reason="there is no store in Redis"),
            ],
        ),
    ]
)
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opens]:
    if request.param == "redis":
        yield partial(redis_place, request.getfixturevalue("redis_server"), tmp_path)
    else:
        yield partial(sqlite_place, tmp_path)


def of(customer: str) -> dict[str, Any]:
    """What makes a job that customer's, with the key that its producer gave it."""
    return {"data": json.dumps({"customer": customer}), "key": f"by-customer/{customer}"}


# Producers


def test_a_job_is_kept_as_it_was_added(run: Run, opens: Opens) -> None:
    options = JobOptions(
        priority=7,
        attempts=5,
        backoff=Backoff("exponential", 1_000, 0.5),
        keep_completed=Keep(10, 60),
        keep_failed=Keep(age_s=3_600),
        others={"stackTraceLimit": 3},
    )

    async def scenario() -> None:
        async with line(opens) as queue:
            new = queue.new("pm-1", options, name="order.paid", data='{"n": [1, 2.5, null]}', envelope='{"id":"m"}')
            assert await queue.add(new) == ["pm-1"]
            job = await queue.job("pm-1")
            assert (job.id, job.name, json.loads(job.data)) == ("pm-1", "order.paid", {"n": [1, 2.5, None]})
            assert (job.envelope, job.timestamp_ms, job.options) == ('{"id":"m"}', new.timestamp_ms, options)
            assert (job.state, job.attempts_made, job.attempts_started, job.stalled) == ("prioritized", 0, 0, 0)
            assert (job.processed_ms, job.finished_ms, job.failed_reason, job.return_value) == (None,) * 4
            assert (job.stacktrace, job.doomed, job.parked, job.scheduler) == ((), None, False, None)
            (claimed,) = await queue.take(await queue.consumer())
            assert (claimed.data, claimed.envelope, claimed.options) == (job.data, job.envelope, options)

    run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        '"Zażółć 🦊 \\u0000 \\u001e\\u001f"',
        '"\u2028\x7f"',
        " [1,\n\t2] ",
        "12345678901234567890.5",
        '"' + "x" * 5_000_000 + '"',
    ],
    ids=["unicode", "separators", "spaces", "number", "large"],
)
def test_data_comes_back_to_the_letter(data: str, run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(queue.new("a-1", data=data, name="n:🦊", envelope='{"ü":"\\u001e"}'), "a-2")
            jobs = await queue.take(await queue.consumer(), 2)
            assert [job.id for job in jobs] == ["a-1", "a-2"]
            assert (jobs[0].data, jobs[0].name, jobs[0].envelope) == (data, "n:🦊", '{"ü":"\\u001e"}')
            assert (await queue.job("a-1")).data == data

    run(scenario())


def test_a_job_without_an_id_is_given_one_that_bullmq_takes(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            ids = await queue.add(*[""] * 20)
            assert len(set(ids)) == 20
            assert await queue.take_ids(await queue.consumer(), 20) == ids
            if queue.queue.kind == "sqlite":
                for id in ids:
                    check_id(id)

    run(scenario())


def test_what_is_added_in_one_turn_is_kept_in_its_order(run: Run, opens: Opens) -> None:
    ids = [f"j-{n}" for n in range(300)]

    async def scenario() -> None:
        async with line(opens) as queue:
            assert await queue.add(*ids) == ids
            assert await queue.take_ids(await queue.consumer(), 300) == ids

    run(scenario())


def test_each_kind_of_job_keeps_its_place_among_others_added_in_the_same_turn(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            deduplicated = [queue.new(f"d-{n}", JobOptions(deduplication=Deduplication(f"only-{n}"))) for n in range(3)]
            await queue.add("a-1", deduplicated[0], "a-2", deduplicated[1], deduplicated[2], "a-3")
            assert await queue.take_ids(await queue.consumer(), 6) == ["a-1", "d-0", "a-2", "d-1", "d-2", "a-3"]

    run(scenario())


def test_a_job_whose_id_is_there_is_not_added_again_and_told_as_added(run: Run, opens: Opens) -> None:
    """Whatever has become of the first one meanwhile."""

    async def scenario() -> None:
        async with line(opens) as queue:
            first, other = queue.new("j-1", data="1"), queue.new("j-1", data="2")
            assert await queue.submit(first, other) == [Added("j-1"), Added("j-1")]
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            assert job.data == "1"
            assert await queue.add(other) == ["j-1"]
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Completed(job))
            assert await queue.add(other) == ["j-1"]
            assert await queue.finds_nothing(consumer)
            assert (await queue.job("j-1")).state == "completed"
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.active, counts.completed) == (0, 0, 1)

    run(scenario())


def test_the_id_of_a_job_that_is_gone_can_be_used_again(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1")
            await queue.queue.remove("j-1")
            await queue.add(queue.new("j-1", data="2"))
            consumer = await queue.consumer(keep_completed=Keep(0))
            (job,) = await queue.take(consumer)
            assert job.data == "2"
            await queue.turn(consumer, Completed(job))
            await queue.add(queue.new("j-1", data="3"))
            (job,) = await queue.take(consumer)
            assert job.data == "3"

    run(scenario())


def test_queues_of_other_names_are_other_queues(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            other = await queue.place.queue("letters")
            await queue.add("j-1")
            assert await other.job("j-1") is None
            assert (await other.counts()).unfinished == 0
            await other.pause()
            assert not (await queue.queue.stats()).paused
            assert (queue.queue.name, other.name) == ("orders", "letters")
            await other.close()

    run(scenario())


def test_everything_is_there_after_a_restart(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("done-1", "bad-1")
            consumer = await queue.consumer()
            done, bad = await queue.take(consumer, 2)
            await queue.turn(consumer, Completed(done, "[1]"), Failed(bad, "no", "stack"))
            await queue.add("a-1", "a-2", "a-3")
            await queue.add("p-2", options=JobOptions(priority=2))
            await queue.add("p-1", options=JobOptions(priority=1))
            await queue.add("d-1", options=JobOptions(delay_ms=KEPT_LONG))
            await queue.queue.log("a-1", "a line")
            await queue.queue.progress("a-1", "50")
            await queue.again()
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.prioritized, counts.delayed) == (3, 2, 1)
            assert (counts.active, counts.completed, counts.failed) == (0, 1, 1)
            assert (await queue.job("done-1")).return_value == "[1]"
            assert (await queue.job("bad-1")).failed_reason == "no"
            assert (await queue.queue.logs("a-1"), (await queue.job("a-1")).progress) == (["a line"], "50")
            await queue.add("a-4", "a-1")
            consumer = await queue.consumer()
            assert await queue.take_ids(consumer, 6) == ["a-1", "a-2", "a-3", "a-4", "p-1", "p-2"]
            assert await queue.finds_nothing(consumer)

    run(scenario())


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


# Delays


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


# Ends of attempts


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


# What is kept of finished jobs


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


# Deduplication


def test_one_job_for_a_deduplication_id_until_it_has_finished(run: Run, opens: Opens) -> None:
    once = JobOptions(deduplication=Deduplication("only"))

    async def scenario() -> None:
        async with line(opens) as queue:
            assert await queue.add("j-1", "j-2", options=once) == ["j-1", "j-1"]
            await queue.add("j-other", options=JobOptions(deduplication=Deduplication("another")))
            consumer = await queue.consumer()
            job, other = await queue.take(consumer, 2)
            assert await queue.add("j-3", options=once) == ["j-1"]
            await queue.turn(consumer, Retried(job, 0, "no"))
            assert await queue.add("j-4", options=once) == ["j-1"]
            (job,) = await queue.take(consumer)
            assert job.options.deduplication == Deduplication("only")
            await queue.turn(consumer, Completed(job), Completed(other))
            assert await queue.add("j-5", options=once) == ["j-5"]
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Failed(job, "no"))
            assert await queue.add("j-6", options=once) == ["j-6"]
            assert await queue.ids("waiting") == ["j-6"]

    run(scenario())


def test_a_deduplication_id_is_free_when_its_job_is_removed(run: Run, opens: Opens) -> None:
    once = JobOptions(deduplication=Deduplication("only"))

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", options=once)
            await queue.queue.remove("j-1")
            assert await queue.add("j-2", options=once) == ["j-2"]
            await queue.queue.clear(["waiting"])
            assert await queue.add("j-3", options=once) == ["j-3"]

    run(scenario())


def test_deduplication_holds_over_a_restart(run: Run, opens: Opens) -> None:
    once = JobOptions(deduplication=Deduplication("only"))

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", options=once)
            await queue.again()
            assert await queue.add("j-2", options=once) == ["j-1"]

    run(scenario())


def test_throttle_is_one_job_in_so_long_a_time_finished_or_not(run: Run, opens: Opens) -> None:
    throttled = JobOptions(deduplication=Deduplication("only", ttl_ms=2 * A_WHILE_MS))

    async def scenario() -> None:
        async with line(opens) as queue:
            assert await queue.add("j-1", options=throttled) == ["j-1"]
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Completed(job))
            assert await queue.add("j-2", options=throttled) == ["j-1"]
            await queue.pass_ms(2 * A_WHILE_MS + 20)
            assert await queue.add("j-3", options=throttled) == ["j-3"]

    run(scenario())


def test_extend_begins_the_time_anew_with_each_that_comes(run: Run, opens: Opens) -> None:
    extended = JobOptions(deduplication=Deduplication("only", ttl_ms=3 * A_WHILE_MS, extend=True))

    async def scenario() -> None:
        async with line(opens) as queue:
            assert await queue.add("j-1", options=extended) == ["j-1"]
            for n in range(2, 4):
                await queue.pass_ms(2 * A_WHILE_MS)
                assert await queue.add(f"j-{n}", options=extended) == ["j-1"]
            await queue.pass_ms(3 * A_WHILE_MS + 20)
            assert await queue.add("j-9", options=extended) == ["j-9"]

    run(scenario())


def test_debounce_keeps_the_last_one_and_its_delay_begins_with_it(run: Run, opens: Opens) -> None:
    debounced = JobOptions(
        delay_ms=2 * A_WHILE_MS,
        deduplication=Deduplication("only", ttl_ms=2 * A_WHILE_MS, extend=True, replace=True),
    )

    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            for n in range(3):
                assert await queue.add(queue.new(f"j-{n}", debounced, data=str(n))) == [f"j-{n}"]
                assert await queue.finds_nothing(consumer)
                await queue.pass_ms(A_WHILE_MS)
            assert await queue.ids("delayed") == ["j-2"]
            await queue.pass_ms(A_WHILE_MS)
            (job,) = await queue.take(consumer)
            assert (job.id, job.data) == ("j-2", "2")
            assert (await queue.queue.counts()).unfinished == 1

    run(scenario())


def test_replace_leaves_a_job_alone_that_is_not_delayed_any_more(run: Run, opens: Opens) -> None:
    options = JobOptions(delay_ms=A_WHILE_MS, deduplication=Deduplication("only", ttl_ms=KEPT_LONG, replace=True))

    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("j-1", options=options)
            await queue.pass_ms(A_WHILE_MS)
            (job,) = await queue.take(consumer)
            assert await queue.add("j-2", options=options) == ["j-1"]
            assert not (await queue.turn(consumer, Completed(job))).lost
            assert await queue.ids(*STATES) == ["j-1"]

    run(scenario())


def test_the_last_of_those_that_came_while_a_job_was_active_runs_behind_it(run: Run, opens: Opens) -> None:
    options = JobOptions(deduplication=Deduplication("only", keep_last_if_active=True))

    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add(queue.new("j-1", options, data="1"))
            assert await queue.add(queue.new("w-1", options, data="0")) == ["j-1"]
            (job,) = await queue.take(consumer)
            await queue.add(queue.new("j-2", options, data="2"), queue.new("j-3", options, data="3"))
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Completed(job))
            (job,) = await queue.take(consumer)
            assert job.data == "3"
            assert (await queue.queue.counts()).unfinished == 1
            assert await queue.add("j-4", options=options) == [job.id]
            await queue.turn(consumer, Failed(job, "no"))
            (job,) = await queue.take(consumer)
            await queue.turn(consumer, Completed(job))
            assert (await queue.queue.counts()).unfinished == 0
            assert await queue.add("j-5", options=options) == ["j-5"]

    run(scenario())


# The limiter


def test_a_limiter_lets_so_many_jobs_begin_in_so_long_a_time(run: Run, opens: Opens) -> None:
    limiter = Limiter(3, 2 * A_WHILE_MS)

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[f"j-{n}" for n in range(8)])
            one, other = await queue.consumer(limiter=limiter), await queue.consumer(limiter=limiter)
            assert await queue.take_ids(one, 2) == ["j-0", "j-1"]
            turn = await queue.turn(other, want=5)
            assert [job.id for job in turn.jobs] == ["j-2"]
            assert turn.wait_ms is not None
            assert 0 < turn.wait_ms <= 2 * A_WHILE_MS
            turn = await queue.turn(one, *map(Completed, turn.jobs), want=5)
            assert not turn.jobs
            assert turn.wait_ms is not None
            await queue.pass_ms(2 * A_WHILE_MS + 20)
            assert [job.id for job in (await queue.turn(one, want=5)).jobs] == ["j-3", "j-4", "j-5"]

    run(scenario())


def test_a_limiter_wakes_its_consumer_when_its_time_is_over(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            consumer = await queue.consumer(limiter=Limiter(1, A_WHILE_MS))
            assert await queue.take_ids(consumer, 1) == ["j-1"]
            waiting = asyncio.create_task(queue.take(consumer))
            async with asyncio.timeout(DEADLINE_S):
                while not waiting.done():
                    await queue.pass_ms(20)
            assert [job.id for job in await waiting] == ["j-2"]

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


# Locks, and jobs whose worker died


def test_jobs_of_a_process_that_died_come_back_in_front_when_its_successor_begins(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2", "j-3")
            await queue.add("p-1", options=JobOptions(priority=1))
            await queue.take(await queue.consumer(), 2)
            await queue.again()
            jobs = await queue.take(await queue.consumer(), 4)
            assert sorted(job.id for job in jobs[:2]) == ["j-1", "j-2"]
            assert [job.id for job in jobs[2:]] == ["j-3", "p-1"]
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


# Order by key


def test_jobs_of_one_key_are_worked_one_after_the_other(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            for id, customer in {"a-1": "a", "a-2": "a", "b-1": "b", "a-3": "a", "b-2": "b"}.items():
                await queue.add(queue.new(id, **of(customer)))
            consumer = await queue.consumer(order=BY_CUSTOMER)
            a, b = await queue.take(consumer, 2)
            assert (a.id, b.id) == ("a-1", "b-1")
            assert await queue.finds_nothing(consumer)
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.parked, counts.active) == (3, 3, 2)
            parked = await queue.job("a-2")
            assert (parked.state, parked.parked) == ("waiting", True)
            turn = await queue.turn(consumer, Completed(a), want=5)
            assert [job.id for job in turn.jobs] == ["a-2"]
            turn = await queue.turn(consumer, Failed(b, "no"), want=5)
            assert [job.id for job in turn.jobs] == ["b-2"]
            assert await queue.finds_nothing(consumer)

    run(scenario())


def test_the_key_of_a_job_is_made_where_its_producer_gave_none_or_another_orders(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            data = json.dumps({"customer": "a"})
            await queue.add(
                queue.new("a-1", data=data),
                queue.new("b-1", **of("b")),
                queue.new("a-2", data=data, key="by-somebody/b"),
                queue.new("a-3", **of("a")),
                queue.new("c-1", data='{"customer": "c"}'),
            )
            consumer = await queue.consumer(order=BY_CUSTOMER)
            first, *others = await queue.take(consumer, 3)
            assert [first.id, *(job.id for job in others)] == ["a-1", "b-1", "c-1"]
            assert await queue.finds_nothing(consumer)
            turn = await queue.turn(consumer, Completed(first), want=5)
            assert [job.id for job in turn.jobs] == ["a-2"]

    run(scenario())


def test_an_empty_key_orders_nothing(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2", queue.new("j-3", key="by-customer/"))
            consumer = await queue.consumer(order=BY_CUSTOMER)
            assert await queue.take_ids(consumer, 3) == ["j-1", "j-2", "j-3"]

    run(scenario())


def test_a_key_waits_for_the_retry_of_its_job(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)], queue.new("b-0", **of("b")))
            consumer = await queue.consumer(order=BY_CUSTOMER)
            a, b = await queue.take(consumer, 2)
            turn = await queue.turn(consumer, Retried(a, A_WHILE_MS, "no"), Completed(b), want=5)
            assert not turn.jobs
            await queue.pass_ms(A_WHILE_MS + 20)
            (a,) = await queue.take(consumer)
            assert (a.id, a.attempts_made) == ("a-0", 1)
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Retried(a, 0, "no"))
            (a,) = await queue.take(consumer)
            assert a.id == "a-0"
            turn = await queue.turn(consumer, Failed(a, "no"), want=5)
            assert [job.id for job in turn.jobs] == ["a-1"]

    run(scenario())


def test_a_released_job_keeps_its_place_before_others_of_its_key(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Released(a))
            for n in range(3):
                (a,) = (await queue.turn(consumer, want=5)).jobs
                assert a.id == f"a-{n}"
                await queue.turn(consumer, Completed(a))

    run(scenario())


def test_the_next_of_a_key_comes_before_all_that_wait(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(queue.new("a-0", **of("a")), queue.new("a-1", **of("a")))
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.add(queue.new("b-0", **of("b")), queue.new("a-2", **of("a")))
            turn = await queue.turn(consumer, Completed(a), want=1)
            assert [job.id for job in turn.jobs] == ["a-1"]
            assert await queue.take_ids(consumer, 1) == ["b-0"]
            assert await queue.finds_nothing(consumer)

    run(scenario())


def test_consumers_of_one_process_keep_the_order_together(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)])
            old, new = await queue.consumer(order=BY_CUSTOMER), await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(old)
            assert await queue.finds_nothing(new)
            waiting = asyncio.create_task(queue.take(new))
            await queue.pass_ms(20)
            await queue.turn(old, Completed(a))
            async with asyncio.timeout(DEADLINE_S):
                assert [job.id for job in await waiting] == ["a-1"]
            assert await queue.finds_nothing(old)

    run(scenario())


@pytest.mark.parametrize("state", ["active", "delayed"])
def test_the_order_holds_over_a_restart(state: str, run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            if state == "delayed":
                await queue.turn(consumer, Retried(a, 3 * A_WHILE_MS, "no"))
            await queue.again()
            assert (await queue.queue.counts()).parked == 2
            consumer = await queue.consumer(order=BY_CUSTOMER)
            if state == "delayed":
                assert await queue.finds_nothing(consumer)
                await queue.pass_ms(3 * A_WHILE_MS + 20)
            for n in range(3):
                (a,) = await queue.take(consumer)
                assert a.id == f"a-{n}"
                assert await queue.finds_nothing(consumer)
                await queue.turn(consumer, Completed(a))

    run(scenario())


def test_the_next_of_a_key_comes_when_the_one_before_it_is_removed(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(4)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Retried(a, KEPT_LONG, "no"))
            await queue.queue.remove("a-1")
            await queue.queue.remove("a-0")
            assert await queue.take_ids(consumer, 1) == ["a-2"]
            assert await queue.finds_nothing(consumer)
            assert await queue.queue.clear(["waiting"]) == 1
            assert (await queue.queue.counts()).parked == 0

    run(scenario())


def test_parked_jobs_are_listed_among_the_waiting_ones(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            assert [(job.id, job.parked) for job in await queue.queue.jobs(["waiting"])] == [
                ("a-1", True),
                ("a-2", True),
            ]
            assert (await queue.queue.stats()).oldest_ms == (await queue.job("a-1")).timestamp_ms

    run(scenario())


def test_a_consumer_without_an_order_is_not_held_up_by_keys(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)])
            assert await queue.take_ids(await queue.consumer(), 3) == ["a-0", "a-1", "a-2"]

    run(scenario())


def test_many_keys_are_all_worked_and_each_in_its_order(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            jobs = [queue.new(f"{customer}-{n}", **of(customer)) for n in range(15) for customer in "abcdefgh"]
            await queue.add(*jobs)
            worked: dict[str, list[int]] = {}
            active: set[str] = set()

            async def work(name: str) -> None:
                consumer = await queue.consumer(order=BY_CUSTOMER, name=name)
                held: list[Job] = []
                while sum(map(len, worked.values())) + len(held) < len(jobs):
                    turn = await consumer.turn([Completed(job) for job in held], 3)
                    for job in held:
                        active.discard(job.id[0])
                    held = list(turn.jobs)
                    for job in held:
                        customer, number = job.id.split("-")
                        assert customer not in active
                        active.add(customer)
                        worked.setdefault(customer, []).append(int(number))
                    await asyncio.sleep(0)
                    if sum(map(len, worked.values())) >= len(jobs):
                        await consumer.turn([Completed(job) for job in held], 0)
                        return

            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(work("one"), work("two"), work("three"))
            assert worked == {customer: list(range(15)) for customer in "abcdefgh"}

    run(scenario())


# Schedulers


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
