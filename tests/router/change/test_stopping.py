"""A router that is told to stop in the middle of a change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.errors import ControlError
from router.change.changes import UNREPORTED
from router.store.revisions import Status
from tests.loop import Run
from tests.router.engine_stage import Stage, running, state_folder, topology_of

TEXT = """
actors: {tap: {type: tap}, a: {type: sink, does: %s}, b: {type: sink, start: %s}}
routes: {r: {from: tap, to: %s, timeout: 1h}}
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


async def statuses(stage: Stage) -> list[Status]:
    return [line.status for line in reversed(await stage.engine.stores.revisions.page())]


def test_what_is_not_switched_yet_is_undone(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT % ("take", "at_once", "a"), state) as stage:
            changes = stage.engine.changes
            after = topology_of(TEXT % ("take", "never", "b"), stage.play)
            applying = asyncio.create_task(changes.apply(after, who="ana"))
            await stage.until(lambda: stage.play.did.count("b starts") == 2)
            await changes.close()
            assert applying.cancelled()
            assert changes.holder == ""
            assert (
                stage.engine.topology.routes["r"].to
                == topology_of(TEXT % ("take", "at_once", "a"), stage.play).routes["r"].to
            )
            assert await stage.outcome(stage.tap().send(id="1")) == "delivered"
            assert await statuses(stage) == ["confirmed"]

    run(scenario())


def test_what_is_switched_goes_on_at_the_next_start(run: Run, state: Path) -> None:
    """And what the old target has in hand is waited for, as at any stop."""

    async def scenario() -> None:
        async with running(TEXT % ("hold", "at_once", "a"), state, drain="10s") as stage:
            held = stage.tap().send(id="1")
            await stage.until(lambda: stage.play.taken)
            after = topology_of(
                "\nactors: {tap: {type: tap}, b: {type: sink}}\nroutes: {r: {from: tap, to: b, timeout: 1h}}\n",
                stage.play,
                drain="10s",
            )
            applying = asyncio.create_task(stage.engine.changes.apply(after, who="ana", from_file=False))
            await stage.until(lambda: stage.engine.topology is after)
            stopping = asyncio.create_task(stage.engine.stop())
            changed = await applying
            assert (changed.revision, changed.report, changed.remarks) == (2, None, (UNREPORTED,))
            stage.play.go.set()
            assert await stopping == 0
            assert held.outcome == "delivered"
        async with running(TEXT % ("hold", "at_once", "a"), state, drain="10s") as stage:
            assert await statuses(stage) == ["confirmed", "confirmed"]
            assert "revision 2 (apply by ana)" in stage.engine.remark

    run(scenario())


def test_nothing_is_changed_any_more(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT % ("take", "at_once", "a"), state) as stage:
            await stage.engine.changes.close()
            with pytest.raises(ControlError, match="the router is stopping"):
                await stage.engine.changes.swap("r", ["b"], who="ana")

    run(scenario())
