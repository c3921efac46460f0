"""A change of a running router: what it does to messages that wait, run, and come in meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.change.conservation import Conservation
from router.change.preparation import NotReadyError
from router.change.swap import Swap
from tests.loop import Run
from tests.router.engine_stage import Stage, running, state_folder, topology_of


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


async def changed(stage: Stage, text: str) -> Conservation:
    """Change what runs to the topology `text`, whole."""
    swap = Swap(stage.engine.assembly, topology_of(text, stage.play))
    await swap.prepare()
    swap.switch()
    return await swap.retire(5.0)


TWO = """
actors: {tap: {type: tap}, a: {type: sink, does: %s}, b: {type: sink}}
routes: {r: {from: tap, to: %s, concurrency: 10, timeout: 1h}}
"""


def test_what_comes_in_behind_a_swap_goes_to_the_new_target(run: Run, state: Path) -> None:
    """And the report shows both sides of the ledger, with no difference."""

    async def scenario() -> None:
        async with running(TWO % ("take", "a"), state) as stage:
            first = stage.tap().send(id="1")
            assert await stage.outcome(first) == "delivered"
            report = await changed(stage, TWO % ("take", "b"))
            second = stage.tap().send(id="2")
            assert await stage.outcome(second) == "delivered"
            assert stage.play.taken == [("a", "1"), ("b", "2")]
            (entry,) = report.entries
            assert (entry.route, entry.before.accepted, entry.difference, report.difference) == ("r", 1, 0, 0)

    run(scenario())


def test_what_a_target_has_in_hand_ends_there(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TWO % ("hold", "a"), state) as stage:
            held = stage.tap().send(id="1")
            await stage.until(lambda: stage.play.taken)
            swap = Swap(stage.engine.assembly, topology_of(TWO % ("hold", "b"), stage.play))
            await swap.prepare()
            swap.switch()
            other = stage.tap().send(id="2")
            assert await stage.outcome(other) == "delivered"
            stage.play.go.set()
            assert await stage.outcome(held) == "delivered"
            assert stage.play.taken == [("a", "1"), ("b", "2")]
            assert (await swap.retire(5.0)).difference == 0

    run(scenario())


def test_what_waits_for_a_retry_goes_to_the_new_target_at_once(run: Run, state: Path) -> None:
    """A failing target does not block the swap that is meant to replace it."""

    async def scenario() -> None:
        async with running(TWO % ("refuse", "a"), state) as stage:
            tickets = [stage.tap().send(id=str(number)) for number in range(5)]
            await stage.until(lambda: len(stage.play.taken) == 5)
            report = await changed(stage, TWO % ("refuse", "b"))
            assert [await stage.outcome(ticket) for ticket in tickets] == ["delivered"] * 5
            assert [one for one in stage.play.taken if one[0] == "b"] == [("b", str(number)) for number in range(5)]
            assert report.difference == 0

    run(scenario())


def test_a_changed_actor_starts_beside_the_old_one_and_takes_what_waits_for_it(run: Run, state: Path) -> None:
    text = """
actors: {tap: {type: tap}, a: {type: sink, does: %s, mailbox: {capacity: 1}}}
routes: {r: {from: tap, to: a, concurrency: 200, timeout: 1h}}
"""

    async def scenario() -> None:
        async with running(text % "hold", state) as stage:
            tickets = [stage.tap().send(id=str(number)) for number in range(150)]
            await stage.until(lambda: len(stage.play.taken) == 100)
            old = stage.engine.supervisor.children["a"]
            swap = Swap(stage.engine.assembly, topology_of(text % "take", stage.play))
            await swap.prepare()
            swap.switch()
            await stage.until(lambda: len(stage.play.taken) == 150)
            stage.play.go.set()
            assert [await stage.outcome(ticket) for ticket in tickets] == ["delivered"] * 150
            new = stage.engine.supervisor.children["a"]
            assert (await swap.retire(5.0)).difference == 0
            assert (old.started, old.succeeded, new.started, new.succeeded) == (100, 100, 50, 50)
            assert [id for _, id in stage.play.taken] == [str(number) for number in range(150)]

    run(scenario())


@pytest.mark.parametrize("start", ["crash", "never"])
@pytest.mark.slow
def test_a_new_actor_that_does_not_get_ready_ends_the_swap(
    run: Run, state: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old topology goes on untouched, and the error says which actor, and why."""
    monkeypatch.setattr("router.change.preparation.READY_TIMEOUT_S", 0.1)
    bad = f"""
actors: {{tap: {{type: tap}}, tap2: {{type: tap}}, a: {{type: sink}}, b: {{type: sink, start: {start}}}}}
routes: {{r: {{from: tap, to: b}}, s: {{from: tap2, to: a}}}}
"""

    async def scenario() -> None:
        async with running(TWO % ("take", "a"), state) as stage:
            before = stage.engine.topology
            with pytest.raises(NotReadyError, match="b did not get ready"):
                await changed(stage, bad)
            assert stage.engine.topology is before
            assert set(stage.engine.supervisor.children) == {"tap", "a", "b", "route/r"}
            assert set(stage.engine.routes) == {"r"}
            assert await stage.outcome(stage.tap().send(id="1")) == "delivered"
            assert stage.play.taken == [("a", "1")]

    run(scenario())


