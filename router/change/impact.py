"""What a change would do now: to each actor and route, to how many messages, and to which promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.core.child import Child
from router.change.assembly import Assembly
from router.change.diff import ActorFate, Diff, RouteFate
from router.change.left_behind import left_behind
from router.change.weakened import weakened
from router.routing.route import Route


@dataclass(frozen=True, slots=True)
class ActorImpact:
    """One actor."""

    name: str
    fate: ActorFate
    why: tuple[str, ...]
    """The options that change."""
    waiting: int
    """Messages in its mailbox: they go to its successor."""
    in_hand: int
    """Messages it works on: they end where they are."""

    @property
    def has_gap(self) -> bool:
        """Whether it is not there for a moment: it has to end before its successor starts."""
        return self.fate == "break"


@dataclass(frozen=True, slots=True)
class RouteImpact:
    """One route."""

    name: str
    fate: RouteFate
    why: tuple[str, ...]
    queued: int
    """Messages that wait to be taken in hand."""
    in_flight: int
    """Messages on their way, retries included."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What `plan` shows; what is kept as it is stands in it too."""

    actors: tuple[ActorImpact, ...]
    routes: tuple[RouteImpact, ...]
    connections: tuple[str, ...]
    """Those that are opened anew."""
    settings: tuple[str, ...]
    """Those that take effect at the next start only."""
    promises: tuple[str, ...]
    """What is promised no longer."""
    left_behind: tuple[str, ...]
    """Queues with jobs that nobody here works any more, a sentence each."""
    is_empty: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "empty": self.is_empty,
            "actors": [
                {
                    "name": one.name,
                    "fate": one.fate,
                    "why": list(one.why),
                    "waiting": one.waiting,
                    "in_hand": one.in_hand,
                    "gap": one.has_gap,
                }
                for one in self.actors
            ],
            "routes": [
                {
                    "name": one.name,
                    "fate": one.fate,
                    "why": list(one.why),
                    "queued": one.queued,
                    "in_flight": one.in_flight,
                }
                for one in self.routes
            ],
            "connections": list(self.connections),
            "settings": list(self.settings),
            "promises": list(self.promises),
            "left_behind": list(self.left_behind),
        }


async def impact_now(change: Diff, assembly: Assembly) -> Impact:
    """A difference, with what waits at this moment, in the router and in the queues that it leaves behind."""
    return impact(change, assembly, await left_behind(change, assembly.supervisor.children))


def impact(change: Diff, assembly: Assembly | None, left_behind: tuple[str, ...] = ()) -> Impact:
    """A difference, with what waits in the router at this moment; None is a router that does not run."""
    children: Mapping[str, Child] = assembly.supervisor.children if assembly is not None else {}
    routes: Mapping[str, Route] = assembly.routes if assembly is not None else {}
    actors = []
    for actor in change.actors:
        mailbox = children[actor.name].mailbox if actor.before is not None and actor.name in children else None
        waiting, in_hand = (len(mailbox) + len(mailbox.lobby), len(mailbox.in_hand)) if mailbox is not None else (0, 0)
        actors.append(ActorImpact(actor.name, actor.fate, actor.why, waiting, in_hand))
    found = []
    for one in change.routes:
        route = routes.get(one.name)
        balance = route.balance() if route is not None else None
        queued, in_flight = (balance.queued, balance.in_flight) if balance is not None else (0, 0)
        found.append(RouteImpact(one.name, one.fate, one.why, queued, in_flight))
    return Impact(
        tuple(actors),
        tuple(found),
        change.connections,
        change.settings,
        tuple(weakened(change.before, change.after)),
        left_behind,
        change.is_empty,
    )
