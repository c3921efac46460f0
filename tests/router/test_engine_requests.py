"""What an operator asks of a running router: send a message by hand, and send a dead letter again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.errors import BackPressureError, ControlError, DeliveryError
from actors.core.message import Message, Settlement, new_id
from tests.loop import Run
from tests.router.engine_stage import Stage, running, state_folder

TEXT = """
actors:
  tap: {type: tap}
  lonely: {type: tap}
  away-tap: {type: tap}
  echo: {type: sink, does: reply}
  picky: {type: sink, does: reject}
  slow: {type: sink, does: hold}
  crashing: {type: sink, does: crash}
  away: {type: sink, away: true}
  own: {type: python, class: "requests_actor:Own"}
routes:
  r: {from: tap, to: echo}
  q: {from: away-tap, to: away}
  o: {from: tap, to: own}
"""
OWN = """
from actors.core.actor import AsyncioActor

class Own(AsyncioActor):
    def on_receive(self, message):
        return "own"
"""
PICKY = """
actors: {tap: {type: tap}, sink: {type: sink, does: %s}, other: {type: sink}}
routes: {%s: {from: tap, to: %s, durable: %s, when: "data != 'skip'"}}
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requests_actor.py").write_text(OWN)
    return tmp_path


async def inject(stage: Stage, name: str, *, wait: bool = True, timeout_s: float = 5.0) -> Settlement | None:
    message = Message(new_id(), name, "hello", {}, "message", 0.0, {})
    return await stage.engine.inject(name, message, wait=wait, timeout_s=timeout_s)


def test_a_message_goes_into_the_routes_of_a_source_or_straight_to_a_target(
    run: Run, state: Path, folder: Path
) -> None:
    """An actor that could be both is a target unless a route begins at it."""

    async def scenario() -> None:
        async with running(TEXT, state, folder=folder) as stage:
            assert (await inject(stage, "tap")).outcome == "delivered"  # type: ignore[union-attr]
            assert (await inject(stage, "echo")).reply == {"you_said": "hello"}  # type: ignore[union-attr]
            assert (await inject(stage, "own")).reply == "own"  # type: ignore[union-attr]
            assert stage.engine.routes["r"].ledger.accepted == 1
            child = stage.engine.supervisor.children["echo"]
            assert (child.started, child.succeeded, child.in_flight) == (2, 2, 0)

    run(scenario())


@pytest.mark.slow
def test_what_is_not_taken_says_why(run: Run, state: Path, folder: Path) -> None:
    """Unknown, refused, away, crashed, too slow, held back, and a source from which no route begins."""

    async def scenario() -> None:
        async with running(TEXT, state, folder=folder, drain="0s") as stage:
            with pytest.raises(ControlError, match="no actor named 'nobody'"):
                await inject(stage, "nobody")
            with pytest.raises(DeliveryError, match="never"):
                await inject(stage, "picky")
            with pytest.raises(DeliveryError, match="nobody there"):
                await inject(stage, "away")
            with pytest.raises(DeliveryError, match="a defect"):
                await inject(stage, "crashing")
            with pytest.raises(TimeoutError):
                await inject(stage, "slow", timeout_s=0.05)
            assert (await inject(stage, "lonely")).outcome == "dead_lettered"  # type: ignore[union-attr]
            stage.tap("away-tap").send(1)
            await stage.until(lambda: stage.engine.routes["q"].attempts.suspended)
            with pytest.raises(BackPressureError):
                await inject(stage, "away-tap")

    run(scenario())


@pytest.mark.parametrize("durable", ["false", "true"])
def test_a_dead_letter_is_sent_again_to_its_target(run: Run, state: Path, durable: str) -> None:
    """While the target refuses, the letter stays, one and not two; when it takes the message, the letter goes."""

    async def scenario() -> None:
        async with running(PICKY % ("reject", "r", "sink", durable), state) as stage:
            await stage.outcome(stage.tap().send(1, "m"))
            (letter,) = await stage.engine.dead_letters.page()
            with pytest.raises(ControlError, match="failed again"):
                await stage.engine.replay(letter.id, mode="original")
            assert len(await stage.engine.dead_letters.page()) == 1
        async with running(PICKY % ("take", "r", "sink", durable), state) as stage:
            (letter,) = await stage.engine.dead_letters.page()
            await stage.engine.replay(letter.id, mode="original")
            assert stage.play.taken == [("sink", "m")]
            assert await stage.engine.dead_letters.page() == []
            assert stage.engine.routes["r"].balance().difference == 0

    run(scenario())


def test_a_dead_letter_takes_the_route_as_it_is_now(run: Run, state: Path) -> None:
    """Its old target may have gone; then `original` says what to use instead."""

    async def scenario() -> None:
        async with running(PICKY % ("reject", "r", "sink", "true"), state) as stage:
            await stage.outcome(stage.tap().send(1, "m"))
        async with running(PICKY % ("reject", "r", "other", "true"), state) as stage:
            (letter,) = await stage.engine.dead_letters.page()
            with pytest.raises(ControlError, match="use `--as current`"):
                await stage.engine.replay(letter.id, mode="original")
            await stage.engine.replay(letter.id, mode="current")
            await stage.until(lambda: stage.play.taken)
            assert stage.play.taken == [("other", "m")]
            assert await stage.engine.dead_letters.page() == []

    run(scenario())


