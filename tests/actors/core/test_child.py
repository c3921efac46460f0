"""What others see of an actor: whether it takes deliveries, and why not."""

import asyncio

import pytest

from actors.core.child import Child, State
from actors.core.events import ActorAvailable, ActorUnavailable
from actors.core.limits import BreakerPolicy
from tests.actors.core.answers import until
from tests.actors.core.nursery import Nursery
from tests.loop import Run

WATCHFUL = BreakerPolicy(failures=0.5, window_s=10.0, min_requests=2, open_s=5.0)


def why(child: Child) -> str | None:
    return child.closed.why if child.closed is not None else None


def watched(child: Child) -> list[str | None]:
    """Why it refuses, or None, at each change."""
    changes: list[str | None] = []
    child.watch(lambda: changes.append(why(child)))
    return changes


@pytest.mark.parametrize(
    ("state", "takes"),
    [
        ("starting", True),
        ("ready", True),
        ("restarting", True),
        ("stopping", True),
        ("stopped", False),
        ("failed", False),
        ("disabled", False),
    ],
)
def test_deliveries_are_taken_while_somebody_will_handle_them(run: Run, state: State, takes: bool) -> None:
    """Also while it starts and restarts, since its mailbox keeps them."""

    async def scenario() -> None:
        child = Nursery().add("a")
        child.become(state)
        assert (child.closed is None) is takes

    run(scenario())


def test_an_actor_whose_remote_end_is_away_refuses_until_it_is_back(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a")
        await nursery.start("a")
        changes = watched(child)
        nursery.emitted.clear()
        child.unavailable("connection refused")
        child.unavailable("no route to host")
        assert why(child) == "no route to host"
        child.available()
        child.available()
        assert changes == ["connection refused", None]
        assert nursery.emitted == [ActorUnavailable("a", "connection refused"), ActorAvailable("a")]
        await nursery.supervisor.stop_all()

    run(scenario())


def test_what_an_incarnation_said_of_its_remote_end_ends_with_it(run: Run) -> None:
    """The next one may never have known that it was away, and would never take it back."""

    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a")
        await nursery.start("a")
        child.unavailable("connection lost")
        await nursery.crash("a")
        assert why(child) == "connection lost"
        await nursery.clock.advance(1.0)
        await nursery.is_ready("a")
        assert child.closed is None
        await nursery.supervisor.stop_all()

    run(scenario())


def test_an_open_breaker_refuses_until_it_tries_again(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", breaker=WATCHFUL)
        await nursery.start("a")
        changes = watched(child)
        assert child.breaker is not None
        child.breaker.record(ok=False)
        child.breaker.record(ok=False)
        assert child.closed is not None
        assert child.closed.reason == "open"
        await nursery.clock.advance(5.0)
        assert changes == ["the breaker of a is open", None]
        await nursery.supervisor.stop_all()

    run(scenario())


def test_it_refuses_as_long_as_there_is_any_reason(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", breaker=WATCHFUL)
        await nursery.start("a")
        changes = watched(child)
        assert child.breaker is not None
        child.unavailable("connection refused")
        child.breaker.record(ok=False)
        child.breaker.record(ok=False)
        child.available()
        assert why(child) == "the breaker of a is open"
        await nursery.supervisor.stop(["a"])
        assert why(child) == "a is stopped"
        await nursery.clock.advance(5.0)
        assert changes == ["connection refused"]
        await nursery.start("a")
        assert changes == ["connection refused", None]
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_watcher_that_raises_keeps_nobody_else_from_hearing(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a")

        def clumsy() -> None:
            raise ValueError

        child.watch(clumsy)
        changes = watched(child)
        await nursery.start("a")
        assert changes == [None]
        child.unwatch(clumsy)
        child.unwatch(clumsy)
        await nursery.supervisor.stop_all()

    run(scenario())


def test_settled_waits_until_it_is_known_how_the_start_went(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        go = asyncio.Event()
        nursery.obstacles["start", "a"] += [ValueError("first"), go]
        child = nursery.add("a")
        nursery.supervisor.start("a")
        waiting = asyncio.create_task(child.settled(5.0))
        await until(lambda: child.state == "restarting")
        assert not await child.settled(0.001)
        await nursery.clock.advance(1.0)
        go.set()
        assert await waiting
        assert await child.settled(0.0), "no time is needed to see that it is ready"
        await nursery.supervisor.stop_all()
        assert not await child.settled(0.0)

    run(scenario())
