"""A route's definition becomes the plan that it says."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.clock import ManualClock
from actors.core.errors import DeliveryError, ExpressionError
from actors.core.events import Events
from actors.core.message import Message
from router.routing.build import NO_ENDS, plan_of
from router.routing.plan import RoutePlan
from router.topology.ends import Ends
from tests.router.topology.checking import topology_of

ACTORS = "actors: {in: {type: door, path: /in}, a: {type: sink}, b: {type: sink}, c: {type: sink}}\n"


def plan(route: str, ends: Ends = NO_ENDS) -> RoutePlan:
    topology = topology_of(f"{ACTORS}routes: {{r: {{from: in, {route}}}}}")
    return plan_of(topology.routes["r"], clock=ManualClock(), events=Events(), reservations=None, ends=ends)  # type: ignore[arg-type]  # no step here makes any


def message(number: int, **data: Any) -> Message:
    return Message(f"m-{number}", "in", data)


def targets(found: RoutePlan, *messages: Message) -> set[tuple[str, ...]]:
    return {found.choose(each) for each in messages}


def test_a_split_leads_to_each_of_its_targets() -> None:
    """Also to one without weight: what was under way to it before a change may still come back."""
    found = plan("to: {split: {a: 1, b: 0}}, fallback: c")
    assert found.targets == ("a", "b", "c")
    assert found.only is None
    assert targets(found, *(message(number) for number in range(20))) == {("a",)}


@pytest.mark.parametrize(
    ("route", "sticks_to"),
    [
        ("to: {split: {a: 1, b: 1}, by: '{{ data.x }}'}", "x"),
        ("order_by: '{{ data.x }}', to: {split: {a: 1, b: 1}}", "x"),
        ("order_by: '{{ data.x }}', to: {split: {a: 1, b: 1}, by: '{{ data.y }}'}", "y"),
        ("to: {split: {a: 1, b: 1}}", "id"),
        ("order_by: '{{ data.x }}', to: {split: {a: 1, b: 1}, by: ''}", "id"),
    ],
)
def test_a_split_goes_by_its_key_else_by_the_order_else_by_the_id(route: str, sticks_to: str) -> None:
    found = plan(route)
    for name in ("x", "y", "id"):
        alike = [
            Message(
                "one" if name == "id" else f"m-{number}",
                "in",
                {key: "one" if name == key else str(number) for key in ("x", "y")},
            )
            for number in range(30)
        ]
        assert len(targets(found, *alike)) == (1 if name == sticks_to else 2)


def test_a_key_that_cannot_be_made_fails_the_message() -> None:
    found = plan("to: {split: {a: 1, b: 1}, by: '{{ data.x }}'}")
    with pytest.raises(ExpressionError):
        found.choose(message(1))
    with pytest.raises(DeliveryError, match=r"longer than 1,024"):
        found.choose(message(1, x="x" * 1025))


def test_what_its_actors_mean_for_it_is_in_the_plan() -> None:
    """Queues say how many messages they let out; else the route does."""
    plain = plan("to: a, concurrency: 4")
    assert (plain.concurrency, plain.keeps, plain.replies) == (4, False, False)
    found = plan("to: a", Ends(replies=True, keeps=True, concurrency=7))
    assert (found.concurrency, found.keeps, found.replies) == (7, True, True)
