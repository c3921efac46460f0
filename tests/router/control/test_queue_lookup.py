"""How fast totals rise, as far as somebody has looked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from actors.core.clock import ManualClock
from actors.core.events import Events
from actors.kit.database import Database
from actors.queues.contract import QueueStore
from actors.queues.sqlite.embedded import EmbeddedQueues
from router.control.queue_lookup import LONGEST_S, Found, Rates
from tests.loop import Run


class Counting:
    """What an actor with a queue has counted."""

    def __init__(self, queue: QueueStore, *, added: int = 0, completed: int = 0) -> None:
        self.queue = queue
        self.spilled = 0
        self.added = added
        self.finished: Mapping[str, int] = {"completed": completed, "retried": 99}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock, tmp_path: Path) -> QueueStore:
    """One that nobody opens."""
    return EmbeddedQueues(Database(tmp_path / "store.db", schema=[]), clock=clock, events=Events()).queue("jobs")


def test_a_rate_is_taken_between_two_looks(run: Run, clock: ManualClock, store: QueueStore) -> None:
    """The first has nothing to compare with; an attempt that is to be repeated finishes no job."""

    async def scenario() -> None:
        actor, rates = Counting(store), Rates(clock)
        queue = Found(store, {"in": actor})
        assert rates.of(queue) is None
        rates.look([queue])
        await clock.advance(0.5)
        assert rates.of(queue) is None
        await clock.advance(1.5)
        actor.added, actor.finished = 10, {"completed": 3, "failed": 1, "retried": 50}
        rate = rates.of(queue)
        assert rate is not None
        assert (rate.added, rate.finished) == (5.0, 2.0)

    run(scenario())


def test_the_actors_of_a_queue_are_summed_up(run: Run, clock: ManualClock, store: QueueStore) -> None:
    async def scenario() -> None:
        one, other, rates = Counting(store), Counting(store), Rates(clock)
        queue = Found(store, {"in": one, "out": other})
        rates.look([queue])
        await clock.advance(2.0)
        one.added, other.finished = 4, {"completed": 6}
        rate = rates.of(queue)
        assert rate is not None
        assert (rate.added, rate.finished) == (2.0, 3.0)

    run(scenario())


def test_an_actor_that_counts_from_the_beginning_has_no_negative_rate(
    run: Run, clock: ManualClock, store: QueueStore
) -> None:
    """It was started again: what the one before has counted is no matter."""

    async def scenario() -> None:
        rates = Rates(clock)
        rates.look([Found(store, {"in": Counting(store, added=100, completed=90)})])
        await clock.advance(5.0)
        again = Found(store, {"in": Counting(store, added=2)})
        assert rates.of(again) is None
        rates.look([again])
        await clock.advance(5.0)
        rate = rates.of(again)
        assert rate is not None
        assert rate.added == 0

    run(scenario())


def test_looks_of_long_ago_are_forgotten(run: Run, clock: ManualClock, store: QueueStore) -> None:
    """A rate over a day says nothing of now."""

    async def scenario() -> None:
        actor, rates = Counting(store), Rates(clock)
        queue = Found(store, {"in": actor})
        rates.look([queue])
        await clock.advance(LONGEST_S + 1)
        assert rates.of(queue) is None
        rates.look([queue])
        actor.added = 30
        await clock.advance(10.0)
        rate = rates.of(queue)
        assert rate is not None
        assert rate.added == 3.0

    run(scenario())
