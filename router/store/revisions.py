"""The topologies that a router ran or was to run, one after the other, as they were written.

A revision is recorded as pending before anything is switched to it, and confirmed behind the switch. One that
its process died in was never confirmed, so it counts as not done: the next `open` marks it as failed, and the
last confirmed one is what a start resumes. Both are consistent with the journal, which goes by the names of
routes and not by revisions. What had come in already by a durable route that only the unconfirmed one has is
in the journal, and becomes a dead letter at the start, as that of any route that is gone.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from actors.core.errors import StorageError
from actors.kit.database import Database
from router.store import applied_files
from router.store.applied_files import AppliedFile, content_digest, file_name
from router.store.storable import storable

Status = Literal["pending", "confirmed", "failed"]
Action = Literal["start", "apply", "swap", "rollback", "watch"]

INTERRUPTED: Final = "the router ended before it was confirmed"

_LINE: Final = "number, at, name, path, digest, fingerprint, action, who, base, status, why"
_WHOLE: Final = f"{_LINE}, text, report"


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """What a history shows of a revision."""

    number: int
    """Rises, and is never given twice."""
    at: float
    """Epoch seconds."""
    name: str
    """The topology's."""
    path: str | None
    """The file that it is or that it was edited from: relative paths begin at its folder."""
    digest: str | None
    """Of the text, where it is the content of that file; None where the change was made without the file."""
    fingerprint: str
    """Keyed hash of what the text expanded to."""
    action: Action
    who: str
    base: int | None
    """The revision that it was made from; None for the first one."""
    status: Status
    why: str | None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Revision(RevisionLine):
    """All of a revision."""

    text: str
    """As written: nothing is expanded in it."""
    report: Mapping[str, Any] | None
    """The conservation report of the change."""


