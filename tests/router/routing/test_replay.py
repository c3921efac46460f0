"""Replaying a dead letter: where it failed, or through the route anew; and what becomes of the letter."""

import asyncio
from pathlib import Path

import pytest

from actors.core.message import Message
from actors.core.step import Passage, StepResult
from tests.loop import Run
from tests.router.routing.harness import System, retry, system
from tests.router.routing.steps import appends, splits
from tests.router.routing.targets import OK, Refuse


async def replayed(router: System, *, original: bool) -> bool:
    """Replay the oldest dead letter as the engine does, leaving out that it drops the letter."""
    letter = (await router.letters())[0]
    packed = letter.message if original else letter.entered or letter.message
    replay = router.routes["r"].intake.replay(
        Message.from_bytes(packed),
        letter=letter.id,
        target=letter.target if original else None,
        timeout_s=10.0,
        position=letter.position,
    )
    task = asyncio.create_task(replay)
    await router.settle()
    ended = await task
    return ended is None or ended.outcome != "dead_lettered"


def test_as_original_it_goes_to_the_target_that_failed_behind_the_steps(run: Run, tmp_path: Path) -> None:
    """It is newly accepted, and its siblings are left alone."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            good, bad = router.target("good"), router.target("bad")
            bad.answers.append(Refuse(retryable=False))
            route = router.route("good", "bad", steps=(appends("+"),), repeatable=(True,))
            await router.sent("a")
            assert await replayed(router, original=True)
            assert (good.done_data, bad.done_data) == (["a+"], ["a+"])
            assert route.ledger.accepted == 2
            assert router.outcomes() == {"delivered": 1, "dead_lettered": 1}

    run(scenario())


def test_as_current_the_route_is_run_anew(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        ran: list[str] = []

        def step(message: Message, _: Passage) -> StepResult:
            ran.append(message.data)
            return message

        async with system(tmp_path) as router:
            good, bad = router.target("good"), router.target("bad")
            bad.answers.append(Refuse(retryable=False))
            router.route("good", "bad", steps=(step,), repeatable=(True,))
            await router.sent("a")
            assert await replayed(router, original=False)
            assert ran == ["a", "a"]
            assert (good.done_data, bad.done_data) == (["a", "a"], ["a"])

    run(scenario())


def test_as_current_the_steps_begin_with_the_message_as_it_came_in(run: Run, tmp_path: Path) -> None:
    """What the steps made of it the first time is for a replay to the same target alone."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Refuse(retryable=False))
            router.route("sink", steps=(appends("+"),), repeatable=(True,))
            await router.sent("a")
            assert await replayed(router, original=False)
            assert sink.done_data == ["a+"]

    run(scenario())


def test_as_current_a_part_of_a_split_goes_on_behind_the_split(run: Run, tmp_path: Path) -> None:
    """The steps before it, and the other parts, are left alone."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Refuse(retryable=False))
            router.route("sink", steps=(splits, appends("+")), repeatable=(True, True))
            await router.sent(["a", "b"])
            assert await replayed(router, original=False)
            assert sink.done_data == ["b+", "a+"]

    run(scenario())


@pytest.mark.parametrize("original", [True, False])
def test_one_that_fails_again_is_one_dead_letter_with_the_latest_failure(
    run: Run, tmp_path: Path, original: bool
) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("good")
            sink = router.target("sink")
            sink.answers.append(Refuse(retryable=False))
            router.target("grave").otherwise = Refuse()
            router.route("good", "sink", dead_letter="grave", retry=retry(1))
            await router.sent("a")
            (before,) = await router.letters()
            router.scripts["grave"].otherwise = OK
            sink.otherwise = Refuse("overload")
            assert not await replayed(router, original=original)
            (after,) = await router.letters()
            assert (after.id, before.reason, after.reason) == (before.id, "refused", "overload")
            assert not router.scripts["grave"].done

    run(scenario())


def test_parts_that_fail_again_overwrite_no_other_letter(run: Run, tmp_path: Path) -> None:
    """One of them takes the place of the letter, the rest are letters of their own."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Refuse(retryable=False)
            router.route("sink", choose=lambda _: (), name="r", sources=["first"], recover=None)
            router.send(["a", "b", "c"], source="first")
            await router.settle()
            route = router.route("sink", name="again", sources=["second"], steps=(splits,), repeatable=(True,))
            router.routes["r"] = route
            assert not await replayed(router, original=False)
            data = [Message.from_bytes(letter.message).data for letter in await router.letters()]
            assert sorted(data) == ["a", "b", "c"]

    run(scenario())


def test_on_a_durable_route_it_is_enough_that_the_journal_has_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Refuse(retryable=False))
            router.route("sink", durable=True)
            await router.sent("a")
            router.child("sink").unavailable("the cable is out")
            assert await replayed(router, original=False)
            assert router.journal.waiting("r") == 1

    run(scenario())
