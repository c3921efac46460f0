"""The node's own dead-letter store: what could not be delivered, why, and what becomes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from actors.kit.database import Database
from actors.kit.statement import Parameters, Statement
from router.store.dead_letter import EVERY_DEAD_LETTER, DeadLetter, DeadLetterFilter
from router.store.journal import Journal
from router.store.live_rows import LiveRows

Done = Callable[[Exception | None], None]

ROWS_A_TRANSACTION: Final = 500
"""Many dead letters are dropped in pieces, so that appends do not wait for all of them."""
PAGE_BYTES: Final = 16 * 1024 * 1024

_COLUMNS: Final = (
    "number, at, route, target, reason, error, attempts, key, message_id, source, message, entered, position"
)
_WRITE: Final = Statement(
    f"INSERT OR REPLACE INTO dead_letters ({_COLUMNS}, size) VALUES ", "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class DeadLetters:
    """Ids are short and are never given twice, across restarts too."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal
        self._live = LiveRows()
        self._next = 1
        self._replaying: set[int] = set()

    async def open(self, *, timeout_s: float = 300.0) -> None:
        """Learn what is there."""
        await self._database.read(self._learn, timeout_s=timeout_s)

    @property
    def size_bytes(self) -> int:
        return self._live.size_bytes

    def count(self) -> int:
        return self._live.count

    def add(
        self,
        letter: DeadLetter,
        journal_row: int | None,
        done: Done,
        *,
        delivery: tuple[int, str] | None = None,
    ) -> str:
        """Keep `letter` and return its id; `done` is called when it is committed, or with why it is not.

        Its journal row goes in the same transaction, so that the message is neither lost nor doubled between
        the two. With `delivery` (child and target) that delivery of the row is recorded instead: the other
        deliveries of the message still need the row.
        """
        number = self._next
        self._next += 1
        self._write(number, letter, journal_row, delivery, done)
        return _id(number)

    def replace(self, letter_id: str, letter: DeadLetter, journal_row: int | None, done: Done) -> None:
        """A replayed message failed again: one dead letter, with the latest failure, under the id it had.

        One that was dropped meanwhile is there again.
        """
        self._write(_number(letter_id), letter, journal_row, None, done)

    def mark_replaying(self, letter_id: str) -> bool:
        """Claim it for a replay, until it is replaced, dropped or given back by `unmark_replaying`.

        False where it is claimed or not there. A restart ends all claims.
        """
        number = _number(letter_id)
        if number in self._replaying or number not in self._live:
            return False
        self._replaying.add(number)
        return True

    def unmark_replaying(self, letter_id: str) -> None:
        self._replaying.discard(_number(letter_id))

    def is_replaying(self, letter_id: str) -> bool:
        return _number(letter_id) in self._replaying

    async def get(self, letter_id: str) -> DeadLetter | None:
        number = _number(letter_id)
        found = await self._database.read(partial(_select, where="number = ?", values=(number,), limit=1))
        return found[0] if found else None

    async def page(
        self, matching: DeadLetterFilter = EVERY_DEAD_LETTER, *, limit: int = 100, before: str | None = None
    ) -> list[DeadLetter]:
        """The newest first, older than the id `before`. A page also ends after 16 MiB: only an empty one is
        the last."""
        where, values = matching.where()
        if before is not None:
            where, values = f"{where} AND number < ?", (*values, _number(before))
        return await self._database.read(partial(_select, where=where, values=values, limit=limit))

    async def count_matching(self, matching: DeadLetterFilter) -> int:
        """How many match."""
        where, values = matching.where()

        def counted(connection: sqlite3.Connection) -> int:
            found: int = connection.execute(f"SELECT count(*) FROM dead_letters WHERE {where}", values).fetchone()[0]
            return found

        return await self._database.read(counted)

    async def ids(
        self, matching: DeadLetterFilter, *, limit: int, after: str | None = None, through: str | None = None
    ) -> list[str]:
        """The ids of those that match, the oldest first: behind the id `after`, and up to `through`."""
        where, values = matching.where()
        if after is not None:
            where, values = f"{where} AND number > ?", (*values, _number(after))
        if through is not None:
            where, values = f"{where} AND number <= ?", (*values, _number(through))

        def found(connection: sqlite3.Connection) -> list[str]:
            sql = f"SELECT number FROM dead_letters WHERE {where} ORDER BY number LIMIT ?"
            return [_id(number) for (number,) in connection.execute(sql, (*values, limit))]

        return await self._database.read(found)

    async def drop(self, ids: Iterable[str]) -> int:
        """Delete these; returns how many were there."""
        numbers = sorted({_number(letter_id) for letter_id in ids})
        dropped = 0
        for start in range(0, len(numbers), ROWS_A_TRANSACTION):
            piece = numbers[start : start + ROWS_A_TRANSACTION]
            dropped += await self._delete(f"number IN ({', '.join('?' * len(piece))})", tuple(piece))
        return dropped

    async def drop_matching(self, matching: DeadLetterFilter) -> int:
        """Delete what matches and was there when this was called; returns how many."""
        where, values = matching.where()
        return await self._delete_piecewise(f"{where} AND number < ?", (*values, self._next))

    async def sweep(self, *, now: float, max_age_s: float, max_bytes: int) -> int:
        """Delete what is older than `max_age_s`, and the oldest until the rest fits `max_bytes`; how many."""
        dropped = await self._delete_piecewise("at < ?", (now - max_age_s,))
        while self._live.size_bytes > max_bytes and self._live.count:
            oldest = await self._database.read(_oldest)
            excess, doomed = self._live.size_bytes - max_bytes, list[int]()
            for number, size in oldest:
                if excess <= 0:
                    break
                doomed.append(number)
                excess -= size
            gone = await self._delete(f"number IN ({', '.join('?' * len(doomed))})", tuple(doomed))
            if not gone:
                break
            dropped += gone
        return dropped

    def _write(
        self,
        number: int,
        letter: DeadLetter,
        journal_row: int | None,
        delivery: tuple[int, str] | None,
        done: Done,
    ) -> None:
        steps: list[tuple[Statement, Parameters]] = [(_WRITE, _fields(number, letter))]
        removed: int | None = None
        if journal_row is not None and delivery is not None:
            steps.append(self._journal.recording(journal_row, *delivery))
        elif journal_row is not None:
            steps += self._journal.removal(journal_row)
            removed = journal_row
        self._database.execute_all(steps, partial(self._written, number, letter.size_bytes, removed, done))

    def _written(self, number: int, size: int, removed: int | None, done: Done, error: Exception | None) -> None:
        self._replaying.discard(number)
        if error is None:
            self._live.put(number, size + 1)
            if removed is not None:
                self._journal.forget(removed)
        done(error)

    async def _delete_piecewise(self, where: str, values: Parameters) -> int:
        piece = f"number IN (SELECT number FROM dead_letters WHERE {where} LIMIT {ROWS_A_TRANSACTION})"
        dropped = 0
        while gone := await self._delete(piece, values):
            dropped += gone
        return dropped

    async def _delete(self, where: str, values: Parameters) -> int:
        numbers = await self._database.transact(partial(_delete, where=where, values=values))
        for number in numbers:
            self._live.remove(number)
            self._replaying.discard(number)
        return len(numbers)

    def _learn(self, connection: sqlite3.Connection) -> None:
        for number, size in connection.execute("SELECT number, size FROM dead_letters"):
            self._live.put(number, size + 1)
        # The highest number there ever was, dropped or not.
        highest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'dead_letters'").fetchone()
        if highest is not None:
            self._next = highest[0] + 1


