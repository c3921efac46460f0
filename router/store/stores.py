"""All that a router keeps on disk, in one database: opened, kept within limits, and closed together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
from actors.kit.database import Database
from router.store.audit import Audit
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.pauses import Pauses
from router.store.reservations import Reservations
from router.store.revisions import Revisions
from router.store.schema import SCHEMA

HISTORY: Final = 1000
"""Revisions and entries of the audit log that are kept, each."""


class Stores:
    """Journal, dead letters and reservations; revisions, the audit log and pauses."""

    def __init__(self, path: Path, *, journal_bytes: int, clock: Clock, events: Events) -> None:
        self._clock = clock
        self._events = events
        self.database = Database(path, schema=SCHEMA, on_change=self._changed)
        self.journal = Journal(self.database, max_bytes=journal_bytes)
        self.dead_letters = DeadLetters(self.database, self.journal)
        self.reservations = Reservations(self.database)
        self.revisions = Revisions(self.database)
        self.audit = Audit(self.database)
        self.pauses = Pauses(self.database)

    async def open(self) -> None:
        """Learn what is there; raises `StorageError`, and then nothing is open."""
        await self.database.open()
        try:
            await self.journal.open()
            await self.dead_letters.open()
            await self.reservations.open(now=self._clock.time())
            await self.revisions.open()
            await self.pauses.open()
        except BaseException:
            await self.database.close()
            raise
        for line in self.revisions.interrupted:
            text = f"revision {line.number} ({line.action} by {line.who}) is not done: {line.why}"
            self._events.emit(Notice(text, "warning"))

    async def close(self) -> bool:
        """Commit what was submitted; false where that failed."""
        try:
            await self.database.close()
        except StorageError as error:
            self._events.emit(Notice(str(error), "error"))
            return False
        return True

    async def keep_within_limits(
        self, *, max_age_s: float, max_bytes: int, every_s: float, history: int = HISTORY
    ) -> None:
        """Delete what is too old or too much, again and again, until it is cancelled.

        Age and bytes are of dead letters; `history` counts revisions and entries of the audit log, each.
        """
        while True:
            try:
                gone = await self.dead_letters.sweep(now=self._clock.time(), max_age_s=max_age_s, max_bytes=max_bytes)
                if gone:
                    text = f"{gone} dead letters were older or more than retention allows"
                    self._events.emit(Notice(text, "warning"))
                await self.reservations.sweep(now=self._clock.time())
                await self.revisions.sweep(keep=history)
                await self.audit.sweep(keep=history)
            except StorageError as error:
                # That the disk fails is told by whoever has to write; this can wait.
                self._events.emit(Notice(f"the stores could not be swept: {error}", "warning"))
            await self._clock.sleep(every_s)
            # What was in hand when the router started has not killed it.
            self.journal.clear_hands()

    def _changed(self, error: StorageError | None) -> None:
        if error is None:
            self._events.emit(Notice("the state directory can be written again"))
        else:
            self._events.emit(Notice(f"the state directory cannot be written: {error}", "error"))
