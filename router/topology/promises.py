"""What routes promise, against what the ways to and from their actors keep of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from actors.core.hop import Hop
from actors.core.option_problem import OptionProblem
from router.topology.definitions import place
from router.topology.draft import ActorDraft, Draft, Role, RouteDraft
from router.topology.fields import connections_of
from router.topology.report import Report
from router.topology.source import Span
from router.topology.tree import ListNode, MapNode, Node, scalars

MOST_NAMES: Final = 3
"""In one sentence."""

_ID: Final = re.compile(r"\bmessage\s*(\.\s*id\b|\[\s*['\"]id['\"]\s*\])")
_OF_DATA: Final = re.compile(r"\{\{.*\bdata\b", re.DOTALL)


class Promises:
    """Checks one file as a whole; of what has problems by itself no more is told."""

    def __init__(self, draft: Draft, report: Report) -> None:
        self._draft = draft
        self._report = report
        self._hops: dict[str, Hop] = {}
        for actor in draft.actors.values():
            hop = self._hop(actor)
            if hop is not None:
                self._hops[actor.name] = hop
        self._losing: dict[str, dict[str, str]] = {}
        """Of actors that may lose messages: their routes that promise more, and why each does."""
        self._repeated: dict[str, dict[str, str]] = {}
        """Of actors that ids do not travel to: their routes whose repeats cannot be known."""

    def check(self) -> None:
        for name, hop in self._hops.items():
            for problem in hop.conflicts:
                actor = self._draft.actors[name]
                self._report.error(
                    _place(actor, problem), f"'{problem.path[-1]}': {problem.message}", problem.suggestion
                )
        for route in self._draft.routes.values():
            self._sources(route)
            self._targets(route)
        for name, promises in self._losing.items():
            why = next(iter(promises.values())) if len(promises) == 1 else f"{_listed(promises)} promise more"
            self._warn(name, self._hops[name].loses, f", and {why}")
        for name, routes in self._repeated.items():
            self._warn(name, self._hops[name].drops_id, f": nobody could know a repeat of {_listed(routes)}")

    def _hop(self, actor: ActorDraft) -> Hop | None:
        """None where it cannot be known."""
        definition = actor.definition
        if definition is None:
            return None
        options: dict[str, Any] = {}
        for key, name, wanted in connections_of(definition.options):
            connection = self._draft.connections.get(name)
            if connection is None or connection.definition is None or connection.definition.type != wanted:
                return None
            options[key] = connection.definition.options
        spec = definition.spec
        return actor.ask(self._report, lambda own: spec.hop(own, options), default=Hop())

    def _sources(self, route: RouteDraft) -> None:
        in_order = []
        for name, hop in self._ends(route, "from"):
            promise = _promise(route)
            if hop.loses is not None and promise is not None:
                self._losing.setdefault(name, {})[route.name] = promise
            if hop.acknowledges == "in_order":
                in_order.append(name)
        retry = route.node.entries.get("retry")
        if in_order and retry is not None and _retries(route) and not route.durable:
            names = " and ".join(f"'{name}'" for name in in_order[:MOST_NAMES])
            self._report.warning(
                retry.key,
                f"{names} acknowledge{'s' if len(in_order) == 1 else ''} in the order of arrival: "
                "while a message waits for its retry, those behind it are not acknowledged",
                "'durable: true' on this route",
            )

    def _targets(self, route: RouteDraft) -> None:
        promise = _promise(route)
        if promise is None:
            told = [name for name, hop in self._ends(route, "from") if hop.acknowledges != "no"]
            promise = f"route '{route.name}' tells '{told[0]}' that it was delivered" if told else None
        for name, hop in self._ends(route, "to", "fallback", "dead_letter"):
            if hop.loses is not None and promise is not None:
                self._losing.setdefault(name, {})[route.name] = promise
        for name, hop in self._ends(route, "to", "fallback"):
            if hop.drops_id is not None and not self._puts_id(route, self._draft.actors[name]):
                self._repeated.setdefault(name, {})[route.name] = ""

    def _ends(self, route: RouteDraft, *roles: Role) -> list[tuple[str, Hop]]:
        names = dict.fromkeys(reference.name for reference in route.named(*roles))
        return [(name, self._hops[name]) for name in names if name in self._hops]

    def _puts_id(self, route: RouteDraft, target: ActorDraft) -> bool:
        """Whether the id is in the data, or in what the target makes of it; of what a function does nobody knows."""
        steps = route.node.get("steps")
        if _mentions_id(target.node) or (steps is not None and (_mentions_id(steps) or _calls(steps))):
            return True
        sources = [self._draft.actors.get(reference.name) for reference in route.named("from")]
        return bool(sources) and all(source is not None and _takes_id_from_data(source) for source in sources)

    def _warn(self, name: str, problem: OptionProblem | None, more: str) -> None:
        assert problem is not None, "only what has one is kept"
        self._report.warning(_place(self._draft.actors[name], problem), problem.message + more, problem.suggestion)


def _place(actor: ActorDraft, problem: OptionProblem) -> Span:
    entry = actor.node.entries.get(problem.path[0])
    return place(entry) if entry is not None else actor.key


def _promise(route: RouteDraft) -> str | None:
    """What the file promises of a route, in words; every route tries again, but one that says how means it."""
    if route.durable:
        return f"route '{route.name}' is durable"
    return f"route '{route.name}' retries" if _retries(route) else None


def _retries(route: RouteDraft) -> bool:
    return isinstance(route.node.get("retry"), MapNode) and (
        route.definition is None or route.definition.retry.attempts > 1
    )


def _mentions_id(node: Node) -> bool:
    return any(isinstance(scalar.value, str) and _ID.search(scalar.value) for scalar in scalars(node))


def _calls(steps: Node) -> bool:
    return isinstance(steps, ListNode) and any(
        isinstance(step, MapNode) and "python" in step.entries for step in steps.items
    )


def _takes_id_from_data(source: ActorDraft) -> bool:
    entry = source.node.get("id")
    return entry is not None and any(
        isinstance(scalar.value, str) and _OF_DATA.search(scalar.value) for scalar in scalars(entry)
    )


def _listed(routes: Iterable[str]) -> str:
    names = [f"'{name}'" for name in routes]
    if len(names) == 1:
        return f"route {names[0]}"
    if len(names) > MOST_NAMES + 1:
        names[MOST_NAMES:] = [f"{len(names) - MOST_NAMES} more"]
    return f"routes {', '.join(names[:-1])} and {names[-1]}"
