"""Changes in which an actor has to end before the next one of its name starts."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path

import pytest

from router.change.preparation import NotReadyError
from tests.loop import Run
from tests.router.change.virtual import Document, World

FIRST: Document = {
    "actors": {
        "s1": {"type": "feed"},
        "t1": {"type": "pit", "hole": "north"},
        "t2": {"type": "pit"},
    },
    "routes": {"r1": {"from": "s1", "to": "t1"}},
}


def moved(**options: object) -> Document:
    """The hole goes from one target to the other, which gets these options."""
    document = copy.deepcopy(FIRST)
    del document["actors"]["t1"]["hole"]
    document["actors"]["t2"] |= {"hole": "north", **options}
    return document


def test_what_only_one_can_hold_goes_from_one_actor_to_another(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path, FIRST)
        await world.start()
        report = (await world.change(moved())).report
        assert report is not None
        assert {gap.actor for gap in report.gaps} == {"t1", "t2"}
        assert world.holes["north"].context.name == "t2"
        world.check_rest()
        await world.stop()

    run(scenario())


def test_an_operator_cannot_start_an_actor_that_gives_way(run: Run, tmp_path: Path) -> None:
    """A restart in the gap would start the old one beside the new one: `World` sees that no two hold the same."""

    async def scenario() -> None:
        world = World(tmp_path, FIRST)
        await world.start()
        topology = world.topology(moved(start="late", note=1))
        assert topology is not None
        changing = asyncio.create_task(world.apply(topology))
        old = world.engine.supervisor.children["t1"]
        while old.state != "restarting":
            await world.turns(1)
        await world.finish(world.engine.supervisor.restart("t1"))
        assert old.state == "restarting"
        with pytest.raises(NotReadyError, match="t2"):
            await world.finish(changing)
        await world.finish(world.engine.supervisor.restart("t1"))
        assert world.engine.supervisor.children["t1"] is old
        assert (old.state, world.holes["north"].context.name) == ("ready", "t1")
        world.check_rest()
        await world.stop()

    run(scenario())


def test_a_source_that_had_failed_is_let_in_again_when_its_change_fails(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        first = copy.deepcopy(FIRST)
        first["actors"]["s1"]["supervise"] = {"restart": "temporary"}
        world = World(tmp_path, first)
        await world.start()
        await world.crash("s1")
        document = moved(start="crash")
        document["actors"]["s1"] = {"type": "feed", "note": 1}
        with pytest.raises(NotReadyError):
            await world.change(document)
        world.check_rest()
        await world.finish(world.engine.supervisor.restart("s1"))
        ticket = world.send("s1", key="x", other="", dup="", parts=[])
        await world.settle()
        assert ticket is not None
        assert ticket.outcome == "delivered"
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("before", [{"enabled": False}, {"way": "break"}])
def test_a_successor_takes_over_also_where_there_is_no_predecessor_any_more(
    run: Run, tmp_path: Path, before: Document
) -> None:
    """Until it has taken over it takes nothing in, so it must be told: also of one that was disabled, or had to end."""

    async def scenario() -> None:
        first = copy.deepcopy(FIRST)
        first["actors"]["s1"] |= before
        world = World(tmp_path, first)
        await world.start()
        second = copy.deepcopy(FIRST)
        second["actors"]["s1"] |= {"note": 1, "way": "break"}
        await world.change(second)
        ticket = world.send("s1", key="x", other="", dup="", parts=[])
        await world.settle()
        assert ticket is not None
        assert ticket.outcome == "delivered"
        world.check_rest()
        await world.stop()

    run(scenario())
