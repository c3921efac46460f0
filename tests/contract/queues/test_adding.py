"""How jobs get into a queue, whichever store it is in."""

import json

import pytest

from actors.queues.contract import Added, Completed, Failed
from actors.queues.job import Backoff, Deduplication, JobOptions, Keep, check_id
from tests.loop import Run
from tests.queues import KEPT_LONG, Opens, line


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