class Revisions:
    """Who changes a router is one at a time: nothing here stands between two of them.

    Every coroutine that writes returns when that is committed, and raises `StorageError` where it cannot be.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.interrupted: tuple[RevisionLine, ...] = ()
        """Those that were pending when this was opened, and are failed now."""

    async def open(self) -> None:
        """Settle what an earlier process left pending."""

        def settle(connection: sqlite3.Connection) -> tuple[RevisionLine, ...]:
            rows = connection.execute(
                f"UPDATE revisions SET status = 'failed', why = ? WHERE status = 'pending' RETURNING {_LINE}",
                (INTERRUPTED,),
            ).fetchall()
            return tuple(sorted((RevisionLine(*row) for row in rows), key=lambda line: line.number))

        self.interrupted = await self._database.transact(settle)

    async def record_pending(
        self,
        *,
        action: Action,
        who: str,
        at: float,
        name: str,
        text: str,
        fingerprint: str,
        path: Path | None,
        from_file: bool,
        base: int | None,
    ) -> int:
        """The new revision's number, on disk before anything is switched to it.

        `from_file` says that `text` is what the file `path` holds. Without it, `path` is the file that the text
        was edited from, which is its base's.
        """
        name_of_file = file_name(path) if path is not None else None
        digest = content_digest(text) if from_file else None
        fields = (at, name, name_of_file, digest, fingerprint, action, storable(who), base, "pending", _packed(text))

        def insert(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO revisions (at, name, path, digest, fingerprint, action, who, base, status, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                fields,
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        return await self._database.transact(insert)

    async def confirm(self, number: int, report: Mapping[str, Any] | None = None) -> None:
        """It is what runs: a start resumes it from here on, and its file counts as applied.

        Raises `ValueError` where it is not pending.
        """
        written = None if report is None else json.dumps(report)

        def confirmed(connection: sqlite3.Connection) -> None:
            found = connection.execute(
                "UPDATE revisions SET status = 'confirmed', report = ? WHERE number = ? AND status = 'pending'"
                " RETURNING action, path, digest",
                (written, number),
            ).fetchall()
            if not found:
                raise ValueError(f"revision {number} is not pending")
            ((action, path, digest),) = found
            if path is not None and digest is not None:
                applied_files.note(connection, path, digest, number)
                if action == "start":
                    applied_files.note_start(connection, path)

        await self._database.transact(confirmed)

    async def note_report(self, number: int, report: Mapping[str, Any]) -> None:
        """Keep a report that is known only some time after the revision was confirmed."""
        written = json.dumps(report)

        def update(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE revisions SET report = ? WHERE number = ?", (written, number))

        await self._database.transact(update)

    async def fail(self, number: int, why: str) -> None:
        """It did not come to run. Raises `ValueError` where it is not pending."""

        def failed(connection: sqlite3.Connection) -> None:
            found = connection.execute(
                "UPDATE revisions SET status = 'failed', why = ? WHERE number = ? AND status = 'pending'",
                (storable(why), number),
            )
            if not found.rowcount:
                raise ValueError(f"revision {number} is not pending")

        await self._database.transact(failed)

    async def note_written(self, number: int, path: Path, text: str) -> None:
        """A confirmed revision was written into its file, which holds `text` now.

        Called behind the writing, which comes behind `confirm`. Whatever a crash leaves undone, a start runs the
        same: before the writing it resumes the revision, and after it it takes the file, which says the same.
        """
        name, digest = file_name(path), content_digest(text)

        def written(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE revisions SET digest = ? WHERE number = ?", (digest, number))
            applied_files.note(connection, name, digest, number)

        await self._database.transact(written)

    async def note_start(self, path: Path) -> None:
        """A start that was given this file has resumed a revision, and confirms none of its own."""
        await self._database.transact(partial(applied_files.note_start, name=file_name(path)))

    async def applied_file(self, path: Path) -> AppliedFile | None:
        """What is remembered of a file; None where it was never applied, or so long ago that it is forgotten."""
        return await self._database.read(partial(applied_files.find, name=file_name(path)))

    async def last_confirmed(self) -> Revision | None:
        """What runs, or ran last."""
        return await self._database.read(partial(_first, where="status = 'confirmed'", values=()))

    async def confirmed_before(self, number: int) -> Revision | None:
        """What ran before that revision did."""
        where = "status = 'confirmed' AND number < ?"
        return await self._database.read(partial(_first, where=where, values=(number,)))

    async def get(self, number: int) -> Revision | None:
        return await self._database.read(partial(_first, where="number = ?", values=(number,)))

    async def page(self, *, limit: int = 100, before: int | None = None) -> list[RevisionLine]:
        """The newest first, older than the number `before`."""

        def select(connection: sqlite3.Connection) -> list[RevisionLine]:
            rows = connection.execute(
                f"SELECT {_LINE} FROM revisions WHERE ? IS NULL OR number < ? ORDER BY number DESC LIMIT ?",
                (before, before, limit),
            )
            return [RevisionLine(*row) for row in rows]

        return await self._database.read(select)

    async def sweep(self, *, keep: int) -> int:
        """Delete all but the newest `keep`; the last confirmed one and what is pending stay. Returns how many."""

        def delete(connection: sqlite3.Connection) -> int:
            gone = connection.execute(
                "DELETE FROM revisions"
                " WHERE number <= (SELECT number FROM revisions ORDER BY number DESC LIMIT 1 OFFSET ?)"
                " AND status != 'pending'"
                " AND number != (SELECT coalesce(max(number), 0) FROM revisions WHERE status = 'confirmed')",
                (keep,),
            ).rowcount
            if gone:
                applied_files.sweep(connection)
            return gone

        return await self._database.transact(delete)


def last_confirmed_in(path: Path) -> Revision | None:
    """What the router of a database ran last; None where that knows of nothing. The database is only read.

    Raises `StorageError` where a router has it.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
            return _first(connection, where="status = 'confirmed'", values=())
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StorageError(f"{path} is in use") from error
        return None  # there is none, or one of before there were revisions


def _first(connection: sqlite3.Connection, *, where: str, values: tuple[object, ...]) -> Revision | None:
    """The newest that matches."""
    row = connection.execute(
        f"SELECT {_WHOLE} FROM revisions WHERE {where} ORDER BY number DESC LIMIT 1", values
    ).fetchone()
    if row is None:
        return None
    *line, text, report = row
    fields = (*line, _unpacked(text), None if report is None else json.loads(report))
    return Revision(*fields)


def _packed(text: str) -> bytes:
    """A thousand revisions of a large file are alike, and a tenth of their size."""
    return zlib.compress(text.encode("utf-8", "surrogatepass"))


def _unpacked(packed: bytes) -> str:
    return zlib.decompress(packed).decode("utf-8", "surrogatepass")
