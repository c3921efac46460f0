"""A process that runs a part of a topology: what is started, what a change may do, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from actors.core.errors import ControlError, StateDirError
from actors.core.events import Notice
from router.change.watch import Watch
from router.control.views import router_view
from router.engine import Engine
from router.store.state_dir import StateDir
from router.topology.check import check
from router.topology.problems import TopologyError
from tests.loop import Run
from tests.router.engine_stage import Play, Stage, state_folder, topology_of

TEXT = """
actors: {tap: {type: tap}, other: {type: tap}, a: {type: sink}, b: {type: sink%s}}
routes: {one: {from: tap, to: a}, two: {from: other, to: b, durable: true}}
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@asynccontextmanager
async def part(
    state: Path, only: Sequence[str], node: str | None = None, text: str = TEXT % "", folder: Path = Path("/t")
) -> AsyncIterator[Stage]:
    play = Play()
    topology = topology_of(text, play, folder=folder)
    load = partial(check, catalog=play.catalog, environ={})
    engine = Engine(topology, state_dir=state, load=lambda text, path: load(text, path=path), only=only, node=node)
    stage = Stage(engine, play)
    await engine.start()
    try:
        yield stage
    finally:
        await engine.stop()


def test_just_the_part_is_started(run: Run, state: Path) -> None:
    """In a folder of the node's own; the API says who it is."""

    async def main() -> None:
        async with part(state, ["one"], "front") as stage:
            engine = stage.engine
            assert sorted(name for name in engine.supervisor.children if "/" not in name) == ["a", "tap"]
            assert list(engine.routes) == ["one"]
            assert await stage.outcome(stage.tap().send()) == "delivered"
            assert engine.state_dir.path == state / "front"
            assert state.stat().st_mode & 0o777 == 0o700
            view = router_view(engine, [])
            assert (view["node"], view["only"]) == ("front", ["one"])

    run(main())


def test_nodes_and_a_whole_router_share_a_folder_and_not_their_state(run: Run, state: Path) -> None:
    """Whoever comes first; one of each name."""

    async def main() -> None:
        async with part(state, ["one"], "front"), part(state, ["two"], "back"), part(state, []) as whole:
            assert whole.engine.node is None
            with pytest.raises(StateDirError, match=r"front is in use by process \d+ "):
                async with part(state, ["two"], "front"):
                    pass

    run(main())


@pytest.mark.parametrize("node", ["", ".", "..", "a/b", "brokers", "mqtt", "-x", "a" * 129])
def test_a_node_that_cannot_be_called_so(node: str) -> None:
    """It is a folder's name, beside those that a router has anyhow."""
    with pytest.raises(StateDirError, match="cannot be a node's name"):
        StateDir.of_node(Path("/t"), node)


def test_a_socket_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    found = StateDir.of_node(tmp_path, "a" * 107)
    with pytest.raises(StateDirError, match=r"shorter settings.state_dir or --node\."):
        assert found.control_socket


def test_a_change_keeps_to_the_part_and_says_so(run: Run, state: Path) -> None:
    """What is changed outside of it does not touch this process."""

    async def main() -> None:
        async with part(state, ["one"], "front") as stage:
            changes = stage.engine.changes
            head = stage.engine.topology.text.partition("actors:")[0]
            wanted = changes.check(
                head + (TEXT % ", does: hold").replace("to: a}", "to: [a, c]}").replace("b:", "c: {type: sink}, b:"),
                Path("/t/sample.yaml"),
            )
            changed = await changes.apply(wanted, who="me")
            assert sorted(stage.engine.topology.actors) == ["a", "c", "tap"]
            assert changed.remarks == ("this process runs only one: others of the topology are told by themselves",)
            back = await changes.rollback(None, who="me")
            assert sorted(stage.engine.topology.actors) == ["a", "tap"]
            assert any("only one" in remark for remark in back.remarks)
            await changes.swap("one", ["b"], who="me")
            assert sorted(stage.engine.topology.actors) == ["b", "tap"]
            with pytest.raises(ControlError, match="route two does not run in this process, which runs only one"):
                await changes.swap("two", ["a"], who="me")

    run(main())


def test_a_change_that_takes_away_what_was_named_is_refused(run: Run, state: Path) -> None:
    """What runs goes on."""

    async def main() -> None:
        async with part(state, ["one"], "front") as stage:
            text = stage.engine.topology.text.replace("one:", "uno:")
            with pytest.raises(TopologyError, match="--only names 'one'"):
                stage.engine.changes.check(text, Path("/t/sample.yaml"))
            assert list(stage.engine.routes) == ["one"]

    run(main())


def test_a_file_that_is_watched_is_restricted_too(run: Run, state: Path, tmp_path: Path) -> None:
    """As at the start."""

    async def main() -> None:
        async with part(state, ["one"], "front", folder=tmp_path) as stage:
            engine = stage.engine
            path = tmp_path / "sample.yaml"
            path.write_text(engine.topology.text.replace("to: a", "to: b"))
            watch = Watch(engine.topology, engine.changes, clock=engine.clock, events=engine.events)
            await watch.look()
            await watch.look()
            assert sorted(engine.topology.actors) == ["b", "tap"]

    run(main())


def test_a_start_resumes_the_revision_in_its_part(run: Run, state: Path) -> None:
    """Of the text that was applied, whatever is named today."""

    async def main() -> None:
        async with part(state, ["one"], "front") as stage:
            await stage.engine.changes.swap("one", ["b"], who="me")
        async with part(state, ["two"], "front") as stage:
            assert sorted(stage.engine.topology.actors) == ["b", "other"]
            assert "to: b" in stage.engine.topology.text.replace("'", "")

    run(main())


@pytest.mark.slow
def test_what_a_route_elsewhere_has_in_the_journal_waits(run: Run, state: Path) -> None:
    """It is no dead letter: the route is in the file. The next start with it takes it up."""

    async def main() -> None:
        async with part(state, ["two"], "back", TEXT % ", does: hold") as stage:
            stage.tap("other").send(id="m1")
            await stage.until(lambda: stage.play.taken)
            stage.engine.assembly.settings = stage.engine.topology.settings.model_copy(update={"drain_timeout": 0.0})
        async with part(state, ["one"], "back", TEXT % ", does: hold") as stage:
            await asyncio.sleep(0)
            assert any("route two are in the journal" in notice.text for notice in stage.of(Notice))
            assert not stage.engine.dead_letters.count()
        async with part(state, ["two"], "back") as stage:
            await stage.until(lambda: ("b", "m1") in stage.play.taken)

    run(main())
