"""A SQLite file of ours: opened durable and for one process alone, migrated after a copy, checked."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.core.errors import StorageError

_PRAGMAS: Final = (
    # One writing connection, held to it: before 3.51.3 two of them can meet SQLite's WAL-reset bug.
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = FULL",
    # Debian's SQLite writes zeros over all that is deleted, freed pages included.
    "secure_delete = FAST",
    "temp_store = MEMORY",
    "cache_size = -16384",
    "journal_size_limit = 67108864",
)
_BUSY_TIMEOUT_S: Final = 0.2
"""How long to wait at opening for somebody who only looks into the file."""
_STATEMENTS_KEPT: Final = 512
"""Prepared statements a connection keeps: each number of rows has its own text (statement.py)."""
_NO_STORAGE: Final = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    )
)


def open_file(path: Path, schema: Sequence[str]) -> sqlite3.Connection:
    """A connection in autocommit mode for the calling thread alone, on the newest version of `schema`.

    `schema[n]` is a script that brings version n to n + 1. A file of an older version is copied beside itself
    before it is changed; a newer one is refused.
    """
    try:
        _create(path)
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=_BUSY_TIMEOUT_S, cached_statements=_STATEMENTS_KEPT
        )
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} cannot be opened: {error}") from error
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _migrate(connection, path, schema)
    except sqlite3.Error as error:
        connection.close()
        raise storage_error(error, f"{path} cannot be opened") from error
    except StorageError:
        connection.close()
        raise
    return connection


def copy_file(connection: sqlite3.Connection, to: Path) -> None:
    """A compact copy of what is committed; an older one is replaced, by a whole file or not at all."""
    partial = to.with_name(f"{to.name}.partial")
    partial.unlink(missing_ok=True)
    # SQLite writes into an empty file that is there, and so keeps its mode.
    _create(partial)
    connection.execute("VACUUM INTO ?", (os.fspath(partial),))
    _sync(partial)
    partial.replace(to)
    _sync(to.parent)


def integrity_problems(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's `integrity_check` finds; nothing where the file is sound."""
    try:
        lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if lines == ["ok"] else lines


def is_storage_failure(error: BaseException) -> bool:
    """Whether the file or the disk is at fault, and not the statement."""
    # The low byte is the class; the rest says more about it.
    return isinstance(error, sqlite3.Error) and (_code(error) & 0xFF) in _NO_STORAGE


def storage_error(error: Exception, what: str) -> StorageError:
    """`error` as ours, to be raised or handed on; the cause is chained."""
    full = isinstance(error, sqlite3.Error) and (_code(error) & 0xFF) == sqlite3.SQLITE_FULL
    wrapped = StorageError(f"{what}: {error}", full=full)
    wrapped.__cause__ = error
    return wrapped


def _code(error: sqlite3.Error) -> int:
    # Absent where the module, and not the library, raised it.
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR))


def _create(path: Path) -> None:
    """Make the file readable for its owner alone; SQLite gives its -wal file the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _migrate(connection: sqlite3.Connection, path: Path, schema: Sequence[str]) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(schema):
        raise StorageError(
            f"{path} was written by a newer version of this program (schema {version}; this one knows up to "
            f"{len(schema)}). Start the newer one, or use another state directory."
        )
    if 0 < version < len(schema):
        copy_file(connection, path.with_name(f"{path.name}.schema-{version}"))
    for number, script in enumerate(schema[version:], version + 1):
        try:
            connection.executescript(f"BEGIN;\n{script};\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise storage_error(error, f"{path} cannot be brought to schema {number}") from error
