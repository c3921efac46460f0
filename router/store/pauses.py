"""What operators have paused or drained, which stays so over a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from actors.kit.database import Database
from router.store.storable import storable

PauseKind = Literal["route", "actor"]
PauseState = Literal["paused", "drained"]


@dataclass(frozen=True, slots=True)
class Pause:
    """A route or an actor that an operator has stopped for a while."""

    name: str
    """Of the route or the actor: those have different names."""
    kind: PauseKind
    who: str
    why: str
    """What the operator gave as the reason; may be empty."""
    at: float
    """Epoch seconds."""
    state: PauseState = "paused"


class Pauses:
    """A pause of a name that no topology has any more stays until it is cleared: the name may come back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._all: dict[str, Pause] = {}

    async def open(self) -> None:
        """Learn what is there."""

        def read(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return connection.execute("SELECT name, kind, who, why, at, state FROM pauses ORDER BY at, name").fetchall()

        self._all = {row[0]: Pause(*row) for row in await self._database.read(read)}

    def all(self) -> Mapping[str, Pause]:
        """Every pause by its name, the oldest first; as committed, and kept up to date."""
        return MappingProxyType(self._all)

    async def set(
        self, name: str, kind: PauseKind, who: str, why: str, at: float, *, state: PauseState = "paused"
    ) -> Pause:
        """Remember a pause, in place of an earlier one of that name; committed when this returns.

        Raises `StorageError` where it cannot be written; nothing is remembered then.
        """
        pause = Pause(name, kind, storable(who), storable(why), at, state)

        def put(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO pauses (name, kind, who, why, at, state) VALUES (?, ?, ?, ?, ?, ?)",
                (name, kind, pause.who, pause.why, at, state),
            )

        await self._database.transact(put)
        self._all.pop(name, None)
        self._all[name] = pause
        return pause

    async def clear(self, name: str) -> Pause | None:
        """Forget a pause; returns it, or None where there was none."""

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM pauses WHERE name = ?", (name,))

        await self._database.transact(delete)
        return self._all.pop(name, None)
