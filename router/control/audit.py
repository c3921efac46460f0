"""The audit log as the API has it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from router.control.message_documents import AuditPage
from router.control.operation import Answer, Call, Operation
from router.control.requests import Limit, MomentField, Query, Text
from router.store.audit import AuditFilter, AuditOutcome

if TYPE_CHECKING:
    from router.engine import Engine


class AuditQuery(Query):
    """A page of the audit log, the newest first."""

    who: Text | None = None
    """By them alone."""
    action: Text | None = None
    """With this action alone, such as `swap`."""
    object: Text | None = None
    """Of this alone."""
    outcome: AuditOutcome | None = None
    """With this end alone."""
    since: MomentField | None = None
    """Since then: a date and time, epoch seconds, or how long ago, such as 2h."""
    until: MomentField | None = None
    """Before then, written likewise."""
    limit: Limit = 50
    """Entries at most."""
    before: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    """The number of the last one of the page before."""


class AuditOperations:
    """What can be asked about who changed what."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "GET", "/v1/audit", self.page, AuditQuery, role="viewer", answers={200: AuditPage}, problems=(503,)
            ),
        )

    async def page(self, call: Call) -> Answer:
        """Who changed what, and what was refused. Entries hold neither payloads nor secrets."""
        query: AuditQuery = call.query
        now = self._engine.clock.time()
        matching = AuditFilter(
            query.who,
            query.action,
            query.object,
            query.outcome,
            query.since.at(now) if query.since is not None else None,
            query.until.at(now) if query.until is not None else None,
        )
        entries = await self._engine.stores.audit.page(matching, limit=query.limit, before=query.before)
        return Answer.json({"entries": [asdict(entry) for entry in entries]})
