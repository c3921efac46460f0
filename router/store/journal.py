"""The journal of durable routes: a message is in it from before it is acknowledged until it is settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from actors.kit.database import Database
from actors.kit.statement import Parameters, Place, Statement
from router.store.live_rows import LiveRows
from router.store.numbering import Numbering, Range

Done = Callable[[Exception | None], None]

PAGE_BYTES: Final = 16 * 1024 * 1024
"""A page of `load` ends when it holds more than this."""
ROW_OVERHEAD: Final = 32
"""Counted for each row besides its message."""

_APPEND: Final = Statement("INSERT INTO journal (row, message) VALUES ", "(?, ?)", place=Place.FIRST)
_PROGRESS: Final = Statement(
    "INSERT INTO journal (row, message, position, attempts) VALUES ",
    "(?, ?, ?, ?)",
    " ON CONFLICT (row) DO UPDATE SET"
    " message = excluded.message, position = excluded.position, attempts = excluded.attempts, hands = 0",
)
_RECORD: Final = Statement("INSERT OR IGNORE INTO journal_deliveries (row, child, target) VALUES ", "(?, ?, ?)")
_IN_HAND: Final = Statement("UPDATE journal SET hands = hands + 1 WHERE row IN (", "?", ")")
_OUT_OF_HAND: Final = Statement("UPDATE journal SET hands = 0 WHERE row IN (", "?", ")")
_REMOVE: Final = Statement("DELETE FROM journal WHERE row IN (", "?", ")", place=Place.LAST)
_REMOVE_DELIVERIES: Final = Statement("DELETE FROM journal_deliveries WHERE row IN (", "?", ")", place=Place.LAST)


@dataclass(frozen=True, slots=True)
class Row:
    """A message that is not settled."""

    row: int
    message: bytes
    position: int
    """How many steps it has behind it."""
    attempts: int
    hands: int
    """How many starts in a row it was in hand at, as `mark_in_hand` counted."""
    delivered: frozenset[tuple[int, str]]
    """The deliveries of a fan-out that are settled: child and target."""


class Journal:
    """Row numbers rise within a route and are never given twice while a row is there.

    What is lazy here may be lost in a crash: losing progress or a deletion repeats, and loses nothing.
    """

    def __init__(self, database: Database, *, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._numbering = Numbering("journal_routes")
        self._live = LiveRows()
        self._fanned_out: set[int] = set()
        self._in_hand: set[int] = set()

    async def open(self, *, timeout_s: float = 300.0) -> None:
        """Learn what is there: 2 s for a million rows."""
        await self._database.transact(self._learn, timeout_s=timeout_s)

    @property
    def size_bytes(self) -> int:
        """Bytes of the messages that are not settled, and a little for each."""
        return self._live.size_bytes

    @property
    def is_full(self) -> bool:
        """Whether sources have to be refused; `append` itself refuses nothing."""
        return self._live.size_bytes >= self._max_bytes

    def waiting(self, route: str) -> int:
        """How many messages of the route are not settled."""
        found = self._numbering.find(route)
        return found.count if found is not None else 0

    def newest(self, route: str) -> int:
        """The highest row number that the route was given; 0 where it has had none."""
        found = self._numbering.find(route)
        return found.next - 1 if found is not None else 0

    def routes(self) -> list[str]:
        """The routes with messages that are not settled, those included that no topology has any more."""
        return [found.name for found in self._numbering.ranges() if found.count]

    def append(self, route: str, message: bytes, done: Done) -> int:
        """The message's row number; `done` is called when it is committed, or with why it is not there."""
        numbers = self._numbering.of(route)
        row = numbers.take()
        numbers.count += 1
        self._live.put(row, len(message) + ROW_OVERHEAD)
        if numbers.saved:
            self._database.execute(_APPEND, (row, message), partial(self._appended, row, done))
        else:
            self._database.execute_all(
                (self._numbering.saving(numbers), (_APPEND, (row, message))),
                partial(self._first_appended, numbers, row, done),
            )
        return row

    def progress(self, row: int, message: bytes, position: int, attempts: int) -> None:
        """From here on the row is replayed with this message, from this step on. Lazy.

        It is in nobody's hands then: what it was in hand at did not die of it.
        """
        if row in self._live:
            self._in_hand.discard(row)
            self._live.put(row, len(message) + ROW_OVERHEAD)
            self._database.execute(_PROGRESS, (row, message, position, attempts), lazy=True)

    def record_delivery(self, row: int, child: int, target: str) -> None:
        """One delivery of a fan-out is settled, and is not repeated by a replay. Lazy."""
        if row in self._live:
            self._fanned_out.add(row)
            self._database.execute(_RECORD, (row, child, target), lazy=True)

    def settle(self, row: int) -> None:
        """The message is at its end: its row and its recorded deliveries go. Lazy; again is harmless."""
        if not self._live.remove(row):
            return
        self._numbering.holding(row).count -= 1
        self._database.execute(_REMOVE, (row,), lazy=True)
        if row in self._fanned_out:
            self._fanned_out.discard(row)
            self._database.execute(_REMOVE_DELIVERIES, (row,), lazy=True)
        self._in_hand.discard(row)

    def mark_in_hand(self, row: int, done: Done) -> None:
        """Count that the row is about to be handed on; committed, so that a crash it causes is remembered."""
        self._in_hand.add(row)
        self._database.execute(_IN_HAND, (row,), done)

    def clear_hands(self) -> None:
        """No row is a suspect any more: the router stops in order, or it ran long enough."""
        for row in self._in_hand:
            self._database.execute(_OUT_OF_HAND, (row,), lazy=True)
        self._in_hand.clear()

    async def load(self, route: str, after: int, limit: int) -> list[Row]:
        """Rows of the route above `after` (0 for all), in their order.

        A page also ends after 16 MiB of messages: only an empty one is the last.
        """
        numbers = self._numbering.find(route)
        if numbers is None:
            return []
        start = max(after, numbers.first)
        while True:
            page = await self._database.read(partial(_read_page, start=start, last=numbers.last, limit=limit))
            # What was settled while the page was on its way is not handed out again.
            rows = [row for row in page if row.row in self._live]
            if rows or not page:
                return rows
            start = page[-1].row

    def removal(self, row: int) -> list[tuple[Statement, Parameters]]:
        """What deletes the row, for a transaction that moves it elsewhere; `forget` it after the commit."""
        steps: list[tuple[Statement, Parameters]] = [(_REMOVE, (row,))]
        if row in self._fanned_out:
            steps.append((_REMOVE_DELIVERIES, (row,)))
        return steps

    def recording(self, row: int, child: int, target: str) -> tuple[Statement, Parameters]:
        """What records a delivery, for a transaction that does more."""
        self._fanned_out.add(row)
        return _RECORD, (row, child, target)

    def forget(self, row: int) -> None:
        """The row is not there any more, or will not be."""
        if self._live.remove(row):
            self._numbering.holding(row).count -= 1
            self._fanned_out.discard(row)
            self._in_hand.discard(row)

    def _appended(self, row: int, done: Done, error: Exception | None) -> None:
        if error is not None:
            self.forget(row)
        done(error)

    def _first_appended(self, numbers: Range, row: int, done: Done, error: Exception | None) -> None:
        if error is None:
            numbers.saved = True
        self._appended(row, done, error)

    def _learn(self, connection: sqlite3.Connection) -> None:
        # A crash between two commits may leave deliveries of a row that is gone.
        connection.execute("DELETE FROM journal_deliveries WHERE row NOT IN (SELECT row FROM journal)")
        self._numbering.load(connection, "journal", "row")
        for row, size, hands in connection.execute("SELECT row, length(message), hands FROM journal"):
            self._live.put(row, size + ROW_OVERHEAD)
            self._numbering.holding(row).count += 1
            if hands:
                self._in_hand.add(row)
        for (row,) in connection.execute("SELECT DISTINCT row FROM journal_deliveries"):
            self._fanned_out.add(row)


def _read_page(connection: sqlite3.Connection, *, start: int, last: int, limit: int) -> list[Row]:
    found: list[tuple[int, bytes, int, int, int]] = []
    size = 0
    cursor = connection.execute(
        "SELECT row, message, position, attempts, hands FROM journal WHERE row > ? AND row <= ? ORDER BY row LIMIT ?",
        (start, last, limit),
    )
    for fields in cursor:
        found.append(fields)
        size += len(fields[1])
        if size > PAGE_BYTES:
            break
    cursor.close()
    if not found:
        return []
    delivered: dict[int, set[tuple[int, str]]] = {}
    for row, child, target in connection.execute(
        "SELECT row, child, target FROM journal_deliveries WHERE row BETWEEN ? AND ?",
        (found[0][0], found[-1][0]),
    ):
        delivered.setdefault(row, set()).add((child, target))
    return [Row(*fields, frozenset(delivered.get(fields[0], ()))) for fields in found]
