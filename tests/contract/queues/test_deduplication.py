"""One job for a deduplication id, in each of BullMQ's modes."""

from actors.queues.contract import Completed, Failed, Retried
from actors.queues.job import STATES, Deduplication, JobOptions
from tests.loop import Run
from tests.queues import A_WHILE_MS, KEPT_LONG, Opens, line


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


def test_the_one_that_runs_behind_another_keeps_all_it_has_whatever_the_first_one_asked_for(
    run: Run, opens: Opens
) -> None:
    behind = JobOptions(delay_ms=A_WHILE_MS, deduplication=Deduplication("only", keep_last_if_active=True))

    async def scenario() -> None:
        async with line(opens) as queue:
            consumer = await queue.consumer()
            await queue.add("j-1", options=JobOptions(deduplication=Deduplication("only")))
            (job,) = await queue.take(consumer)
            new = queue.new("j-2", behind, data="2", envelope='{"id":"m-2"}', key="by-customer/a")
            assert await queue.add(new) == ["j-1"]
            await queue.turn(consumer, Completed(job))
            following = await queue.job("j-2")
            assert (following.state, following.data) == ("delayed", "2")
            assert (following.envelope, following.key) == ('{"id":"m-2"}', "by-customer/a")
            await queue.pass_ms(A_WHILE_MS + 20)
            assert await queue.take_ids(consumer, 1) == ["j-2"]

    run(scenario())
