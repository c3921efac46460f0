"""The queues of one process, in its database."""

from __future__ import annotations

import asyncio
import sqlite3

from actors.core.clock import Clock
from actors.core.events import Events
from actors.kit.database import Database
from actors.queues.sqlite.queue import SqliteQueue
from actors.queues.sqlite.schema import SESSION
from actors.queues.sqlite.transaction import Numbers

OPEN_TIMEOUT_S = 300.0


class EmbeddedQueues:
    """Shared by all actors of a process: whoever names a queue has the same object.

    `database` has the tables of `schema.TABLES`, and is this process's alone; it is opened and closed by others.
    """

    def __init__(self, database: Database, *, clock: Clock, events: Events) -> None:
        self._database = database
        self._clock = clock
        self._events = events
        self._queues: dict[str, SqliteQueue] = {}
        self._numbers = Numbers(1)
        self._lock = asyncio.Lock()
        self._is_ready = False

    def queue(self, name: str) -> SqliteQueue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = SqliteQueue(
                name,
                self._database,
                numbers=self._numbers,
                prepare=self._prepare,
                clock=self._clock,
                events=self._events,
            )
        return queue

    async def names(self) -> list[str]:
        """Those on disk, whoever made them."""
        return await self._database.read(_names)

    async def close(self) -> None:
        """The database is closed by whoever opened it."""

    async def _prepare(self) -> None:
        """Learn what is there: 1.5 s for a million jobs."""
        async with self._lock:
            if not self._is_ready:
                self._numbers.take(await self._database.read(_learn, timeout_s=OPEN_TIMEOUT_S))
                self._is_ready = True


def _learn(connection: sqlite3.Connection) -> int:
    """Returns the highest number that was given."""
    if connection.execute("SELECT count(*) FROM sqlite_temp_schema WHERE name = 'queue_ids'").fetchone()[0] == 0:
        try:
            connection.executescript(f"BEGIN; {SESSION} COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    (highest,) = connection.execute(
        "SELECT coalesce(max(row, highest, -lowest), 0) FROM"
        " (SELECT max(row) AS row, max(place) AS highest, min(place) AS lowest FROM queue_jobs)"
    ).fetchone()
    return int(highest)


def _names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM queues ORDER BY name")]
