"""`GET /v1/taps`: live copies of messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from actors.core.errors import ControlError
from actors.kit.expressions import Expression, MistakeError
from router.control.mailbox_view import whole_message
from router.control.operation import NDJSON, Call, Operation, Stream
from router.control.problem import Mistake, RequestError, UnknownError
from router.control.requests import Query, Text
from router.telemetry.shown import Redaction, without_credentials
from router.telemetry.tap import Copy, Remark
from router.telemetry.taps import Taps

if TYPE_CHECKING:
    from router.engine import Engine

MOST_NAMES: Final = 100
REMARK_S: Final = 1.0
"""How often it is told what was left out."""


class TapQuery(Query):
    """What to listen to, and how much of it is shown."""

    name: Text
    """Sources, routes and targets, with commas between them."""
    where: Text | None = None
    """An expression, as in a route's `when`: only messages for which it holds."""
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of messages that is looked at."""
    limit: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    """Messages a second that are shown at most."""
    count: Annotated[int, Field(ge=1)] | None = None
    """End when so many were shown."""
    whole: bool = False
    """Show messages whole, in place of a preview."""


class TapOperations:
    """Shows what passes, without holding it up."""

    def __init__(self, engine: Engine, taps: Taps, redaction: Redaction) -> None:
        self._engine = engine
        self._taps = taps
        self._redaction = redaction

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "GET",
                "/v1/taps",
                self.tap,
                TapQuery,
                role="operator",
                answers={200: NDJSON},
                problems=(404, 409, 503),
            ),
        )

    async def tap(self, call: Call) -> Stream:
        """Live copies of messages: that come in at sources, that end on routes, that are handed over to targets.

        Each line is a message, or a remark: `listening` (the first line), `left_out` (messages that passed and were not
        shown, since they were more than `limit`, or more than could be looked at), `failed` (on which `where` failed),
        `revision` (it runs from here on), `gone` (names that it does not have). The flow never waits for a tap. A tap
        goes on over changes of the topology.
        """
        query: TapQuery = call.query
        names = list(dict.fromkeys(filter(None, query.name.split(","))))
        if not 1 <= len(names) <= MOST_NAMES:
            raise RequestError(Mistake("name", f"expected 1 to {MOST_NAMES} names"))
        for name in names:
            self._check(name)
        return Stream(self._lines(query, names, _expression(query.where)))

    def _check(self, name: str) -> None:
        engine = self._engine
        if (member := engine.supervisor.member(name)) is not None:
            parent = name.rpartition("/")[0]
            raise ControlError(f"{member.name} is a child that {parent} has started: listen to {parent}")
        known = (*engine.topology.actors, *engine.topology.routes)
        if name not in known:
            raise UnknownError("actor or route", name, known)

    async def _lines(self, query: TapQuery, names: list[str], where: Expression | None) -> AsyncGenerator[bytes, None]:
        clock = self._engine.clock
        tap = self._taps.open(names, where=where, sample=query.sample, per_s=query.limit)
        try:
            yield _line({"listening": names})
            shown, remark_at = 0, clock.now() + REMARK_S
            while query.count is None or shown < query.count:
                found = await tap.next(max(0.0, remark_at - clock.now()))
                if isinstance(found, Copy):
                    shown += 1
                    yield _line(await self._shown(found, whole=query.whole))
                elif found is not None:
                    yield _line(_remark(found))
                if clock.now() >= remark_at:
                    remark_at = clock.now() + REMARK_S
                    if (remark := tap.remark()) is not None:
                        yield _line(_remark(remark))
        finally:
            self._taps.close(tap)

    async def _shown(self, copy: Copy, *, whole: bool) -> dict[str, Any]:
        message = copy.message
        line = {
            "at": copy.at,
            "name": copy.name,
            "place": copy.place,
            "id": message.id,
            "source": message.source,
            "key": message.key,
            "route": copy.route,
            "target": copy.target,
            "attempt": copy.attempt,
            "outcome": copy.outcome,
            "reason": without_credentials(copy.reason) if copy.reason is not None else None,
        }
        if whole:
            return {**line, "message": await asyncio.to_thread(whole_message, message, self._redaction)}
        return {**line, "preview": self._redaction.preview(message.data)}


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode("ascii")


def _remark(remark: Remark) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if remark.left_out:
        document["left_out"] = remark.left_out
    if remark.failed:
        document |= {"failed": remark.failed, "error": without_credentials(remark.error)}
    if remark.revision is not None:
        document |= {"revision": remark.revision, "gone": list(remark.gone)}
    return document


def _expression(where: str | None) -> Expression | None:
    if where is None:
        return None
    try:
        return Expression(where)
    except MistakeError as error:
        raise RequestError(Mistake("where", str(error), error.suggestion or "")) from None
