"""What a file says of one actor or one route, whether or not it is right: what the rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from router.topology.model import ActorDefinition, ConnectionDefinition, GroupDefinition, RouteDefinition
from router.topology.report import Report
from router.topology.source import Span
from router.topology.tree import ListNode, MapNode, Node, ScalarNode

T = TypeVar("T")

Role = Literal["from", "to", "fallback", "dead_letter"]


class Reference(NamedTuple):
    """An actor's name in a route."""

    role: Role
    name: str
    node: ScalarNode


@dataclass(slots=True)
class ActorDraft:
    """One entry of `actors:`."""

    name: str
    key: Span
    node: MapNode
    definition: ActorDefinition | None = None
    """None where the entry has problems."""
    used: bool = False
    """Some route names it."""

    @property
    def enabled(self) -> bool:
        return self.definition is None or self.definition.enabled

    def ask(self, report: Report, about: Callable[[Any], T], *, default: T) -> T:
        """What its type says of its options; `default` where that is not known, or the type fails, which is told."""
        if self.definition is None:
            return default
        try:
            return about(self.definition.options)
        except Exception as error:  # the type may be anybody's
            report.error(self.key, f"actor type '{self.definition.type}' cannot tell its roles: {type(error).__name__}")
            return default


@dataclass(slots=True)
class RouteDraft:
    """One entry of `routes:`."""

    name: str
    key: Span
    node: MapNode
    references: tuple[Reference, ...] = ()
    definition: RouteDefinition | None = None
    """None where the entry has problems."""

    @property
    def durable(self) -> bool:
        durable = self.node.get("durable")
        return isinstance(durable, ScalarNode) and durable.value is True

    def named(self, *roles: Role) -> list[Reference]:
        """The actors in these roles, in the order of the file."""
        return [reference for reference in self.references if reference.role in roles]


@dataclass(slots=True)
class ConnectionDraft:
    """One entry of `connections:`."""

    name: str
    definition: ConnectionDefinition | None = None
    """None where the entry has problems."""


@dataclass(slots=True)
class GroupDraft:
    """One entry of `groups:`."""

    name: str
    members: tuple[ScalarNode, ...]
    definition: GroupDefinition | None


@dataclass(slots=True)
class Draft:
    """A whole file."""

    actors: dict[str, ActorDraft] = field(default_factory=dict)
    routes: dict[str, RouteDraft] = field(default_factory=dict)
    groups: dict[str, GroupDraft] = field(default_factory=dict)
    connections: dict[str, ConnectionDraft] = field(default_factory=dict)


def references(route: MapNode) -> tuple[Reference, ...]:
    """The actors that a route names, wherever the rest of it is wrong too."""
    return tuple(Reference(role, node.value, node) for role, node in _references(route) if isinstance(node.value, str))


def names(node: Node | None) -> Iterator[ScalarNode]:
    """The scalars of an actor or a list of actors."""
    if isinstance(node, ScalarNode):
        if not node.broken:
            yield node
    elif isinstance(node, ListNode):
        for item in node.items:
            if isinstance(item, ScalarNode) and not item.broken:
                yield item


def _references(route: MapNode) -> Iterator[tuple[Role, ScalarNode]]:
    yield from (("from", node) for node in names(route.get("from")))
    to = route.get("to")
    if isinstance(to, MapNode):
        cases = to.get("match")
        if isinstance(cases, ListNode):
            for case in cases.items:
                if isinstance(case, MapNode):
                    yield from (("to", node) for node in names(case.get("to")))
        yield from (("to", node) for node in names(to.get("else")))
        weights = to.get("split")
        if isinstance(weights, MapNode):
            yield from (("to", ScalarNode(*entry.key, name)) for name, entry in weights.entries.items())
    else:
        yield from (("to", node) for node in names(to))
    yield from (("fallback", node) for node in names(route.get("fallback")))
    yield from (("dead_letter", node) for node in names(route.get("dead_letter")))
