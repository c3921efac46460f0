"""What topology files held when they were last applied, so that a start can tell whether one was edited since.

The functions run in the transaction of whoever confirms a revision (revisions.py).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AppliedFile:
    """A file whose content was confirmed as a revision at least once."""

    path: str
    """As `file_name` gives it."""
    digest: str
    """Of the content, as it was last applied or written."""
    revision: int
    """As which it was last applied."""
    started: bool
    """The latest start was given this file."""
    latest: bool
    """No other file was applied after it."""


def content_digest(text: str) -> str:
    """SHA-256 of a topology's text as written, in hexadecimal. No secret: the store keeps the text beside it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_name(path: Path) -> str:
    """What a file is remembered by: its absolute path, with symbolic links kept.

    A link that leads to another file tomorrow, as Kubernetes does it for each version of a ConfigMap, is the
    same file with another content.
    """
    # SQLite takes no text that is not Unicode, which a path may be.
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")


def note(connection: sqlite3.Connection, name: str, digest: str, revision: int) -> None:
    """The file holds what this revision is."""
    connection.execute(
        "INSERT INTO applied_files (path, digest, revision) VALUES (?, ?, ?)"
        " ON CONFLICT (path) DO UPDATE SET digest = excluded.digest, revision = excluded.revision",
        (name, digest, revision),
    )


def note_start(connection: sqlite3.Connection, name: str) -> None:
    """The latest start was given this file, and not the one that the start before it was given."""
    connection.execute("UPDATE applied_files SET started = (path = ?) WHERE started != (path = ?)", (name, name))


def find(connection: sqlite3.Connection, name: str) -> AppliedFile | None:
    """What is remembered of a file; None where it was never applied."""
    row = connection.execute(
        "SELECT path, digest, revision, started, revision = (SELECT max(revision) FROM applied_files)"
        " FROM applied_files WHERE path = ?",
        (name,),
    ).fetchone()
    if row is None:
        return None
    path, digest, revision, started, latest = row
    return AppliedFile(path, digest, revision, bool(started), bool(latest))


def sweep(connection: sqlite3.Connection) -> None:
    """Forget files whose revision is gone, but never the one that a start asks for, nor the latest."""
    connection.execute(
        "DELETE FROM applied_files WHERE NOT started AND revision NOT IN (SELECT number FROM revisions)"
        " AND revision < (SELECT max(revision) FROM applied_files)"
    )
