"""A transaction on one queue, as the database's thread runs it: what several kinds of them do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from actors.queues.job import NewJob
from actors.queues.sqlite import schema
from actors.queues.sqlite.record import ADD, COLUMNS, Row, new_row, row_of

_ROWS: Final = f"SELECT {COLUMNS} FROM queue_jobs j JOIN queue_payloads p USING (row) WHERE "


class Numbers:
    """Rising numbers for rows and places, on whichever thread; those at the front are their negatives."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._lock = Lock()

    def take(self, several: int = 1) -> int:
        """The first of so many."""
        with self._lock:
            first = self._next
            self._next = first + several
        return first


@dataclass(frozen=True, slots=True)
class QueueId:
    """A queue, by its number in the tables."""

    number: int
    name: str


class Transaction:
    """Runs SQL for a queue, at a moment. Rows travel as JSON arrays: a step for each would give the interpreter's
    lock away each time."""

    __slots__ = ("connection", "id", "now_ms", "numbers", "queue")

    def __init__(self, connection: sqlite3.Connection, id: QueueId, now_ms: int, numbers: Numbers) -> None:
        self.connection = connection
        self.id = id
        self.queue = id.number
        self.now_ms = now_ms
        self.numbers = numbers

    def run(self, sql: str, *parameters: object) -> int:
        """How many rows it changed."""
        return self.connection.execute(sql, parameters).rowcount

    def value(self, sql: str, *parameters: object) -> Any:
        """The first column of its first row; None where there is none."""
        found = self.connection.execute(sql, parameters).fetchone()
        return found[0] if found is not None else None

    def all(self, sql: str, *parameters: object) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()

    def find(self, hash_: int) -> Row | None:
        """The job of an id."""
        return next(iter(self.rows("j.row = (SELECT row FROM queue_ids WHERE hash = ?)", hash_)), None)

    def rows(self, condition: str, *parameters: object) -> list[Row]:
        return [row_of(fields) for fields in self.connection.execute(_ROWS + condition, parameters)]

    def add(self, job: NewJob, *, scheduler: str | None = None) -> int:
        """Returns its row; where its id is there already, there will be none."""
        number = self.numbers.take()
        self.connection.execute(ADD.text(1), new_row(self.queue, self.id.name, number, job, scheduler=scheduler))
        return number

    def pack(self, rows: Iterable[object]) -> str:
        return json.dumps(list(rows))

    def next_due_ms(self) -> int | None:
        """When the next delayed job is due."""
        found: int | None = self.value(
            "SELECT min(rank) FROM queue_jobs WHERE queue = ? AND state = ?", self.queue, schema.DELAYED
        )
        return found

    def hand_over(self, keys: Sequence[str]) -> int:
        """The next parked job of each key, which nobody holds any more, holds it, and comes before all of its priority.

        Returns how many there were.
        """
        if not keys:
            return 0
        return self.run(
            """
            UPDATE queue_jobs SET state = (priority > 0), rank = priority, holds = 1, place = ? - next.number
            FROM (
                SELECT k.key AS number, (
                    SELECT row FROM queue_jobs p WHERE p.queue = ? AND p.key = k.value AND p.state = 2
                    ORDER BY place LIMIT 1
                ) AS row
                FROM json_each(?) AS k
            ) AS next
            WHERE queue_jobs.row = next.row
            """,
            -self.numbers.take(len(keys)),
            self.queue,
            self.pack(dict.fromkeys(keys)),
        )

    def delete(self, rows: Sequence[Row]) -> None:
        """These jobs, which nobody works, are no more: their deduplication ids and their keys are free."""
        for each in rows:
            if (once := each.job.options.deduplication) is not None:
                self.run(
                    "DELETE FROM queue_deduplications WHERE queue = ? AND id = ? AND job = ?",
                    self.queue,
                    once.id,
                    each.job.id,
                )
        self.run(
            "DELETE FROM queue_jobs WHERE row IN (SELECT value FROM json_each(?))",
            self.pack(each.row for each in rows),
        )
        self.hand_over([each.job.key for each in rows if each.holds and each.job.key is not None])

    def line_up(self, rows: Sequence[int], *, lifo: bool = False) -> None:
        """These wait now, by their priorities, behind those that do; `lifo` lets those before all that say so."""
        self.run(
            """
            UPDATE queue_jobs SET state = (priority > 0), rank = priority, place = (? + v.key) * iif(
                ? AND priority = 0 AND (SELECT fixed ->> '$.options.lifo' FROM queue_payloads p WHERE p.row = v.value),
                -1, 1)
            FROM json_each(?) AS v WHERE queue_jobs.row = v.value
            """,
            self.numbers.take(len(rows)),
            lifo,
            self.pack(rows),
        )
