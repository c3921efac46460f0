"""Steps inside a route: what each of their answers does, and what their crash does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import DeliveryError, ExpressionError
from actors.core.limits import Limiter
from actors.core.message import Message
from actors.core.step import DEDUPLICATED, FILTERED, Passage, StepResult, Verdict
from tests.loop import Run
from tests.router.routing.harness import retry, system
from tests.router.routing.steps import Holds, appends, crashes_on
from tests.router.routing.targets import Refuse


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (FILTERED, "filtered"),
        (DEDUPLICATED, "deduplicated"),
        (Verdict("merged"), "merged"),
        (Verdict("dropped", "too old"), "dropped"),
        (Verdict("dead_lettered", "not valid"), "dead_lettered"),
    ],
)
def test_a_verdict_ends_the_message(run: Run, tmp_path: Path, verdict: Verdict, outcome: str) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            router.route("sink", steps=(lambda _, __: verdict,), repeatable=(True,))
            (ticket,) = await router.sent("one")
            assert ticket.ended() == outcome
            assert not sink.seen
            assert router.outcomes() == {outcome: 1}

    run(scenario())


def test_steps_run_once_though_retries_limits_and_outages_follow(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", limiter=Limiter(1, 10.0))
            sink.answers.append(Refuse())
            router.route("sink", steps=(appends("+"), appends("*")), repeatable=(True, True))
            await router.sent("a", "b")
            router.child("sink").unavailable("the cable is out")
            await router.advance(30.0)
            router.child("sink").available()
            await router.advance(30.0)
            assert sorted(sink.done_data) == ["a+*", "b+*"]

    run(scenario())


def test_a_retry_goes_on_behind_the_steps_after_a_kill(run: Run, tmp_path: Path) -> None:
    """With the number of its attempts."""

    async def scenario() -> None:
        plan: dict[str, Any] = {"steps": (appends("+"),), "repeatable": (True,), "durable": True, "retry": retry(3)}
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Refuse()
            router.route("sink", **plan)
            await router.sent("a")
            await router.advance(1.0)
            copy = await router.killed()
        async with system(copy) as router:
            sink = router.target("sink")
            sink.otherwise = Refuse()
            router.route("sink", recover=True, **plan)
            await router.settle()
            assert sink.data == ["a+"]
            (letter,) = await router.letters()
            assert letter.attempts == 3

    run(scenario())


def test_what_is_not_repeatable_is_not_run_again_after_a_kill(run: Run, tmp_path: Path) -> None:
    """Those behind it are."""

    async def scenario() -> None:
        hold = Holds()
        plan: dict[str, Any] = {"repeatable": (False, True, True), "durable": True}
        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink", steps=(appends("1"), appends("2"), hold), **plan)
            await router.sent("a")
            copy = await router.killed()
        async with system(copy) as router:
            sink = router.target("sink")
            router.route("sink", recover=True, steps=(appends("1"), appends("2"), appends("3")), **plan)
            await router.settle()
            assert sink.done_data == ["a123"]

    run(scenario())


def test_an_asynchronous_step_takes_a_place_of_concurrency(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        gates: list[asyncio.Future[None]] = []

        async def waits(message: Message, _: Passage) -> StepResult:
            gates.append(asyncio.get_running_loop().create_future())
            await gates[-1]
            return message.with_data(message.data + "!")

        async with system(tmp_path) as router:
            sink = router.target("sink")
            router.route("sink", steps=(appends("+"), waits), repeatable=(True, True), concurrency=2)
            await router.sent("a", "b", "c")
            assert len(gates) == 2
            gates[1].set_result(None)
            await router.settle()
            assert (sink.done_data, len(gates)) == (["b+!"], 3)
            gates[0].set_result(None)
            gates[2].set_result(None)
            await router.settle()
            assert sorted(sink.done_data) == ["a+!", "b+!", "c+!"]

    run(scenario())


def test_an_asynchronous_step_whose_route_restarts_is_run_again_on_the_same_message(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def waits_once(message: Message, _: Passage) -> StepResult:
            seen.append(message.data)
            if len(seen) == 1:
                await asyncio.get_running_loop().create_future()
            return message

        async with system(tmp_path) as router:
            sink = router.target("sink")
            router.route("sink", steps=(appends("+"), waits_once), repeatable=(True, True))
            await router.sent("a")
            await router.supervisor.restart("route/r")
            await router.settle()
            assert seen == ["a+", "a+"]
            assert sink.done_data == ["a+"]

    run(scenario())


def test_held_messages_free_their_place_and_are_bounded_by_max_waiting(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, hold = router.target("sink"), Holds(lambda data: data < 3)
            router.route("sink", steps=(hold,), repeatable=(True,), max_waiting=2)
            await router.sent(1, 2, 3)
            assert (len(hold.held), sink.data) == (2, [])
            message, passage = hold.held[0]
            passage.resume(message)
            passage.resume(message)
            await router.settle()
            assert sink.done_data == [1, 3]
            hold.held[1][1].conclude(FILTERED)
            await router.settle()
            assert router.outcomes() == {"delivered": 2, "filtered": 1}

    run(scenario())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_crash_in_a_step_restarts_the_route_and_the_message_is_quarantined_after_its_attempts(
    run: Run, tmp_path: Path, asynchronous: bool
) -> None:
    async def scenario() -> None:
        crash = crashes_on("poison")

        async def later(message: Message, passage: Passage) -> StepResult:
            result = crash(message, passage)
            assert isinstance(result, Message)
            return result

        async with system(tmp_path) as router:
            sink = router.target("sink")
            step = later if asynchronous else crash
            router.route("sink", steps=(step,), repeatable=(True,), retry=retry(3))
            tickets = await router.sent("a", "poison", "b")
            await router.advance(5.0)
            assert sink.done_data == ["a", "b"]
            assert [ticket.ended() for ticket in tickets] == ["delivered", "dead_lettered", "delivered"]
            assert await router.reasons() == {"quarantined": 1}
            assert router.child("route/r").restarts == 3

    run(scenario())


@pytest.mark.parametrize("error", [ExpressionError("no field x", source="x"), DeliveryError("no", reason="expression")])
def test_what_cannot_be_evaluated_is_a_dead_letter_at_once(run: Run, tmp_path: Path, error: Exception) -> None:
    async def scenario() -> None:
        def fails(_: Message, __: Passage) -> StepResult:
            raise error

        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink", steps=(fails,), repeatable=(True,))
            (ticket,) = await router.sent("one")
            assert ticket.ended() == "dead_lettered"
            (letter,) = await router.letters()
            assert (letter.reason, letter.target, letter.attempts) == ("expression", None, 0)
            assert router.child("route/r").restarts == 0

    run(scenario())


def test_many_messages_that_end_in_a_step_do_not_keep_the_loop_from_others(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        turns = 0
        seen_at: list[int] = []

        def step(_: Message, __: Passage) -> StepResult:
            seen_at.append(turns)
            return FILTERED

        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink", steps=(step,), repeatable=(True,))
            for number in range(1000):
                router.send(number)
            async with asyncio.timeout(10.0):
                while len(seen_at) < 1000:
                    await asyncio.sleep(0)
                    turns += 1
            assert max(seen_at.count(turn) for turn in set(seen_at)) <= 128

    run(scenario())
