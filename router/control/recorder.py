"""Writes down in the audit log what operators change, and what they were refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from actors.core.errors import StorageError
from actors.core.events import Notice
from router.control.operation import NOTHING_MORE, Answer, Change, Noted, Stream
from router.control.problem import problem_of
from router.control.roles import Caller
from router.store.audit import AuditEntry, AuditOutcome

if TYPE_CHECKING:
    from router.engine import Engine

MOST_REFUSALS: Final = 60
"""Of one caller that are kept in an hour: the log has bounds, and nobody may push out of it what others did."""
HOUR_S: Final = 3600.0
OBJECT_CHARACTERS: Final = 200


Attempt = Callable[[], Awaitable[Answer | Stream]]


class Recorder:
    """Runs changes, and keeps an entry of each.

    An entry that cannot be written undoes nothing: with a full disk an operator must still be able to pause, to
    drop and to restart. It goes into the router's log instead, as an error.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._refusals: dict[str, tuple[float, int]] = {}
        """By who: when their hour began, and how many there were since. As many as there are tokens and users."""

    async def run(
        self,
        change: Change,
        caller: Caller,
        names: Mapping[str, str],
        attempt: Callable[[], Awaitable[Answer | Stream]],
    ) -> Answer | Stream:
        """What `attempt` answers or raises, when that is written down."""
        try:
            answer = await attempt()
        except asyncio.CancelledError:
            # The stores are closing too, and nobody waits any more.
            entry = self._entry(change, caller, names, "failed", Noted("the router stopped meanwhile"))
            self._tell(entry, "the router stops")
            raise
        except Exception as error:
            problem = problem_of(error)
            outcome: AuditOutcome = "refused" if problem is not None and problem.status < 500 else "failed"
            why = problem.detail if problem is not None else type(error).__name__
            await self._keep(self._entry(change, caller, names, outcome, Noted(why)))
            raise
        noted = answer.noted if isinstance(answer, Answer) else NOTHING_MORE
        await self._keep(self._entry(change, caller, names, "done", noted))
        return answer

    def _entry(
        self,
        change: Change,
        caller: Caller,
        names: Mapping[str, str],
        outcome: AuditOutcome,
        noted: Noted = NOTHING_MORE,
    ) -> AuditEntry:
        return AuditEntry(
            at=self._engine.clock.time(),
            who=caller.who,
            role=caller.role or "",
            origin=caller.origin,
            action=change.action,
            object=change.object_of(names)[:OBJECT_CHARACTERS],
            outcome=outcome,
            why=noted.why,
            detail=noted.detail,
            revision=noted.revision,
        )

    async def _keep(self, entry: AuditEntry) -> None:
        if entry.outcome == "refused" and not self._has_room(entry.who):
            return
        try:
            await self._engine.stores.audit.record(entry)
        except StorageError as error:
            self._tell(entry, str(error))

    def _has_room(self, who: str) -> bool:
        now = self._engine.clock.now()
        began, count = self._refusals.get(who, (now, 0))
        if now - began >= HOUR_S:
            began, count = now, 0
        self._refusals[who] = began, count + 1
        if count == MOST_REFUSALS:
            text = f"more than {MOST_REFUSALS} changes by {who} were refused within an hour: no more of them are kept"
            self._engine.events.emit(Notice(text, "warning"))
        return count < MOST_REFUSALS

    def _tell(self, entry: AuditEntry, why: str) -> None:
        text = f"not in the audit log ({why}): {entry.action} {entry.object} by {entry.who}, {entry.outcome}"
        self._engine.events.emit(Notice(text, "error"))
