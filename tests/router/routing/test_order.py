"""`order_by`: one message of a key at a time, whatever happens to it."""

from pathlib import Path
from typing import Any

from actors.core.message import Message
from actors.core.step import FILTERED
from tests.loop import Run
from tests.router.routing.harness import retry, system
from tests.router.routing.steps import Holds, splits
from tests.router.routing.targets import OK, Hang, Refuse


def key(message: Message) -> str:
    """The letter before the number."""
    return str(message.data)[0]


def test_the_next_of_a_key_waits_through_retries_and_fallback_while_other_keys_flow(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink", concurrency=10), router.target("other", concurrency=10)
            sink.decide = lambda message: Refuse() if message.data == "a1" else OK
            router.route("sink", order_by=key, fallback=("other",), retry=retry(2), concurrency=10)
            await router.sent("a1", "a2", "b1")
            assert sink.done_data == ["b1"]
            await router.advance(0.9)
            assert sink.done_data == ["b1"]
            await router.advance(0.2)
            assert (other.done_data, sink.done_data) == (["a1"], ["b1", "a2"])

    run(scenario())


def test_a_dead_letter_frees_the_key_once_it_is_safe(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.decide = lambda message: Refuse(retryable=False) if message.data == "a1" else OK
            router.route("sink", order_by=key, concurrency=10)
            await router.sent("a1", "a2")
            assert sink.done_data == ["a2"]
            assert [letter.key for letter in await router.letters()] == ["a"]

    run(scenario())


def test_an_empty_key_is_the_message_s_own_id(run: Run, tmp_path: Path) -> None:
    """Such messages do not wait for one another."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=10)
            sink.answers.append(Hang())
            router.route("sink", order_by=lambda _: "", concurrency=10)
            await router.sent(1, 2, 3)
            assert sink.done_data == [2, 3]

    run(scenario())


def test_a_message_that_a_step_holds_keeps_its_key(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, hold = router.target("sink"), Holds(lambda data: data in ("a1", "b1"))
            router.route("sink", order_by=key, concurrency=10, steps=(hold,), repeatable=(True,))
            await router.sent("a1", "a2", "b1", "b2", "c1")
            assert sink.done_data == ["c1"]
            (held_a, passage_a), (_, passage_b) = hold.held
            passage_a.resume(held_a)
            await router.settle()
            assert sink.done_data == ["c1", "a1", "a2"]
            passage_b.conclude(FILTERED)
            await router.settle()
            assert sink.done_data == ["c1", "a1", "a2", "b2"]

    run(scenario())


def test_the_parts_of_a_split_follow_one_another_before_the_next_of_the_key(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=10)
            sink.answers.append(Refuse())
            router.route("sink", order_by=lambda _: "same", concurrency=10, steps=(splits,), repeatable=(True,))
            await router.sent(["a1", "a2", "a3"], ["b1"])
            await router.advance(1.0)
            assert sink.done_data == ["a1", "a2", "a3", "b1"]
            assert sink.most_at_once == 1

    run(scenario())


def test_those_who_wait_their_turn_are_bounded_by_max_waiting(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=10)
            sink.otherwise = Hang()
            route = router.route("sink", order_by=key, concurrency=10, max_waiting=2, timeout_s=100.0)
            await router.sent(*[f"a{number}" for number in range(6)])
            assert (route.order.waiting, len(route.mailbox)) == (2, 3)
            for _ in range(6):
                sink.let_go()
                await router.settle()
            assert sink.done_data == [f"a{number}" for number in range(6)]

    run(scenario())


def test_order_holds_across_a_kill_with_the_first_in_retry(run: Run, tmp_path: Path) -> None:
    """The steps change what the key is made of, and it is kept all the same."""

    async def scenario() -> None:
        def renamed(message: Message, _: object) -> Message:
            return message.with_data(message.data.replace("a", "z"))

        plan: dict[str, Any] = {
            "order_by": key,
            "durable": True,
            "concurrency": 10,
            "steps": (renamed,),
            "repeatable": (True,),
        }
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Refuse())
            router.route("sink", **plan)
            await router.sent("a1", "a2")
            assert sink.data == ["z1"]
            copy = await router.killed()
        async with system(copy) as router:
            sink = router.target("sink", concurrency=10)
            sink.answers.append(Refuse())
            router.route("sink", recover=True, **plan)
            await router.settle()
            assert sink.data == ["z1"]
            await router.advance(5.0)
            assert sink.done_data == ["z1", "z2"]
            assert sink.done[0].attributes == {}
            assert router.all_is_empty()

    run(scenario())
