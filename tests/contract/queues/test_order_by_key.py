"""Jobs of one key, one after the other."""

import asyncio
import json
from dataclasses import replace

import pytest

from actors.queues.contract import Completed, Failed, Order, Released, Retried
from actors.queues.job import Deduplication, Job, JobOptions
from tests.loop import Run
from tests.queues import A_WHILE_MS, BY_CUSTOMER, DEADLINE_S, KEPT_LONG, Opens, line, of


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
                    # As soon as they are finished another one may have the next ones, and be told so first.
                    for job in held:
                        active.discard(job.id[0])
                    turn = await consumer.turn([Completed(job) for job in held], 3)
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


def test_the_next_of_a_key_has_its_own_priority(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            low = JobOptions(priority=2)
            await queue.add(queue.new("a-0", low, **of("a")), queue.new("a-1", low, **of("a")))
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.add(queue.new("c-0", low, **of("c")), queue.new("b-0", **of("b")))
            await queue.turn(consumer, Completed(a))
            assert (await queue.job("a-1")).state == "prioritized"
            assert await queue.take_ids(consumer, 3) == ["b-0", "a-1", "c-0"]

    run(scenario())


@pytest.mark.parametrize("order", [None, Order("by-nothing/", lambda _: "")], ids=["none", "another"])
def test_what_an_order_has_parked_is_free_when_that_order_is_no_more(
    order: Order | None, run: Run, opens: Opens
) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[queue.new(f"a-{n}", **of("a")) for n in range(3)])
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Retried(a, KEPT_LONG, "no"))
            await queue.add("j-1")
            await queue.again()
            consumer = await queue.consumer(order=order)
            assert (await queue.queue.counts()).parked == 0
            assert await queue.take_ids(consumer, 3) == ["a-1", "a-2", "j-1"]

    run(scenario())


def test_the_next_of_a_key_comes_when_another_job_replaces_the_one_before_it(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            once = JobOptions(delay_ms=KEPT_LONG, deduplication=Deduplication("only", replace=True))
            await queue.add(queue.new("a-0", replace(once, delay_ms=0), **of("a")), queue.new("a-1", **of("a")))
            consumer = await queue.consumer(order=BY_CUSTOMER)
            (a,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            await queue.turn(consumer, Retried(a, KEPT_LONG, "no"))
            assert await queue.add(queue.new("a-2", once, **of("a"))) == ["a-2"]
            assert await queue.take_ids(consumer, 1) == ["a-1"]

    run(scenario())
