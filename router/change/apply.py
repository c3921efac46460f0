"""Carries out a difference on a running router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.change.diff import Diff
from router.topology.model import ActorDefinition, GroupDefinition, RouteDefinition


class System(Protocol):
    """What a change is made to."""

    def add_actor(self, definition: ActorDefinition) -> None:
        """Know an actor, without starting it."""
        ...

    def add_group(self, name: str, definition: GroupDefinition) -> None: ...

    def add_route(self, definition: RouteDefinition) -> None:
        """Know a route, and lead its sources to it; it takes messages, and handles none yet."""
        ...

    async def start_actors(self, names: Sequence[str]) -> None:
        """Start actors and wait, within a bound, until each is ready or has failed."""
        ...

    async def start_routes(self, names: Sequence[str]) -> None:
        """Let routes handle what they hold, beginning with what the journal kept."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change did."""

    actors: tuple[str, ...]
    routes: tuple[str, ...]


async def apply(change: Diff, system: System) -> Applied:
    """From nothing to a topology: targets first, then routes, then sources, so that nothing comes in too early.

    Raises `ValueError` for a difference that removes or changes something.
    """
    kinds = [part.kind for part in change.actors]
    kinds += [part.kind for part in change.routes]
    kinds += [part.kind for part in change.groups]
    if any(kind != "added" for kind in kinds):
        raise ValueError("only additions can be applied")
    actors = [part.after for part in change.actors if part.after is not None]
    routes = [part.after for part in change.routes if part.after is not None]
    for actor in actors:
        system.add_actor(actor)
    for group in change.groups:
        if group.after is not None:
            system.add_group(group.name, group.after)
    for route in routes:
        system.add_route(route)
    feeding = {name for route in routes for name in route.sources}
    await system.start_actors([actor.name for actor in actors if actor.name not in feeding])
    await system.start_routes([route.name for route in routes])
    await system.start_actors([actor.name for actor in actors if actor.name in feeding])
    return Applied(tuple(actor.name for actor in actors), tuple(route.name for route in routes))
