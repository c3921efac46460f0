"""What actors mean for routes changes with them, also where the routes themselves stay as they are."""

from pathlib import Path

import pytest

from tests.loop import Run
from tests.router.engine_stage import running, topology_of

TEXT = """
actors:
  tap: {type: tap, redelivers: %s, concurrency: %d}
  other: {type: tap, redelivers: true, concurrency: 3}
  sink: {type: sink, keeps: %s}
  spare: {type: sink, keeps: true}
routes:
  r: {from: tap, to: sink, fallback: [spare]}
  s: {from: other, to: sink}
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_route_follows_its_queues_and_targets_as_they_change(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(TEXT % ("true", 2, "false"), state) as stage:
            engine, route = stage.engine, stage.engine.routes["r"]
            assert (route.plan.concurrency, engine.outlets["tap"].safe) == (2, False)
            for redelivers, concurrency, keeps, expected in (
                ("true", 5, "false", (5, False)),
                ("true", 5, "true", (5, True)),
                ("false", 5, "true", (1, True)),
            ):
                topology = topology_of(TEXT % (redelivers, concurrency, keeps), stage.play)
                await engine.changes.apply(topology, who="anna")
                assert engine.routes["r"] is route
                assert (route.plan.concurrency, engine.outlets["tap"].safe) == expected
            assert await stage.outcome(stage.tap().send(1)) == "delivered"

    run(scenario())


def test_a_fallback_that_becomes_the_target_is_told_of(run: Run, state: Path) -> None:
    """And a swap back leads where it led, without it."""

    async def scenario() -> None:
        async with running(TEXT % ("false", 1, "false"), state) as stage:
            engine = stage.engine
            changed = await engine.changes.swap("r", ["spare"], who="anna")
            assert changed.remarks == ("'spare' is the target of route 'r' now, and its fallback no more",)
            assert (engine.routes["r"].plan.targets, engine.routes["r"].plan.fallback) == (("spare",), ())
            assert await stage.outcome(stage.tap().send(1, "m")) == "delivered"
            assert stage.play.taken == [("spare", "m")]
            assert (await engine.changes.swap("r", ["sink"], who="anna")).remarks == ()
            assert engine.routes["r"].plan.targets == ("sink",)

    run(scenario())
