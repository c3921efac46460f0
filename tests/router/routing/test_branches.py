"""Fan-out and split: each part and each way by itself, and the message as the worst of them."""

from pathlib import Path
from typing import Any

from actors.core.limits import Limiter
from actors.core.message import Message
from tests.loop import Run
from tests.router.routing.harness import retry, system
from tests.router.routing.steps import appends, splits
from tests.router.routing.targets import OK, Hang, Refuse


def test_each_target_has_its_own_attempts_and_the_message_is_delivered_once_all_are(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            good, flaky = router.target("good"), router.target("flaky")
            flaky.answers.extend([Refuse(), Refuse()])
            router.route("good", "flaky")
            (ticket,) = await router.sent("one")
            assert (good.done_data, ticket.ended()) == (["one"], None)
            await router.advance(5.0)
            assert (len(good.seen), len(flaky.seen)) == (1, 3)
            assert ticket.ended() == "delivered"
            assert router.outcomes() == {"delivered": 1}

    run(scenario())


def test_each_target_has_its_own_fallback_and_dead_letter(run: Run, tmp_path: Path) -> None:
    """Dead-lettered if any way was."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("good")
            router.target("bad").otherwise = Refuse(retryable=False)
            router.target("other").answers.extend([Refuse(retryable=False), OK])
            router.route("good", "bad", fallback=("other",))
            first, second = await router.sent(1), await router.sent(2)
            assert [first[0].ended(), second[0].ended()] == ["dead_lettered", "delivered"]
            assert [letter.target for letter in await router.letters()] == ["other"]
            assert router.outcomes() == {"delivered": 1, "dead_lettered": 1}

    run(scenario())


def test_a_way_that_waits_for_its_limit_is_one_way_still(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            slow, fast = router.target("slow", limiter=Limiter(1, 10.0)), router.target("fast")
            router.route("slow", "fast", steps=(appends("+"),), repeatable=(True,))
            await router.sent("a", "b")
            await router.advance(20.0)
            assert slow.done_data == ["a+", "b+"]
            assert fast.done_data == ["a+", "b+"]

    run(scenario())


def test_after_a_kill_only_the_ways_that_had_not_ended_are_gone_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("done")
            router.target("buried").otherwise = Refuse(retryable=False)
            router.target("open").otherwise = Hang()
            router.route("done", "buried", "open", durable=True, concurrency=3)
            await router.sent("one")
            copy = await router.killed()
        async with system(copy) as router:
            again = [router.target(name) for name in ("done", "buried", "open")]
            router.route("done", "buried", "open", durable=True, recover=True)
            await router.settle()
            assert [script.data for script in again] == [[], [], ["one"]]
            assert [letter.target for letter in await router.letters()] == ["buried"]
            assert router.all_is_empty()

    run(scenario())


def test_a_split_counts_its_parts_and_ends_as_the_worst(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.decide = lambda message: Refuse(retryable=False) if message.data == "bad" else OK
            route = router.route("sink", steps=(splits,), repeatable=(True,), concurrency=10)
            (ticket,) = await router.sent(["a", "bad", "b"])
            assert (route.ledger.accepted, route.ledger.split_out) == (1, 2)
            assert router.outcomes() == {"delivered": 2, "dead_lettered": 1}
            assert (ticket.ended(), ticket.settled_times) == ("dead_lettered", 1)
            assert [message.id for message in sink.seen] == ["m1-1", "m1-2", "m1-3"]

    run(scenario())


def test_a_split_into_nothing_is_filtered(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink", steps=(splits,), repeatable=(True,))
            (ticket,) = await router.sent([])
            assert ticket.ended() == "filtered"

    run(scenario())


def test_after_a_kill_only_the_parts_that_had_not_ended_go_again(run: Run, tmp_path: Path) -> None:
    """Parts of parts too, of which several have the same number."""

    async def scenario() -> None:
        plan: dict[str, Any] = {
            "steps": (splits, splits),
            "repeatable": (True, True),
            "durable": True,
            "concurrency": 10,
        }
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=10)
            sink.decide = lambda message: Hang() if message.data in ("a2", "b1", "c") else OK
            router.route("sink", **plan)
            await router.sent([["a1", "a2"], ["b1", "b2"], "c", "d"])
            assert sorted(sink.done_data) == ["a1", "b2", "d"]
            copy = await router.killed()
        async with system(copy) as router:
            sink = router.target("sink", concurrency=10)
            router.route("sink", recover=True, **plan)
            await router.settle()
            assert sorted(sink.done_data) == ["a2", "b1", "c"]
            assert router.all_is_empty()

    run(scenario())


def test_a_part_that_no_target_was_chosen_for_is_buried_once(run: Run, tmp_path: Path) -> None:
    """Also across a kill before its siblings end."""

    async def scenario() -> None:
        def choose(message: Message) -> tuple[str, ...]:
            return () if message.data == "nowhere" else ("sink",)

        plan: dict[str, Any] = {
            "steps": (splits,),
            "repeatable": (True,),
            "durable": True,
            "choose": choose,
            "retry": retry(1),
        }
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Hang()
            router.route("sink", **plan)
            await router.sent(["nowhere", "somewhere"])
            copy = await router.killed()
        async with system(copy) as router:
            sink = router.target("sink")
            router.route("sink", recover=True, **plan)
            await router.settle()
            assert sink.done_data == ["somewhere"]
            assert await router.reasons() == {"unroutable": 1}

    run(scenario())
