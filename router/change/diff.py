"""The difference between two topologies, and what becomes of each actor and route: a pure function with an inverse.

`plan` shows it, and a swap carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from router.topology.fields import connections_of
from router.topology.model import ActorDefinition, RouteDefinition, Topology
from router.topology.settings import Settings

ActorFate = Literal["kept", "started", "stopped", "beside", "handed_over", "break"]
"""`beside`: the new one starts beside the old one; `handed_over`: so too, and takes over what only one can hold;
`break`: the old one has to end before the new one starts."""

RouteFate = Literal["kept", "started", "stopped", "rewired"]


@dataclass(frozen=True, slots=True)
class ActorChange:
    """What becomes of one actor."""

    name: str
    fate: ActorFate
    before: ActorDefinition | None
    after: ActorDefinition | None
    why: tuple[str, ...] = ()
    """The options that differ, and the connections."""
    early: bool = False
    """It is stopped before others start, since one of those needs what it holds."""


@dataclass(frozen=True, slots=True)
class RouteChange:
    """What becomes of one route."""

    name: str
    fate: RouteFate
    before: RouteDefinition | None
    after: RouteDefinition | None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """All of a change, what is kept included, in the order of the newer topology and what is stopped behind."""

    before: Topology
    after: Topology
    actors: tuple[ActorChange, ...]
    routes: tuple[RouteChange, ...]
    connections: tuple[str, ...]
    """Those that exist before and after, and are made anew."""
    groups: tuple[str, ...]
    """Those that come, go or change."""
    settings: tuple[str, ...]
    """Those that differ; they take effect at the next start."""

    @property
    def inverse(self) -> Diff:
        """What leads back."""
        return diff(self.after, self.before)

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs otherwise than before."""
        fates = [*(change.fate for change in self.actors), *(change.fate for change in self.routes)]
        return not self.groups and all(fate == "kept" for fate in fates)


def diff(before: Topology | None, after: Topology) -> Diff:
    """What to do to get from `before` to `after`; None is a router that runs nothing."""
    before = before or Topology(after.name, settings=after.settings)
    changed = frozenset(
        name for name, new in after.connections.items() if (old := before.connections.get(name)) and old != new
    )
    actors = [_actor(before.actors.get(name), new, before, after, changed) for name, new in after.actors.items()]
    actors += [
        ActorChange(name, "stopped", old, None) for name, old in before.actors.items() if name not in after.actors
    ]
    routes = [_route(before.routes.get(name), new) for name, new in after.routes.items()]
    routes += [
        RouteChange(name, "stopped", old, None) for name, old in before.routes.items() if name not in after.routes
    ]
    return Diff(
        before,
        after,
        tuple(_untangled(actors)),
        tuple(routes),
        tuple(sorted(changed)),
        tuple(sorted(n for n in {*before.groups, *after.groups} if before.groups.get(n) != after.groups.get(n))),
        differing(before.settings, after.settings),
    )


def differing(before: Settings, after: Settings) -> tuple[str, ...]:
    """The names of the settings that are not the same."""
    return tuple(name for name in type(after).model_fields if _differ(before, after, name))


def _actor(
    old: ActorDefinition | None,
    new: ActorDefinition,
    before: Topology,
    after: Topology,
    changed: frozenset[str],
) -> ActorChange:
    if old is None:
        return ActorChange(new.name, "started", None, new)
    connections = [name for _, name, _ in connections_of(new.options) if name in changed]
    if old == new and not connections:
        return ActorChange(new.name, "kept", old, new)
    why = (*_differences(old, new), *(f"connection {name}" for name in connections))
    if not (old.enabled and new.enabled):
        return ActorChange(new.name, "beside", old, new, why)
    if old.spec is not new.spec:
        only_one = old.spec.claims(old.options) & new.spec.claims(new.options)
        sources = old.is_source or new.is_source
        return ActorChange(new.name, "break" if only_one or sources else "beside", old, new, why)
    if any(
        definition.spec.is_exclusive(definition.options)
        for name in connections
        for definition in (before.connections[name], after.connections[name])
    ):
        return ActorChange(new.name, "break", old, new, why)
    if connections:
        return ActorChange(new.name, "break" if old.is_source or new.is_source else "beside", old, new, why)
    return ActorChange(new.name, old.spec.succession(old.options, new.options), old, new, why)


def _untangled(found: list[ActorChange]) -> list[ActorChange]:
    """Where an actor needs what another one holds until it is stopped or changed, that one has to end first."""
    held: dict[str, str] = {}
    for change in found:
        if change.before is not None and change.before.enabled and change.fate != "kept":
            held |= dict.fromkeys(change.before.spec.claims(change.before.options), change.name)
    needy: set[str] = set()
    holders: set[str] = set()
    for change in found:
        if change.after is not None and change.after.enabled and change.fate != "kept":
            for claim in change.after.spec.claims(change.after.options):
                if held.get(claim, change.name) != change.name:
                    needy.add(change.name)
                    holders.add(held[claim])
    return [
        ActorChange(change.name, _slower(change), change.before, change.after, change.why, change.name in holders)
        if change.name in needy | holders
        else change
        for change in found
    ]


def _slower(change: ActorChange) -> ActorFate:
    return "stopped" if change.fate == "stopped" else "break"


def _route(old: RouteDefinition | None, new: RouteDefinition) -> RouteChange:
    if old is None:
        return RouteChange(new.name, "started", None, new)
    why = tuple(name for name in type(new).model_fields if getattr(old, name) != getattr(new, name))
    return RouteChange(new.name, "rewired" if why else "kept", old, new, tuple(map(_written, why)))


def _differences(old: ActorDefinition, new: ActorDefinition) -> tuple[str, ...]:
    common = [name for name in ("enabled", "mailbox", "supervise", "limit", "breaker") if _differ(old, new, name)]
    if old.type != new.type:
        return ("type", *common)
    fields = type(new.options).model_fields
    differing = (name for name in fields if _differ(old.options, new.options, name))
    # As a file has them: `class`, which is no name in Python.
    return (*common, *(fields[name].alias or name for name in differing))


def _differ(old: object, new: object, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))


def _written(field: str) -> str:
    """A route's field as a file has it."""
    return "from" if field == "sources" else field
