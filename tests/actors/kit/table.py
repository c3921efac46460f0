"""A table behind a database on a real file, for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import Connection

from actors.kit.database import Database
from actors.kit.statement import Place, Statement

SCHEMA = ("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)",)
NEW = Statement("INSERT INTO t (a, b) VALUES ", "(?, ?)", place=Place.FIRST)
PUT = Statement("INSERT OR REPLACE INTO t (a, b) VALUES ", "(?, ?)")
CHANGE = Statement("UPDATE t SET b = ? WHERE a = ?")
DELETE = Statement("DELETE FROM t WHERE a IN (", "?", ")")
FINISH = Statement("DELETE FROM t WHERE a IN (", "?", ")", place=Place.LAST)

NEVER_S = 3600.0
PAGE = b"x" * 4000


@asynccontextmanager
async def opened(path: Path, *, lazy_delay_s: float = NEVER_S, max_pending: int = 10_000) -> AsyncIterator[Database]:
    database = Database(path, schema=SCHEMA, lazy_delay_s=lazy_delay_s, max_pending=max_pending)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def waiting(
    database: Database, statement: Statement, *parameters: object, lazy: bool = False
) -> asyncio.Future[Exception | None]:
    """Submit, and return what will hold the outcome."""
    outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    database.execute(statement, parameters, outcome.set_result, lazy=lazy)
    return outcome


def keys(connection: Connection) -> list[int]:
    return [key for (key,) in connection.execute("SELECT a FROM t ORDER BY a")]


def contents(connection: Connection) -> dict[int, object]:
    return dict(connection.execute("SELECT a, b FROM t"))
