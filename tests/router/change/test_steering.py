"""Pausing, draining, resuming and restarting routes and actors while they run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.errors import BackPressureError, ControlError
from tests.loop import Run
from tests.router.engine_stage import running, state_folder


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


TEXT = """
actors: {tap: {type: tap}, a: {type: sink}, b: {type: sink}, spare: {type: sink}}
routes:
  r: {from: tap, to: a}
  s: {from: tap, to: b, fallback: spare}
"""
JOURNALING = """
actors: {tap: {type: tap}, a: {type: sink}}
routes: {r: {from: tap, to: a, durable: true, on_pause: journal}}
"""


def test_a_paused_route_refuses_its_sources_and_says_what_it_holds_back(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT, state) as stage:
            steering = stage.engine.steering
            held = await steering.pause("r", who="anna")
            assert (held.sources, held.routes) == (("tap",), ("s",))
            with pytest.raises(BackPressureError, match="route r is paused"):
                stage.tap().send()
            assert await steering.resume("r")
            assert await stage.outcome(stage.tap().send(id="1")) == "delivered"
            assert not await steering.resume("r")

    run(scenario())


def test_a_paused_route_that_journals_takes_messages_and_delivers_them_when_it_is_resumed(
    run: Run, state: Path
) -> None:
    """Also over a restart, which a pause survives."""

    async def scenario() -> None:
        async with running(JOURNALING, state) as stage:
            held = await stage.engine.steering.pause("r", who="anna")
            assert held.sources == held.routes == ()
            ticket = stage.tap().send(id="1")
            await ticket.told()
            assert ticket.accepted
        async with running(JOURNALING, state) as stage:
            again = stage.tap().send(id="2")
            await again.told()
            assert stage.play.taken == []
            await stage.engine.steering.resume("r")
            await stage.until(lambda: stage.play.taken == [("a", "1"), ("a", "2")])

    run(scenario())


def test_routes_to_a_paused_target_wait_or_use_their_fallback(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT, state) as stage:
            held = await stage.engine.steering.pause("b", who="anna")
            assert held.fall_back == ("s",)
            assert held.routes == ()
            assert await stage.outcome(stage.tap().send(id="1")) == "delivered"
            assert sorted(stage.play.taken) == [("a", "1"), ("spare", "1")]
            held = await stage.engine.steering.pause("a", who="anna")
            assert held.routes == ("r",)

    run(scenario())


def test_a_paused_source_takes_nothing_in(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT, state) as stage:
            held = await stage.engine.steering.pause("tap", who="anna")
            assert held.sources == ("tap",)
            with pytest.raises(BackPressureError, match="tap is paused"):
                stage.tap().send()
            await stage.engine.steering.resume("tap")
            assert await stage.outcome(stage.tap().send()) == "delivered"

    run(scenario())


def test_a_drained_route_ends_what_it_has_and_takes_nothing_more(run: Run, state: Path) -> None:
    text = """
actors: {tap: {type: tap}, a: {type: sink, does: hold}}
routes: {r: {from: tap, to: a, timeout: 1h}}
"""

    async def scenario() -> None:
        async with running(text, state) as stage:
            held = stage.tap().send(id="1")
            assert await stage.engine.steering.drain("r", who="anna", timeout_s=0.05) == 1
            with pytest.raises(BackPressureError, match="route r is drained"):
                stage.tap().send()
            stage.play.go.set()
            assert await stage.engine.steering.drain("r", who="anna", timeout_s=5.0) == 0
            assert held.outcome == "delivered"

    run(scenario())


def test_a_restart_begins_a_new_incarnation_and_revives_one_that_failed(run: Run, state: Path) -> None:
    text = """
actors: {tap: {type: tap}, a: {type: sink, does: crash, supervise: {max_restarts: 0}}}
routes: {r: {from: tap, to: a, retry: {attempts: 1}}}
"""

    async def scenario() -> None:
        async with running(text, state) as stage:
            stage.tap().send()
            child = stage.engine.supervisor.children["a"]
            await stage.until(lambda: child.state == "failed")
            await stage.engine.steering.restart("a")
            await stage.until(lambda: child.state == "ready")
            await stage.engine.steering.restart("r")
            await stage.until(lambda: stage.engine.supervisor.children["route/r"].state == "ready")

    run(scenario())


def test_a_name_that_is_not_there_is_answered_with_what_was_meant(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT, state) as stage:
            with pytest.raises(ControlError, match="did you mean 'spare'"):
                await stage.engine.steering.pause("spar", who="anna")

    run(scenario())
