"""The audit log: who changed what, from where, and how it went. Payloads and secrets never go in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actors.kit.database import Database
from actors.kit.excerpt import excerpt
from actors.kit.secrets import redact_url
from actors.kit.statement import Parameters
from router.store.storable import storable

AuditOutcome = Literal["done", "refused", "failed"]
"""`refused`: nothing was tried, since the role, the lock or the request did not allow it."""

DETAIL_CHARACTERS: Final = 4_000

_COLUMNS: Final = "at, who, role, origin, action, object, outcome, why, detail, revision"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one attempt at a change."""

    at: float
    """Epoch seconds."""
    who: str
    """`uid 1000 (name)` over the Unix socket, the token's name over TCP, `router` for what it did by itself."""
    role: str
    origin: str
    """`socket`, or the peer's address over TCP."""
    action: str
    """The operation's name: `swap`, `pause`, `drop` and so on."""
    object: str
    """What was changed: the name of an actor, a route or a topology, or an id."""
    outcome: AuditOutcome
    why: str | None = None
    """The reason that was given, or why it was refused or failed; cut after 2,000 characters."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """More about it, and little; as JSON, cut after about 4,000 characters."""
    revision: int | None = None
    """The revision that came of it."""
    number: int = 0
    """Given by the store; rises."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; what is None matches all."""

    who: str | None = None
    action: str | None = None
    object: str | None = None
    outcome: AuditOutcome | None = None
    since: float | None = None
    """Epoch seconds, included."""
    until: float | None = None
    """Epoch seconds, not included."""

    def where(self) -> tuple[str, Parameters]:
        """An SQL condition and its parameters."""
        conditions = (
            ("who = ?", self.who),
            ("action = ?", self.action),
            ("object = ?", self.object),
            ("outcome = ?", self.outcome),
            ("at >= ?", self.since),
            ("at < ?", self.until),
        )
        wanted = [(text, value) for text, value in conditions if value is not None]
        return " AND ".join(["1", *(text for text, _ in wanted)]), tuple(value for _, value in wanted)


EVERY_ENTRY: Final = AuditFilter()


class Audit:
    """Entries are never changed; the oldest go first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, entry: AuditEntry) -> int:
        """Keep `entry`; returns its number when it is committed, and raises `StorageError` where it cannot be."""
        fields = (
            entry.at,
            storable(entry.who),
            entry.role,
            entry.origin,
            entry.action,
            storable(entry.object),
            entry.outcome,
            # What failed may name a URL with its password.
            None if entry.why is None else storable(redact_url(entry.why)),
            json.dumps(excerpt(entry.detail, DETAIL_CHARACTERS), default=str),
            entry.revision,
        )

        def insert(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", fields)
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        return await self._database.transact(insert)

    async def page(
        self, matching: AuditFilter = EVERY_ENTRY, *, limit: int = 100, before: int | None = None
    ) -> list[AuditEntry]:
        """The newest first, older than the number `before`."""
        where, values = matching.where()
        if before is not None:
            where, values = f"{where} AND number < ?", (*values, before)

        def select(connection: sqlite3.Connection) -> list[AuditEntry]:
            rows = connection.execute(
                f"SELECT {_COLUMNS}, number FROM audit WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit)
            )
            return [_entry(row) for row in rows]

        return await self._database.read(select)

    async def sweep(self, *, keep: int) -> int:
        """Delete all but the newest `keep`; returns how many."""

        def delete(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM audit WHERE number <= (SELECT number FROM audit ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (keep,),
            ).rowcount

        return await self._database.transact(delete)


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    at, who, role, origin, action, object, outcome, why, detail, revision, number = row
    return AuditEntry(
        at=at,
        who=who,
        role=role,
        origin=origin,
        action=action,
        object=object,
        outcome=outcome,
        why=why,
        detail=json.loads(detail),
        revision=revision,
        number=number,
    )
