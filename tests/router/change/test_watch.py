"""A topology's file that is edited while the router runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.core.events import Notice
from router.change.watch import MISSING_LOOKS, Watch
from tests.loop import Run
from tests.router.engine_stage import HEAD, Stage, staged

TEXT = """
actors: {tap: {type: tap}, a: {type: sink}, b: {type: sink}}
routes: {r: {from: tap, to: %s}}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = tempfile.mkdtemp(prefix="watch-")
    yield Path(made)
    shutil.rmtree(made)


class Watched:
    """A router, its file, and who watches it; looks are the test's own."""

    def __init__(self, stage: Stage, file: Path) -> None:
        self.stage = stage
        self.file = file
        engine = stage.engine
        self.watch = Watch(engine.topology, engine.changes, clock=engine.clock, events=engine.events)

    def write(self, to: str) -> None:
        """As editors do: beside it, and then in its place."""
        part = self.file.with_suffix(".part")
        part.write_text(HEAD % ("5s", 0) + TEXT % to)
        os.replace(part, self.file)

    async def look(self, times: int = 3) -> None:
        for _ in range(times):
            await self.watch.look()

    @property
    def target(self) -> tuple[str, ...]:
        return self.stage.engine.routes["r"].plan.targets

    @property
    def told(self) -> list[str]:
        return [f"{notice.level}: {notice.text}" for notice in self.stage.of(Notice)]

    async def actions(self) -> list[tuple[str, str]]:
        page = await self.stage.engine.stores.revisions.page()
        return [(line.action, line.who) for line in reversed(page)]


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    file = folder / "sample.yaml"
    file.write_text(HEAD % ("5s", 0) + TEXT % "a")
    stage = staged(TEXT % "a", folder / "state", folder=folder)
    await stage.engine.start()
    try:
        yield Watched(stage, file)
    finally:
        await stage.engine.stop()


def test_a_file_that_changes_is_applied(run: Run, folder: Path) -> None:
    async def scenario() -> None:
        async with watched(folder) as router:
            router.write("b")
            await router.look()
            assert router.target == ("b",)
            assert await router.actions() == [("start", "router"), ("watch", "router")]
            assert f"info: {router.file} is applied as revision 2" in router.told

    run(scenario())


def test_a_file_that_stays_is_applied_never(run: Run, folder: Path) -> None:
    """Also where somebody touches it."""

    async def scenario() -> None:
        async with watched(folder) as router:
            await router.look()
            router.write("a")
            await router.look()
            assert await router.actions() == [("start", "router")]

    run(scenario())


def test_a_file_is_taken_when_it_has_stood_still_for_a_look(run: Run, folder: Path) -> None:
    """Who writes in place may be half way."""

    async def scenario() -> None:
        async with watched(folder) as router:
            await router.look()
            whole = HEAD % ("5s", 0) + TEXT % "b"
            router.file.write_text(whole[: len(whole) // 2])
            await router.look(1)
            router.file.write_text(whole)
            await router.look(1)
            assert router.target == ("a",)
            await router.look(1)
            assert router.target == ("b",)
            assert not [text for text in router.told if text.startswith("error")]

    run(scenario())


def test_a_file_with_a_problem_is_told_once_with_its_place_and_what_runs_goes_on(run: Run, folder: Path) -> None:
    async def scenario() -> None:
        async with watched(folder) as router:
            router.write("c")
            await router.look(6)
            assert router.target == ("a",)
            errors = [text for text in router.told if text.startswith("error")]
            assert errors == [
                f"error: {router.file}:6:29: unknown actor 'c'",
                f"error: {router.file} is not applied, and what runs goes on: the topology has 1 problem",
            ]
            router.write("b")
            await router.look()
            assert router.target == ("b",)

    run(scenario())


def test_a_change_that_is_under_way_delays_it(run: Run, folder: Path) -> None:
    async def scenario() -> None:
        async with watched(folder) as router:
            router.write("b")
            router.stage.engine.changes.holder = "swap by ana"
            await router.look()
            assert router.target == ("a",)
            router.stage.engine.changes.holder = ""
            await router.look(1)
            assert router.target == ("b",)

    run(scenario())


def test_an_actor_that_does_not_get_ready_is_told_once(run: Run, folder: Path) -> None:
    async def scenario() -> None:
        async with watched(folder) as router:
            text = (TEXT % "b").replace("b: {type: sink}", "b: {type: sink, start: crash}")
            router.file.write_text(HEAD % ("5s", 0) + text)
            await router.look(6)
            assert router.target == ("a",)
            (error,) = [text for text in router.told if text.startswith("error")]
            assert error.startswith(f"error: {router.file} is not applied: b did not get ready")

    run(scenario())


def test_a_file_that_goes_is_told_once_and_taken_when_it_is_back(run: Run, folder: Path) -> None:
    async def scenario() -> None:
        async with watched(folder) as router:
            router.file.unlink()
            await router.look(MISSING_LOOKS + 3)
            assert router.told.count(f"warning: {router.file} is gone; what runs goes on") == 1
            router.write("b")
            await router.look()
            assert router.target == ("b",)

    run(scenario())


def test_what_a_swap_wrote_into_it_is_no_change_of_its_own(run: Run, folder: Path) -> None:
    async def scenario() -> None:
        async with watched(folder) as router:
            changed = await router.stage.engine.changes.swap("r", ["b"], who="ana", write=True)
            assert changed.remarks == (f"{router.file} is written",)
            await router.look()
            assert await router.actions() == [("start", "router"), ("swap", "ana")]

    run(scenario())


def test_what_a_swap_wrote_does_not_undo_the_next_swap(run: Run, folder: Path) -> None:
    """Nobody has edited the file: what runs by now is another matter."""

    async def scenario() -> None:
        async with watched(folder) as router:
            await router.stage.engine.changes.swap("r", ["b"], who="ana", write=True)
            await router.stage.engine.changes.swap("r", ["a"], who="ben")
            await router.look()
            assert router.target == ("a",)
            assert await router.actions() == [("start", "router"), ("swap", "ana"), ("swap", "ben")]

    run(scenario())
