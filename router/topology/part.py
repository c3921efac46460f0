"""A part of a topology: what one of several processes runs. Pure, but for the words of what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from router.topology.fields import connections_of
from router.topology.model import ActorDefinition, RouteDefinition, Topology
from router.topology.problems import Problem, Severity, TopologyError, by_place, did_you_mean
from router.topology.target import actors_of

Load = Callable[[str, Path], tuple[Topology | None, list[Problem]]]
"""Checks a text as if it were the content of a file, and says all its problems."""

_SHOWN: Final = 3
"""Routes that are named in a problem."""


def restrict(topology: Topology, names: Collection[str]) -> Topology:
    """Just those actors and routes, and what they need; raises `TopologyError` where that cannot be."""
    part, problems = restricted(topology, names)
    if part is None:
        raise TopologyError(problems)
    return part


def restricted(topology: Topology, names: Collection[str]) -> tuple[Topology | None, list[Problem]]:
    """Like `check`: the part and its warnings, or None and every problem.

    A route brings its sources, targets, fallbacks and its `dead_letter`; an actor brings the routes that begin at
    it, with theirs. A source that is brought is started without the other routes that begin at it, which a warning
    tells. What is in the state directory of one process alone, an embedded queue or a broker in the house, cannot be
    on both sides.
    """
    unknown = [name for name in names if name not in topology.actors and name not in topology.routes]
    if unknown:
        known = (*topology.actors, *topology.routes)
        file = str(topology.path or "")
        return None, [
            Problem(
                file, 0, 0, 0, f"--only names '{name}', and no actor or route is called so", did_you_mean(name, known)
            )
            for name in unknown
        ]
    part = _part(topology, frozenset(names))
    errors = [*_cut(topology, part), *_lost(topology, part)]
    problems = by_place([*errors, *_bypassed(topology, part), *_rivals(topology, part)])
    return (None if errors else part), problems


def restricting(load: Load, names: Collection[str]) -> Load:
    """What loads just that part of each topology."""

    def load_part(text: str, path: Path) -> tuple[Topology | None, list[Problem]]:
        topology, problems = load(text, path)
        if topology is None:
            return None, problems
        part, more = restricted(topology, names)
        return part, by_place([*problems, *more])

    return load_part


def node_name(names: Collection[str]) -> str:
    """What a process is called that runs a part, unless it is given a name: the same in whatever order they stand."""
    return "-".join(sorted(set(names)))


def ends_of_route(route: RouteDefinition) -> tuple[str, ...]:
    """Every actor of a route."""
    last = () if route.dead_letter is None else (route.dead_letter,)
    return tuple(dict.fromkeys((*route.sources, *actors_of(route.to), *route.fallback, *last)))


def _part(topology: Topology, names: frozenset[str]) -> Topology:
    routes = {
        name: route for name, route in topology.routes.items() if name in names or not names.isdisjoint(route.sources)
    }
    kept = {actor for route in routes.values() for actor in ends_of_route(route)} | names
    actors = {name: actor for name, actor in topology.actors.items() if name in kept}
    used = {connection for actor in actors.values() for _, connection, _ in connections_of(actor.options)}
    groups = {
        name: group.model_copy(update={"actors": members})
        for name, group in topology.groups.items()
        if (members := tuple(member for member in group.actors if member in actors))
    }
    return replace(
        topology,
        actors=actors,
        routes=routes,
        connections={name: one for name, one in topology.connections.items() if name in used},
        groups=groups,
        left_out=topology.left_out | (topology.routes.keys() - routes.keys()),
    )


def _outside(topology: Topology, part: Topology) -> Mapping[str, RouteDefinition]:
    return {name: route for name, route in topology.routes.items() if name not in part.routes}


def _cut(topology: Topology, part: Topology) -> Iterator[Problem]:
    """What only one process can hold, and routes on both sides use."""
    users: dict[tuple[str, str], list[str]] = {}
    for name, route in _outside(topology, part).items():
        for actor in ends_of_route(route):
            for held in _held(topology, topology.actors[actor]):
                users.setdefault(held, []).append(name)
    told: set[tuple[str, str]] = set()
    for actor, definition in part.actors.items():
        for held in _held(topology, definition):
            if held not in users or held in told:
                continue
            told.add(held)
            kind, name = held
            who = f"{_named(users[held])}, which {_is_not(users[held])} started here, {_use(users[held])} it too"
            if kind == "connections":
                message = f"the broker of connection '{name}' runs in this process alone, and {who}"
                advice = "name that as well, or use a broker that runs by itself: mqtt://…"
                yield _problem(topology, "connections", name, message, advice)
            else:
                message = f"the queue '{name}' is kept by this process alone, and {who}"
                advice = "name that as well, or keep the queue in Redis: 'store: …'"
                yield _problem(topology, "actors", actor, message, advice)


def _held(topology: Topology, actor: ActorDefinition) -> Iterator[tuple[str, str]]:
    """What an actor uses that is in the state directory of its process: (section, name)."""
    options = actor.options
    if actor.type == "queue" and getattr(options, "store", None) == "sqlite":
        yield "actors", getattr(options, "queue", None) or actor.name
    for _, name, _ in connections_of(options):
        connection = topology.connections.get(name)
        if connection is not None and getattr(connection.options, "house", None) is not None:
            yield "connections", name


def _lost(topology: Topology, part: Topology) -> Iterator[Problem]:
    """Targets that would take in messages as well, for routes that are elsewhere. A queue lets none out unasked."""
    begins = {source for route in part.routes.values() for source in route.sources}
    for name, actor in part.actors.items():
        if name in begins or not actor.is_source or actor.redelivers:
            continue
        routes = [other for other, route in _outside(topology, part).items() if name in route.sources]
        if routes:
            message = f"'{name}' also takes in messages, for {_named(routes)}, which {_is_not(routes)} started here"
            advice = "name that as well, or give what is sent an actor of its own"
            yield _problem(topology, "actors", name, message, advice)


def _bypassed(topology: Topology, part: Topology) -> Iterator[Problem]:
    """Sources whose messages do not take all routes that begin there."""
    begins = {source for route in part.routes.values() for source in route.sources}
    for name in begins & part.actors.keys():
        routes = [other for other, route in _outside(topology, part).items() if name in route.sources]
        if routes:
            message = (
                f"what '{name}' takes in here does not take {_named(routes)}, which {_is_not(routes)} started here"
            )
            yield _problem(
                topology, "actors", name, message, "name that as well, or the source in its place", "warning"
            )


def _rivals(topology: Topology, part: Topology) -> Iterator[Problem]:
    """Clients that two processes would have under one id, of which a broker knows one."""
    outside = {
        connection
        for route in _outside(topology, part).values()
        for actor in ends_of_route(route)
        for _, connection, _ in connections_of(topology.actors[actor].options)
    }
    for name, connection in part.connections.items():
        if name in outside and getattr(connection.options, "client_id", None) is not None:
            message = f"connection '{name}' has a client_id, and other processes use it too: they disconnect each other"
            advice = "remove it, or put a variable into it that differs"
            yield _problem(topology, "connections", name, message, advice, "warning")


def _problem(
    topology: Topology, section: str, name: str, message: str, suggestion: str, severity: Severity = "error"
) -> Problem:
    if topology.places is not None:
        return topology.places.problem(section, name, message, suggestion, severity)
    return Problem(str(topology.path or ""), 0, 0, 0, message, suggestion, severity)


def _named(routes: list[str]) -> str:
    unique = list(dict.fromkeys(routes))
    shown = ", ".join(f"'{name}'" for name in unique[:_SHOWN])
    more = f" and {len(unique) - _SHOWN} more" if len(unique) > _SHOWN else ""
    return f"{'route' if len(unique) == 1 else 'routes'} {shown}{more}"


def _is_not(routes: list[str]) -> str:
    return "is not" if len(set(routes)) == 1 else "are not"


def _use(routes: list[str]) -> str:
    return "uses" if len(set(routes)) == 1 else "use"