def _fields(number: int, letter: DeadLetter) -> Parameters:
    return (
        number,
        letter.at,
        letter.route,
        letter.target,
        letter.reason,
        letter.error,
        letter.attempts,
        letter.key,
        letter.message_id,
        letter.source,
        letter.message,
        letter.entered,
        letter.position,
        letter.size_bytes,
    )


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    number, at, route, target, reason, error, attempts, key, message_id, source, message, entered, position = row
    return DeadLetter(
        at=at,
        route=route,
        target=target,
        reason=reason,
        error=error,
        attempts=attempts,
        key=key,
        message_id=message_id,
        source=source,
        message=message,
        entered=entered,
        position=position,
        id=_id(number),
    )


def _select(connection: sqlite3.Connection, *, where: str, values: Parameters, limit: int) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    size = 0
    cursor = connection.execute(
        f"SELECT {_COLUMNS} FROM dead_letters WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit)
    )
    for row in cursor:
        found.append(_letter(row))
        size += found[-1].size_bytes
        if size > PAGE_BYTES:
            break
    cursor.close()
    return found


def _oldest(connection: sqlite3.Connection) -> Sequence[tuple[int, int]]:
    return connection.execute(
        "SELECT number, size + 1 FROM dead_letters ORDER BY number LIMIT ?", (ROWS_A_TRANSACTION,)
    ).fetchall()


def _delete(connection: sqlite3.Connection, *, where: str, values: Parameters) -> list[int]:
    found = connection.execute(f"DELETE FROM dead_letters WHERE {where} RETURNING number", values).fetchall()
    return [number for (number,) in found]


def _id(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return f"d{digits}"


def _number(letter_id: str) -> int:
    """The number in an id, or 0, which no dead letter has."""
    digits = letter_id[1:]
    if letter_id[:1] != "d" or not digits or not set(digits) <= set(_DIGITS) or len(digits) > 12:
        return 0
    return int(digits, 36)
