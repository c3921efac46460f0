"""Carrying out a difference: in an order in which nothing comes in before it can go on."""

from collections.abc import Sequence

import pytest

from router.change.apply import Applied, apply
from router.change.diff import diff
from router.topology.model import ActorDefinition, GroupDefinition, RouteDefinition
from tests.loop import Run
from tests.router.topology.checking import topology_of

TOPOLOGY = topology_of(
    "actors:\n"
    "  door: {type: door, path: /in}\n"
    "  shop: {type: post, url: 'http://shop'}\n"
    "  spare: {type: post, url: 'http://spare'}\n"
    "groups:\n"
    "  both: {strategy: one_for_all, actors: [shop, spare]}\n"
    "routes:\n"
    "  orders: {from: door, to: shop, fallback: spare}\n"
)


class Recording:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add_actor(self, definition: ActorDefinition) -> None:
        self.told.append(f"add {definition.name}")

    def add_group(self, name: str, definition: GroupDefinition) -> None:
        self.told.append(f"group {name}: {' '.join(definition.actors)}")

    def add_route(self, definition: RouteDefinition) -> None:
        self.told.append(f"route {definition.name}")

    async def start_actors(self, names: Sequence[str]) -> None:
        self.told.append(f"start {' '.join(names)}")

    async def start_routes(self, names: Sequence[str]) -> None:
        self.told.append(f"start route {' '.join(names)}")


def test_targets_start_before_routes_and_routes_before_sources(run: Run) -> None:
    recording = Recording()
    applied = run(apply(diff(None, TOPOLOGY), recording))
    assert recording.told == [
        "add door",
        "add shop",
        "add spare",
        "group both: shop spare",
        "route orders",
        "start shop spare",
        "start route orders",
        "start door",
    ]
    assert applied == Applied(("door", "shop", "spare"), ("orders",))


def test_what_is_not_an_addition_is_refused_before_anything_is_done(run: Run) -> None:
    recording = Recording()
    with pytest.raises(ValueError, match="only additions"):
        run(apply(diff(TOPOLOGY, None), recording))
    assert recording.told == []
