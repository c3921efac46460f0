"""Databases of other versions: an older one is brought up to date beside a copy, a newer one is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.core.clock import ManualClock
from actors.core.errors import StorageError
from actors.core.events import Events
from actors.kit.database import Database
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.schema import SCHEMA
from router.store.stores import Stores
from tests.loop import Run
from tests.router.store.stores import Outcome, letter, submitted


def stores(path: Path) -> Stores:
    return Stores(path, journal_bytes=1_000_000, clock=ManualClock(), events=Events())


async def write_version_1(path: Path) -> int:
    """A database as the first version left it, with a message in its journal and a dead letter; the journal row."""
    database = Database(path, schema=SCHEMA[:1])
    await database.open()
    journal = Journal(database, max_bytes=1_000_000)
    await journal.open()
    dead_letters = DeadLetters(database, journal)
    await dead_letters.open()
    appended = Outcome()
    row = journal.append("orders", b"payload", appended)
    await appended.succeeded()
    await submitted(lambda done: dead_letters.add(letter(), None, done))
    await database.close()
    return row


def version(path: Path) -> tuple[int, set[str]]:
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return number, {name for (name,) in tables if not name.startswith("sqlite_")}


def test_a_version_1_database_keeps_its_messages_and_learns_to_remember_changes_and_has_queues(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"

    async def scenario() -> None:
        row = await write_version_1(path)
        for _ in range(2):
            newer = stores(path)
            await newer.open()
            assert [kept.row for kept in await newer.journal.load("orders", 0, 10)] == [row]
            assert newer.dead_letters.count() == 1
            assert await newer.revisions.last_confirmed() is None
            assert await newer.audit.page() == []
            assert newer.pauses.all() == {}
            assert await newer.close()

    run(scenario())
    assert version(path)[0] == len(SCHEMA) == 3
    assert version(path)[1] - version(tmp_path / "store.db.schema-1")[1] == {
        "revisions",
        "applied_files",
        "audit",
        "pauses",
        "queues",
        "queue_jobs",
        "queue_payloads",
        "queue_logs",
        "queue_deduplications",
        "queue_schedulers",
        "queue_spill",
    }


def test_the_copy_of_an_older_database_is_whole_and_private(run: Run, tmp_path: Path) -> None:
    """So that the older program can go on with it."""
    path, copy = tmp_path / "store.db", tmp_path / "store.db.schema-1"

    async def scenario() -> None:
        row = await write_version_1(path)
        newer = stores(path)
        await newer.open()
        assert await newer.close()
        assert version(copy)[0] == 1
        assert copy.stat().st_mode & 0o777 == 0o600
        older = Database(copy, schema=SCHEMA[:1])
        await older.open()
        journal = Journal(older, max_bytes=1_000_000)
        await journal.open()
        assert [(kept.row, kept.message) for kept in await journal.load("orders", 0, 10)] == [(row, b"payload")]
        await older.close()

    run(scenario())


def test_a_database_of_a_newer_version_is_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def scenario() -> None:
        await write_version_1(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
        with pytest.raises(
            StorageError, match=r"newer version .*schema 4; this one knows up to 3.*Start the newer one"
        ):
            await stores(path).open()

    run(scenario())
    assert version(path)[0] == len(SCHEMA) + 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["store.db"]