def test_a_dead_letter_that_cannot_be_sent_again_says_why(run: Run, state: Path) -> None:
    """Unknown, of a route that is gone, and one that is being sent already; none is lost by asking."""

    async def scenario() -> None:
        async with running(PICKY % ("reject", "r", "sink", "true"), state) as stage:
            await stage.outcome(stage.tap().send(1, "m"))
            with pytest.raises(ControlError, match="no dead letter 'd99'"):
                await stage.engine.replay("d99", mode="current")
        async with running(PICKY % ("take", "renamed", "sink", "true"), state) as stage:
            (letter,) = await stage.engine.dead_letters.page()
            with pytest.raises(ControlError, match=r"'r' .* is not in the topology any more"):
                await stage.engine.replay(letter.id, mode="current")
        async with running(PICKY % ("hold", "r", "sink", "true"), state) as stage:
            first = asyncio.create_task(stage.engine.replay(letter.id, mode="original"))
            await stage.until(lambda: stage.play.taken)
            with pytest.raises(ControlError, match="is being replayed already"):
                await stage.engine.replay(letter.id, mode="original")
            stage.play.go.set()
            await first
            assert await stage.engine.dead_letters.page() == []

    run(scenario())


def test_a_dead_letter_of_no_route_enters_at_its_source(run: Run, state: Path) -> None:
    """It was sent to a source from which no route began; now one does."""
    before = "actors: {tap: {type: tap}}"
    after = "actors: {tap: {type: tap}, sink: {type: sink}}\nroutes: {r: {from: tap, to: sink}}"

    async def scenario() -> None:
        async with running(before, state) as stage:
            assert await stage.outcome(stage.tap().send(1, "m")) == "dead_lettered"
        async with running(after, state) as stage:
            (letter,) = await stage.engine.dead_letters.page()
            await stage.engine.replay(letter.id, mode="original")
            assert stage.play.taken == [("sink", "m")]
            assert await stage.engine.dead_letters.page() == []

    run(scenario())


def test_a_dead_letter_is_not_sent_to_what_cannot_take_it_now(run: Run, state: Path) -> None:
    """A route that is paused, and a target that is away: it would wait there, and the whole route with it."""

    async def scenario() -> None:
        async with running(PICKY % ("reject", "r", "sink", "true"), state) as stage:
            engine = stage.engine
            await stage.outcome(stage.tap().send(1, "m"))
            (letter,) = await engine.dead_letters.page()
            await engine.steering.pause("r", who="anna")
            with pytest.raises(ControlError, match="route r is paused: `router resume` comes first"):
                await engine.replay(letter.id, mode="original")
            await engine.steering.resume("r")
            await engine.steering.pause("sink", who="anna")
            with pytest.raises(ControlError, match="sink is paused: it cannot be sent there now"):
                await engine.replay(letter.id, mode="original")
            assert not engine.dead_letters.is_replaying(letter.id)
            assert not engine.routes["r"].attempts.suspended

    run(scenario())


@pytest.mark.parametrize("does", ["take", "reject"])
@pytest.mark.slow
def test_a_replay_that_outlasts_who_asked_for_it_is_a_dead_letter_until_it_has_ended(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    """It is claimed as long, so that nobody sends it twice; delivered, it is a dead letter no more."""
    monkeypatch.setattr("router.routing.replay.PATIENCE_S", 0.01)

    async def scenario() -> None:
        async with running(PICKY % ("reject", "r", "sink", "false"), state) as stage:
            await stage.outcome(stage.tap().send(1, "m"))
        async with running(PICKY % ("hold", "r", "sink", "false"), state) as stage:
            store = stage.engine.dead_letters
            (letter,) = await store.page()
            with pytest.raises(TimeoutError, match="it goes on, and may yet"):
                await stage.engine.replay(letter.id, mode="original")
            assert store.is_replaying(letter.id)
            with pytest.raises(ControlError, match="is being replayed already"):
                await stage.engine.replay(letter.id, mode="original")
            if does == "reject":
                return
            stage.play.go.set()
            await stage.until(lambda: store.count() == 0)

    run(scenario())


def test_a_dead_letter_whose_target_a_swap_has_replaced_says_what_to_do(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(PICKY % ("reject", "r", "sink", "true"), state) as stage:
            engine = stage.engine
            await stage.outcome(stage.tap().send(1, "m"))
            (letter,) = await engine.dead_letters.page()
            await engine.changes.swap("r", ["other"], who="anna", write=False)
            with pytest.raises(ControlError, match="r does not lead to sink any more: use `--as current`"):
                await engine.replay(letter.id, mode="original")
            assert not engine.dead_letters.is_replaying(letter.id)
            await engine.replay(letter.id, mode="current")
            await stage.until(lambda: ("other", "m") in stage.play.taken)
            assert engine.dead_letters.count() == 0

    run(scenario())