def test_a_removed_route_and_its_source_end_with_what_they_have_under_way(run: Run, state: Path) -> None:
    text = """
actors: {tap: {type: tap}, gone: {type: tap}, a: {type: sink}, b: {type: sink, does: hold}}
routes: {r: {from: tap, to: a}, s: {from: gone, to: b, timeout: 1h}}
"""

    async def scenario() -> None:
        async with running(text, state) as stage:
            held = stage.tap("gone").send(id="1")
            await stage.until(lambda: stage.play.taken)
            after = "actors: {tap: {type: tap}, a: {type: sink}}\nroutes: {r: {from: tap, to: a}}\n"
            swap = Swap(stage.engine.assembly, topology_of(after, stage.play))
            await swap.prepare()
            swap.switch()
            stage.play.go.set()
            report = await swap.retire(5.0)
            assert held.outcome == "delivered"
            assert report.difference == 0
            assert set(stage.engine.supervisor.children) == {"tap", "a", "route/r"}
            assert set(stage.play.did[-2:]) == {"gone stops", "b stops"}

    run(scenario())


def test_what_a_removed_route_cannot_deliver_in_time_becomes_dead_letters(run: Run, state: Path) -> None:
    """By name, with the reason; nothing is left behind."""
    text = """
actors: {tap: {type: tap}, a: {type: sink}, b: {type: sink, away: true}}
routes: {r: {from: tap, to: %s, durable: true}}
"""

    async def scenario() -> None:
        async with running(text % "b", state) as stage:
            tickets = [stage.tap().send(id=str(number)) for number in range(3)]
            for ticket in tickets:
                await ticket.told()
            swap = Swap(
                stage.engine.assembly,
                topology_of(
                    "actors: {tap: {type: tap}, a: {type: sink}}\nroutes: {q: {from: tap, to: a}}\n", stage.play
                ),
            )
            await swap.prepare()
            swap.switch()
            report = await swap.retire(0.1)
            assert report.difference == 0
            assert [await stage.outcome(ticket) for ticket in tickets] == ["dead_lettered"] * 3
            assert stage.engine.dead_letters.count() == 3
            assert stage.engine.journal.waiting("r") == 0

    run(scenario())


def test_a_fan_out_under_way_goes_to_the_targets_that_are_left(run: Run, state: Path) -> None:
    """A way to a target that is replaced goes to the new one, and nobody gets a message twice."""
    text = """
actors: {tap: {type: tap}, a: {type: sink}, b: {type: sink, does: refuse}, c: {type: sink}}
routes: {r: {from: tap, to: [a, %s], timeout: 1h}}
"""

    async def scenario() -> None:
        async with running(text % "b", state) as stage:
            ticket = stage.tap().send(id="1")
            await stage.until(lambda: len(stage.play.taken) == 2)
            report = await changed(stage, text % "c")
            assert await stage.outcome(ticket) == "delivered"
            assert sorted(stage.play.taken) == [("a", "1"), ("b", "1"), ("c", "1")]
            assert report.difference == 0

    run(scenario())


def test_a_new_source_is_let_in_with_the_switch(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TWO % ("take", "a"), state) as stage:
            text = """
actors: {tap: {type: tap}, tap2: {type: tap}, a: {type: sink, does: take}, b: {type: sink}}
routes: {r: {from: tap, to: a, concurrency: 10, timeout: 1h}, s: {from: tap2, to: b}}
"""
            await changed(stage, text)
            assert await stage.outcome(stage.tap("tap2").send(id="1")) == "delivered"
            assert stage.play.taken == [("b", "1")]

    run(scenario())


def test_a_changed_source_ends_before_the_next_one_starts(run: Run, state: Path) -> None:
    """Where two of them would take in the same: `break`, and the report has its gap."""
    text = """
actors: {tap: {type: tap, mailbox: {capacity: %d}}, a: {type: sink}}
routes: {r: {from: tap, to: a}}
"""

    async def scenario() -> None:
        async with running(text % 5, state) as stage:
            report = await changed(stage, text % 6)
            assert [gap.actor for gap in report.gaps] == ["tap"]
            assert stage.play.did.index("tap stops") < len(stage.play.did) - 1 - stage.play.did[::-1].index(
                "tap starts"
            )
            assert await stage.outcome(stage.tap().send(id="1")) == "delivered"

    run(scenario())
