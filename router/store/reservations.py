"""Which keys the `dedup` steps of durable routes have reserved, so that a restart does not forget them.

The step decides in memory; here its decisions are only kept. All writes are lazy, and those about a message
come before the deletion of its journal row: a message that left the journal has its reservation on disk.
"""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from typing import Final

from actors.core.step import Reserved
from actors.kit.database import Database
from actors.kit.statement import Place, Statement
from router.store.numbering import Numbering, Range

_RESERVE: Final = Statement(
    "INSERT INTO reservations (number, key, owner, expires) VALUES ", "(?, ?, ?, ?)", place=Place.FIRST
)
_SETTLE: Final = Statement("UPDATE reservations SET settled = 1 WHERE number IN (", "?", ")")
_RELEASE: Final = Statement("DELETE FROM reservations WHERE number IN (", "?", ")", place=Place.LAST)


class Reservations:
    """Numbers are given here, so that nothing has to be looked up by its key on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbering = Numbering("reservation_scopes")
        self._scopes: dict[tuple[str, str], Range] = {}
        self._kept: dict[int, list[Reserved]] = {}

    async def open(self, *, now: float, timeout_s: float = 300.0) -> None:
        """Drop what expired before `now` (epoch seconds), and read the rest, for the steps to load."""

        def learn(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM reservations WHERE expires <= ?", (now,))
            self._numbering.load(connection, "reservations", "number")
            rows = connection.execute("SELECT number, key, owner, settled, expires FROM reservations ORDER BY number")
            for number, key, owner, settled, expires in rows:
                scope = self._numbering.holding(number)
                self._kept.setdefault(scope.id, []).append(Reserved(number, key, owner, bool(settled), expires))

        await self._database.transact(learn, timeout_s=timeout_s)

    def load(self, route: str, step: str) -> list[Reserved]:
        """What an earlier process kept, in the order of reserving; a second call gives nothing.

        A step is known by a name of its own, so that its memory goes with it where it moves among others.
        """
        return self._kept.pop(self._scope(route, step).id, [])

    def reserve(self, route: str, step: str, key: str, owner: str, expires: float) -> int:
        """Keep a new reservation; returns the number it is settled and released by."""
        scope = self._scope(route, step)
        if not scope.saved:
            statement, parameters = self._numbering.saving(scope)
            self._database.execute(statement, parameters, partial(_saved, scope), lazy=True)
        number = scope.take()
        self._database.execute(_RESERVE, (number, key, owner, expires), lazy=True)
        return number

    def settle(self, number: int) -> None:
        """Its owner came to a good end."""
        self._database.execute(_SETTLE, (number,), lazy=True)

    def release(self, number: int) -> None:
        """Its owner failed, or it expired: the key is free."""
        self._database.execute(_RELEASE, (number,), lazy=True)

    async def sweep(self, *, now: float, timeout_s: float = 60.0) -> None:
        """Remove what is settled and has expired."""

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM reservations WHERE settled AND expires <= ?", (now,))

        await self._database.transact(remove, timeout_s=timeout_s)

    def _scope(self, route: str, step: str) -> Range:
        scope = self._scopes.get((route, step))
        if scope is None:
            scope = self._scopes[route, step] = self._numbering.of(json.dumps((route, step)))
        return scope


def _saved(scope: Range, error: Exception | None) -> None:
    if error is None:
        scope.saved = True
