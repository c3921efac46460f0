"""Finds messages that would go round for ever: sent out by one route, and brought in again by another way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from router.topology.cycles import cycles
from router.topology.draft import ActorDraft, Draft, Reference, RouteDraft
from router.topology.report import Report
from router.topology.target import All, One

MOST_ECHOES: Final = 100_000
"""Of one type: more are not looked at, since each of thousands of sources may hear each of thousands of targets."""

PASSING: Final = frozenset({"map", "phone", "split", "validate"})
"""Steps that let a good message pass whenever it comes round; any other may be there to end it."""

_SENT: Final = "→ "
"""Before the name of an actor as a target: what is sent to it need not come out of it as a source."""

_Edges = dict[str, list[tuple[str, tuple[RouteDraft, Reference] | None]]]


class Rounds:
    """Checks one file as a whole. Routes that wait for each other are the business of `Rules`."""

    def __init__(self, draft: Draft, report: Report) -> None:
        self._draft = draft
        self._report = report

    def check(self) -> None:
        routes = [route for route in self._draft.routes.values() if _passes_all(route)]
        edges: _Edges = {}
        for route in routes:
            for target in route.named("to"):
                for source in route.named("from"):
                    edges.setdefault(source.name, []).append((_SENT + target.name, (route, target)))
        for sent, heard in self._echoes(routes):
            edges.setdefault(_SENT + sent, []).append((heard, None))
        for cycle in cycles(edges):
            names = [cycle[0][0]]
            for _, by, end in cycle:
                if by is not None:
                    names += [by[0].name, end.removeprefix(_SENT)]
                elif end != names[-1]:  # else it hears itself
                    names.append(end)
            back = next(by[1] for _, by, _ in reversed(cycle) if by is not None)
            self._report.warning(
                back.node.span,
                f"messages go round for ever: {' → '.join(names)}",
                "lead them elsewhere, or end them with 'when'",
            )

    def _echoes(self, routes: list[RouteDraft]) -> Iterator[tuple[str, str]]:
        """From which target to which source, of what the routes use."""
        sources = self._by_type(reference for route in routes for reference in route.named("from"))
        for kind, targets in self._by_type(reference for route in routes for reference in route.named("to")).items():
            if kind in sources:
                yield from self._heard(targets, sources[kind])

    def _by_type(self, references: Iterator[Reference]) -> dict[str, dict[str, ActorDraft]]:
        found: dict[str, dict[str, ActorDraft]] = {}
        for reference in references:
            actor = self._draft.actors.get(reference.name)
            if actor is not None and actor.definition is not None and actor.enabled:
                found.setdefault(actor.definition.type, {})[actor.name] = actor
        return found

    def _heard(self, targets: Mapping[str, ActorDraft], sources: Mapping[str, ActorDraft]) -> list[tuple[str, str]]:
        first = next(iter(targets.values()))
        assert first.definition is not None, "others are left out"
        echoes = first.definition.spec.echoes
        return first.ask(
            self._report, lambda _: list(islice(echoes(_options(targets), _options(sources)), MOST_ECHOES)), default=[]
        )


def _options(actors: Mapping[str, ActorDraft]) -> dict[str, Any]:
    return {name: actor.definition.options for name, actor in actors.items() if actor.definition is not None}


def _passes_all(route: RouteDraft) -> bool:
    definition = route.definition
    return (
        definition is not None
        and definition.when is None
        and isinstance(definition.to, One | All)
        and all(step.name in PASSING for step in definition.steps)
    )
