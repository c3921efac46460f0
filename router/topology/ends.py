"""What the actors at a route's ends mean for the route itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from router.topology.model import ActorDefinition, RouteDefinition
from router.topology.target import actors_of


@dataclass(frozen=True, slots=True)
class Ends:
    """What its plan takes from its sources, targets and fallbacks."""

    replies: bool = False
    """Whether a source of it answers with what the target replied."""
    keeps: bool = False
    """Whether all that it leads to keep what they acknowledge."""
    concurrency: int | None = None
    """Where its sources send again by themselves what failed: how many messages they let out at a time, all of them
    together. None where the route says that itself."""


def ends_of(route: RouteDefinition, actors: Mapping[str, ActorDefinition]) -> Ends:
    """What these actors mean for the route, which has been checked with them."""
    sources = [actors[name] for name in route.sources]
    redelivering = bool(sources) and all(source.redelivers for source in sources)
    return Ends(
        replies=any(getattr(source.options, "respond", None) == "reply" for source in sources),
        keeps=all(actors[name].keeps for name in (*actors_of(route.to), *route.fallback)),
        concurrency=sum(getattr(source.options, "concurrency", 1) for source in sources) if redelivering else None,
    )
