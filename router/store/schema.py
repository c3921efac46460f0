"""The tables of a router's database, version by version."""

from __future__ import annotations

from typing import Final

from actors.queues import spill
from actors.queues.sqlite import schema as queues

_VERSION_1: Final = """
CREATE TABLE journal_routes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE journal (
    row INTEGER PRIMARY KEY,
    position INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    hands INTEGER NOT NULL DEFAULT 0,
    message BLOB NOT NULL
);
CREATE TABLE journal_deliveries (
    row INTEGER NOT NULL,
    child INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (row, child, target)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    route TEXT NOT NULL,
    target TEXT,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    key TEXT,
    message_id TEXT NOT NULL,
    source TEXT NOT NULL,
    size INTEGER NOT NULL,
    message BLOB NOT NULL,
    entered BLOB,
    position INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX dead_letters_by_route ON dead_letters (route, number);
CREATE INDEX dead_letters_by_time ON dead_letters (at, size);
CREATE TABLE reservation_scopes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE reservations (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0,
    expires REAL NOT NULL
);
"""

_VERSION_2: Final = """
CREATE TABLE revisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    name TEXT NOT NULL,
    path TEXT,
    digest TEXT,
    fingerprint TEXT NOT NULL,
    action TEXT NOT NULL,
    who TEXT NOT NULL,
    base INTEGER,
    status TEXT NOT NULL,
    why TEXT,
    text BLOB NOT NULL,
    report TEXT
);
CREATE TABLE applied_files (
    path TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    revision INTEGER NOT NULL,
    started INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    origin TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    why TEXT,
    detail TEXT NOT NULL,
    revision INTEGER
);
CREATE TABLE pauses (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
"""

_VERSION_3: Final = queues.TABLES + spill.TABLE

SCHEMA: Final = (_VERSION_1, _VERSION_2, _VERSION_3)
"""What a `Database` is opened with. An entry that was released is never edited: a change is a new entry."""
