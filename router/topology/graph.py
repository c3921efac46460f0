"""A topology as nodes and edges: what a picture of it shows, whoever draws it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from actors.kit.secrets import redact_url
from router.topology.fields import connections_of
from router.topology.model import ActorDefinition, RouteDefinition, Topology
from router.topology.target import All, Match, One, Split

LONGEST_LABEL: Final = 40
LONGEST_FACT: Final = 32

NodeKind = Literal["source", "target", "both", "route"]
EdgeKind = Literal["from", "to", "fallback", "dead_letter"]

_FACTS: Final = ("path", "subscribe", "publish", "url", "every", "cron", "class_", "queue")
"""Options of actors that say at a glance where they lead; the first ones that are given are shown."""

_NAMED: Final = ("subscribe", "publish", "every", "cron")
"""Those whose name is shown too."""


@dataclass(frozen=True, slots=True)
class Node:
    """An actor or a route."""

    id: str
    """Of letters and digits alone: `a0`, `r0`."""
    kind: NodeKind
    name: str
    facts: tuple[str, ...] = ()
    """What stands below its name, a line each."""
    is_faint: bool = False
    """An actor that is disabled."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A way that messages take."""

    start: str
    end: str
    kind: EdgeKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Sources, routes and targets, in the order of the file."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "name": self.name,
            "nodes": [
                {"id": each.id, "kind": each.kind, "name": each.name, "facts": each.facts, "enabled": not each.is_faint}
                for each in self.nodes
            ],
            "edges": [
                {"from": each.start, "to": each.end, "kind": each.kind, "label": each.label} for each in self.edges
            ],
        }


def graph_of(topology: Topology, *, put_in: Mapping[str, str] | None = None) -> Graph:
    """What a picture of the topology shows; conditions and addresses are shortened.

    User parts of URLs are masked, and what was put into the file is shown as the reference that stands there:
    `put_in` has it, as `Variables.put_in` finds it.
    """
    words = _Words(put_in or {})
    actors = {name: f"a{number}" for number, name in enumerate(topology.actors)}
    nodes = [_actor(actors[name], actor, words) for name, actor in topology.actors.items()]
    edges: list[Edge] = []
    for number, route in enumerate(topology.routes.values()):
        node = _route(f"r{number}", route, words)
        nodes.append(node)
        label = "" if route.when is None else words.shown(route.when, LONGEST_LABEL)
        edges += [Edge(actors[name], node.id, "from", label) for name in _once(route.sources)]
        edges += [Edge(node.id, actors[name], "to", label) for name, label in _ways(route, words)]
        several = len(_once(route.fallback)) > 1
        edges += [
            Edge(node.id, actors[name], "fallback", f"fallback {place}" if several else "fallback")
            for place, name in enumerate(_once(route.fallback), 1)
        ]
        if route.dead_letter is not None:
            edges.append(Edge(node.id, actors[route.dead_letter], "dead_letter", "dead letter"))
    return Graph(topology.name, tuple(nodes), tuple(edges))


def _actor(id: str, actor: ActorDefinition, words: _Words) -> Node:
    kind: NodeKind = "both" if actor.is_source and actor.is_target else "source" if actor.is_source else "target"
    given = ((name, getattr(actor.options, name, None)) for name in _FACTS)
    facts = [_fact(name, value, words) for name, value in given if value]
    connections = ", ".join(name for _, name, _ in connections_of(actor.options))
    shown = f"{actor.type} on {connections}" if connections else actor.type
    disabled = () if actor.enabled else ("disabled",)
    return Node(id, kind, actor.name, (shown, *facts, *disabled), is_faint=not actor.enabled)


def _fact(name: str, value: Any, words: _Words) -> str:
    text = ", ".join(map(str, value if isinstance(value, tuple) else (value,)))
    if name == "url":
        text = text.partition("?")[0]  # keys and tokens are often behind it
    return words.shown(f"{name} {text}" if name in _NAMED else text, LONGEST_FACT)


def _route(id: str, route: RouteDefinition, words: _Words) -> Node:
    steps = " › ".join(step.name for step in route.steps)
    by = route.to.by if isinstance(route.to, Split) else None
    facts = (
        _shortened(steps, LONGEST_FACT) if steps else "",
        "durable" if route.durable else "",
        words.shown(f"split by {by}", LONGEST_FACT) if by is not None else "",
    )
    return Node(id, "route", route.name, tuple(filter(None, facts)))


def _ways(route: RouteDefinition, words: _Words) -> Iterator[tuple[str, str]]:
    """The targets of a route, each with what stands beside its edge."""
    match route.to:
        case One(actor=name):
            yield name, ""
        case All(actors=names):
            yield from ((name, "") for name in _once(names))
        case Match(cases=cases, otherwise=otherwise):
            for case in cases:
                label = words.shown(case.when, LONGEST_LABEL)
                yield from ((name, label) for name in _once(case.to))
            yield from ((name, "else") for name in _once(otherwise or ()))
        case Split(weights=weights):
            whole = sum(weights.values())
            yield from ((name, f"{100 * weight / whole:.3g}%") for name, weight in weights.items())


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class _Words:
    """Texts of the topology as a picture may show them."""

    put_in: Mapping[str, str]

    def shown(self, text: object, longest: int) -> str:
        """On one line, without what is secret, and with an ellipsis where it is longer."""
        shown = str(text)
        for value in sorted(self.put_in, key=len, reverse=True):
            shown = shown.replace(value, self.put_in[value])
        return _shortened(redact_url(shown), longest)


def _shortened(text: str, longest: int) -> str:
    text = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
