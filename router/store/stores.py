"""All that a router keeps on disk, in one database: opened, kept within limits, and closed together."""

from __future__ import annotations

from pathlib import Path

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
from actors.kit.database import Database
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.reservations import Reservations
from router.store.schema import SCHEMA


class Stores:
    """Journal, dead letters and reservations."""

    def __init__(self, path: Path, *, journal_bytes: int, clock: Clock, events: Events) -> None:
        self._clock = clock
        self._events = events
        self.database = Database(path, schema=SCHEMA, on_change=self._changed)
        self.journal = Journal(self.database, max_bytes=journal_bytes)
        self.dead_letters = DeadLetters(self.database, self.journal)
        self.reservations = Reservations(self.database)

    async def open(self) -> None:
        """Learn what is there; raises `StorageError`, and then nothing is open."""
        await self.database.open()
        try:
            await self.journal.open()
            await self.dead_letters.open()
            await self.reservations.open(now=self._clock.time())
        except BaseException:
            await self.database.close()
            raise

    async def close(self) -> bool:
        """Commit what was submitted; false where that failed."""
        try:
            await self.database.close()
        except StorageError as error:
            self._events.emit(Notice(str(error), "error"))
            return False
        return True

    async def keep_within_limits(self, *, max_age_s: float, max_bytes: int, every_s: float) -> None:
        """Delete what is too old or too much, again and again, until it is cancelled."""
        while True:
            try:
                gone = await self.dead_letters.sweep(now=self._clock.time(), max_age_s=max_age_s, max_bytes=max_bytes)
                if gone:
                    text = f"{gone} dead letters were older or more than retention allows"
                    self._events.emit(Notice(text, "warning"))
                await self.reservations.sweep(now=self._clock.time())
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
