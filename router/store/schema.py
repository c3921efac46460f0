"""The tables of a router's database, version by version."""

from __future__ import annotations

from typing import Final

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

SCHEMA: Final = (_VERSION_1,)
"""What a `Database` is opened with. An entry that was released is never edited: a change is a new entry."""
