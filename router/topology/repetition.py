"""Who repeats what failed: a route, or the queue that it begins at, and never both."""

from __future__ import annotations

from typing import Final

from router.topology.draft import ActorDraft, Draft, RouteDraft
from router.topology.report import Report

SAID_THERE: Final = {
    "retry": "write 'attempts' and 'backoff' at actor {}",
    "concurrency": "write it at actor {}",
    "order_by": "write it at actor {}",
    "durable": "actor {} keeps what has not ended: leave it out",
    "max_waiting": "what is tried again waits in {}: leave it out",
}
"""Options of a route that such a source has itself, and what to do about each."""


class Repetition:
    """Checks one file as a whole, route by route; sources with problems of their own are not looked at."""

    def __init__(self, draft: Draft, report: Report) -> None:
        self._draft = draft
        self._report = report

    def check(self) -> None:
        for route in self._draft.routes.values():
            self._check(route)

    def _check(self, route: RouteDraft) -> None:
        redelivering: ActorDraft | None = None
        plain: ActorDraft | None = None
        for reference in route.named("from"):
            actor = self._draft.actors.get(reference.name)
            if actor is None or actor.definition is None:
                continue
            before, is_redelivering = redelivering or plain, self._redelivers(actor)
            if is_redelivering:
                redelivering = redelivering or actor
            else:
                plain = plain or actor
            if before is not None and self._redelivers(before) != is_redelivering:
                first, second = (actor, before) if is_redelivering else (before, actor)
                self._report.error(
                    reference.node.span,
                    f"{_named(first)} tries its messages again itself, and those of {_named(second)} the route does",
                    "a route for each",
                )
                return
        if redelivering is None:
            return
        for key, advice in SAID_THERE.items():
            entry = route.node.entries.get(key)
            if entry is not None:
                text = f"'{key}' has no meaning on this route: {_named(redelivering)} says that"
                self._report.error(entry.key, text, advice.format(f"'{redelivering.name}'"))

    def _redelivers(self, actor: ActorDraft) -> bool:
        definition = actor.definition
        return definition is not None and actor.ask(self._report, lambda _: definition.redelivers, default=False)


def _named(actor: ActorDraft) -> str:
    kind = f"{actor.definition.type} " if actor.definition is not None else ""
    return f"{kind}'{actor.name}'"
