"""Opening, migrating, copying and checking a file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.core.errors import StorageError
from actors.kit.sqlite_file import copy_file, integrity_problems, is_storage_failure, open_file

ONE = ("CREATE TABLE t (a INTEGER PRIMARY KEY)",)
TWO = (*ONE, "ALTER TABLE t ADD COLUMN b TEXT; CREATE TABLE u (a)")


def columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for _, name, *_ in connection.execute("PRAGMA table_info(t)")]


def test_a_new_file_gets_all_versions_and_no_copy(tmp_path: Path) -> None:
    open_file(tmp_path / "x.db", TWO).close()
    assert columns(tmp_path / "x.db") == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_every_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The write-ahead log holds payloads too."""
    with closing(open_file(tmp_path / "x.db", ONE)) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
            "x.db": 0o600,
            "x.db-wal": 0o600,
        }


def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "x.db", ONE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_older_file_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(open_file(path, ONE)) as connection:
        connection.execute("INSERT INTO t VALUES (7)")
    with closing(open_file(path, TWO)) as connection:
        assert connection.execute("SELECT a, b FROM t").fetchall() == [(7, None)]
    assert columns(tmp_path / "x.db.schema-1") == ["a"]
    assert (tmp_path / "x.db.schema-1").stat().st_mode & 0o777 == 0o600


def test_a_failed_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_file(path, ONE).close()
    with pytest.raises(StorageError, match="cannot be brought to schema 2"):
        open_file(path, (*ONE, "CREATE TABLE u (a); CREATE TABLE t (a)"))
    with closing(open_file(path, ONE)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("t",)]


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    open_file(tmp_path / "x.db", TWO).close()
    with pytest.raises(StorageError, match=r"newer version .*schema 2; this one knows up to 1"):
        open_file(tmp_path / "x.db", ONE)
    assert columns(tmp_path / "x.db") == ["a", "b"]


def test_a_second_connection_is_refused(tmp_path: Path) -> None:
    with (
        closing(open_file(tmp_path / "x.db", ONE)),
        pytest.raises(StorageError, match="database is locked"),
    ):
        open_file(tmp_path / "x.db", ONE)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"nothing that SQLite wrote" * 100)
    with pytest.raises(StorageError, match="not a database"):
        open_file(tmp_path / "x.db", ONE)


def test_a_copy_replaces_an_older_one(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "x.db", ONE)) as connection:
        copy_file(connection, tmp_path / "copy.db")
        connection.execute("INSERT INTO t VALUES (1)")
        copy_file(connection, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert not (tmp_path / "copy.db.partial").exists()


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(open_file(path, ONE)) as connection:
        connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(5_000)])
        assert integrity_problems(connection) == []
    damaged = bytearray(path.read_bytes())
    damaged[3 * 4096 : 3 * 4096 + 200] = bytes(200)
    path.write_bytes(damaged)
    with closing(open_file(path, ONE)) as connection:
        assert integrity_problems(connection)


def test_a_wrong_statement_is_not_the_disks_fault(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "x.db", ONE)) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError) as twice:
            connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("CREATE TABLE v (a)")
    assert not is_storage_failure(twice.value)
    assert not is_storage_failure(ValueError())
    assert is_storage_failure(full.value)
