"""`GET /v1/traces/{id}`: one message's way through actors and routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from router.control import lanes
from router.control.operation import Answer, Call, Operation
from router.control.problem import UnknownError
from router.control.requests import NoQuery
from router.control.trace_documents import TraceDocument
from router.routing.delivery import Delivery
from router.telemetry.shown import without_credentials
from router.telemetry.traces import Happening, Live, Traces

if TYPE_CHECKING:
    from router.engine import Engine


class UntracedError(UnknownError):
    """Nothing is remembered of a message."""

    def __init__(self, id_: str, why: str) -> None:
        super().__init__("trace of message", id_)
        self._why = why

    def __str__(self) -> str:
        return f"{super().__str__()}: {self._why}"


class TraceOperations:
    """Answers from what is remembered of messages that ended, and from what is under way."""

    def __init__(self, engine: Engine, traces: Traces) -> None:
        self._engine = engine
        self._traces = traces

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation("GET", "/v1/traces/{id}", self.trace, NoQuery, role="operator", answers={200: TraceDocument}),
        )

    async def trace(self, call: Call) -> Answer:
        """One message's way through actors and routes: when it was accepted, handed over and ended, and what failed.

        With its parts, where a step has split it, and with what it is a part of. What has ended is remembered as
        `settings.trace` says, and gone with the process; no payloads are.
        """
        wanted = call.names["id"]
        clock = self._engine.clock
        found = self._traces.way(wanted, self._live())
        if not found:
            raise UntracedError(wanted, self._reach())
        wall = clock.time() - clock.now()
        remembered, since = self._engine.trail.reach()
        return Answer.json(
            {
                "id": wanted,
                "under_way": any(one.what == "under_way" for one in found),
                "happenings": [_view(one, found[0].at, wall) for one in found],
                "remembered": remembered,
                "since": None if since is None else wall + since,
            }
        )

    def _reach(self) -> str:
        trail = self._engine.trail
        if not trail.messages:
            return "`settings.trace.messages` is 0, so that nothing is remembered of messages that have ended"
        remembered, since = trail.reach()
        if since is None:
            return "no message has ended yet, or all of that is forgotten"
        age_s = self._engine.clock.now() - since
        text = f"what is remembered, {remembered:,} ends of messages, goes back {age_s:.0f} s"
        if trail.left_out:
            text += f"; {trail.left_out:,} more were not remembered, since too many ended at once"
        return text

    def _live(self) -> Iterator[Live]:
        now = self._engine.clock.now()
        for route in self._engine.routes.values():
            for entry in lanes.of_route(route):
                delivery, message = entry.envelope, entry.message
                if not isinstance(delivery, Delivery) or message is None:
                    continue
                details = delivery.details
                yield Live(
                    message.id,
                    route.name,
                    delivery.accepted_at,
                    delivery.enqueued_at if entry.state == "attempting" else None,
                    lanes.next_target(delivery),
                    delivery.attempt,
                    entry.state,
                    max(0.0, entry.due - now) if entry.due is not None else None,
                    details.letter if details is not None else None,
                    message.source,
                    details is not None and details.number > 0,
                )


def _view(one: Happening, began: float, wall: float) -> dict[str, Any]:
    return {
        "at": wall + one.at,
        "after_s": one.at - began,
        "what": one.what,
        "id": one.id or None,
        "route": one.route or None,
        "target": one.target,
        "targets": list(one.targets),
        "attempt": one.attempt,
        "steps": list(one.steps),
        "step": one.step,
        "whole": one.is_whole,
        "outcome": one.outcome,
        "reason": without_credentials(one.reason) if one.reason is not None else None,
        "error": without_credentials(one.error) if one.error is not None else None,
        "retry_in_s": one.retry_in_s,
        "state": one.state,
        "letter": one.letter,
        "source": one.source,
        "revision": one.revision,
    }
