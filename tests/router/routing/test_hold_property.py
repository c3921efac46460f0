"""Holds and drops at random, between all else that happens to a route: the ledger balances, and order is kept."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.errors import ControlError
from actors.core.limits import Limiter
from router.routing.choose import always
from router.routing.delivery import Delivery
from router.routing.hold import drop, find, hold, release
from router.routing.rewire import rewire
from router.routing.route import Route
from tests.loop import Run
from tests.router.routing.harness import System, Ticket, system
from tests.router.routing.targets import Answer
from tests.router.routing.test_property import ACTIONS, ANSWERS, FALLBACK, TARGETS, act, in_order, plans

STEERING = st.one_of(
    ACTIONS,
    ACTIONS,
    st.tuples(st.sampled_from(["hold", "hold", "release", "drop"]), st.integers(0, 50)),
    st.tuples(st.just("lead to"), st.sampled_from([(name,) for name in TARGETS] + [TARGETS])),
)


def live(route: Route) -> list[Delivery]:
    """What is under way, found as an operator finds it."""
    there = [*route.mailbox.messages, *route.under_way]
    ids = dict.fromkeys(one.message.id for one in there if isinstance(one, Delivery))
    return [delivery for message_id in ids for delivery in find(route, message_id)]


async def steer(router: System, route: Route, action: tuple[Any, ...], tickets: list[Ticket]) -> None:
    match action:
        case ("hold" | "release" | "drop" as what, number):
            found = live(route)
            if not found:
                return
            delivery = found[number % len(found)]
            try:
                match what:
                    case "hold":
                        hold(route, delivery)
                    case "release":
                        release(route, delivery)
                    case "drop":
                        drop(route, delivery, "at random")
            except ControlError:
                router.check()
            await router.settle()
        case ("lead to", targets):
            plan = replace(route.plan, choose=always(targets), only=targets[0] if len(targets) == 1 else None)
            rewire(route, plan, route.targets, keeps_order=True)
            route.pump()
            await router.settle()
        case _:
            await act(router, action, tickets)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    plan=plans(),
    fan_out=st.booleans(),
    scripts=st.tuples(*[st.lists(ANSWERS, max_size=6)] * 3),
    rate=st.none() | st.integers(1, 3),
    actions=st.lists(STEERING, min_size=1, max_size=30),
)
def test_every_message_ends_once_whatever_was_held_and_dropped(
    run: Run,
    plan: dict[str, Any],
    fan_out: bool,
    scripts: tuple[list[Answer], ...],
    rate: int | None,
    actions: list[tuple[Any, ...]],
) -> None:
    """`System` looks at the ledger after each turn of the loop."""

    async def scenario(folder: Path) -> None:
        async with system(folder) as router:
            for name, answers in zip((*TARGETS, FALLBACK), scripts, strict=True):
                limiter = Limiter(rate, 2.0) if rate is not None and name == "a" else None
                router.target(name, limiter=limiter).answers.extend(answers)
            first = TARGETS if fan_out else TARGETS[:1]
            route = router.route(*TARGETS, choose=always(first), only=None if fan_out else first[0], **plan)
            tickets: list[Ticket] = []
            for action in actions:
                await steer(router, route, action, tickets)
                held = {delivery for delivery in live(route) if delivery.details and delivery.details.held}
                assert set(route.on_hold) <= held
                assert held.isdisjoint(route.attempts.running)

            for name in (*TARGETS, FALLBACK):
                router.scripts[name].answers.clear()
                router.child(name).available()
            for _ in range(400):
                for delivery in live(route):
                    if delivery.details is not None and delivery.details.held:
                        release(route, delivery)
                for script in router.scripts.values():
                    script.let_go()
                if router.all_is_empty():
                    break
                await router.advance(1.0)
            assert router.all_is_empty(), router.picture()
            await router.settle()

            ends = Counter(ticket.settled_times for ticket in tickets)
            assert set(ends) <= {1}, ends
            assert route.ledger.accepted == len(tickets)
            assert sum(route.balance().outcomes.values()) == len(tickets) + route.ledger.split_out
            assert all(router.attempts_add_up(name) for name in router.scripts)
            if route.plan.order_by is not None:
                assert all(in_order(router.scripts[name], route.plan) for name in TARGETS)

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))
