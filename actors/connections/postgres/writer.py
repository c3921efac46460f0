"""Rows that come together go in together: one transaction, one commit. A bad one fails alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actors.connections.postgres.connection import PostgresConnection
from actors.connections.postgres.session import LateError
from actors.core.deferred import Deferred
from actors.core.errors import DeliveryError

if TYPE_CHECKING:
    from actors.connections.postgres.session import Driver

ROWS_A_COMMIT: Final = 500
BYTES_A_COMMIT: Final = 4 * 1024 * 1024


class Row(Deferred):
    """A row that is on its way into the table; answered when it is committed."""

    __slots__ = ("size", "values")

    def __init__(self, values: Sequence[str | None]) -> None:
        super().__init__()
        self.values = values
        self.size = sum(len(value) for value in values if value is not None)


@dataclass(slots=True)
class _Batch:
    """What is done in one visit to the server."""

    parts: list[list[Row]]
    """Not committed; the next one stands last."""
    committing: bool = False
    """The next one was sent to be committed, and is not answered."""


class Writer:
    """Inserts rows by one statement. While it commits, others gather for the next time."""

    def __init__(
        self,
        connection: PostgresConnection,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        misfit: Callable[[str], None],
    ) -> None:
        """`spawn` starts the task that writes, and owns it; `misfit` is told when the table is not as it was."""
        self.statement = b""
        self.committed = 0
        """Rows."""
        self.commits = 0
        self._connection = connection
        self._spawn = spawn
        self._misfit = misfit
        self._waiting: deque[Row] = deque()
        self._writing = False

    def add(self, row: Row) -> None:
        """Write it as soon as the server is free."""
        self._waiting.append(row)
        if not self._writing:
            self._writing = True
            self._spawn(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._visit(self._take())
        finally:
            self._writing = False

    def _take(self) -> list[Row]:
        rows: list[Row] = []
        size = 0
        while self._waiting and len(rows) < ROWS_A_COMMIT and (not rows or size < BYTES_A_COMMIT):
            row = self._waiting.popleft()
            size += row.size
            rows.append(row)
        return rows

    async def _visit(self, rows: list[Row]) -> None:
        from psycopg import Error

        from actors.connections.postgres.failures import delivery_error

        batch = _Batch([rows])
        try:
            await self._connection.run(partial(self._insert, batch))
        except DeliveryError as refusal:
            unsent = unknown = refusal
        except Error as error:
            unsent, unknown = delivery_error(error), delivery_error(error, maybe_committed=True)
        except LateError as error:
            unsent = DeliveryError(f"{error}; nothing was committed", reason="overload")
            unknown = DeliveryError(f"{error} to COMMIT", reason="unknown")
        else:
            return
        for number, part in enumerate(reversed(batch.parts)):
            for row in part:
                row.fail(unknown if batch.committing and not number else unsent)

    async def _insert(self, batch: _Batch, driver: Driver) -> None:
        """All parts, one after the other; raises the driver's error where the connection is of no use any more."""
        from psycopg import Error

        from actors.connections.postgres.failures import delivery_error, meaning, told

        while batch.parts:
            part = batch.parts[-1]
            batch.committing = False
            try:
                await self._commit(batch, driver, part)
            except Error as error:
                found = meaning(error.sqlstate)
                if found.blame == "connection" or driver.closed:
                    await driver.close()
                    raise
                if driver.info.transaction_status:
                    await driver.execute("ROLLBACK")
                batch.parts.pop()
                if found.blame == "row" and len(part) > 1:
                    # Which one it is nobody says.
                    middle = len(part) // 2
                    batch.parts += (part[middle:], part[:middle])
                    continue
                if found.blame == "table":
                    self._misfit(told(error))
                for row in part:
                    row.fail(delivery_error(error))
            else:
                batch.parts.pop()
                self.committed += len(part)
                self.commits += 1
                for row in part:
                    row.answer()

    async def _commit(self, batch: _Batch, driver: Driver, part: list[Row]) -> None:
        if len(part) == 1:
            batch.committing = True
            await driver.execute(self.statement, part[0].values)
            return
        async with driver.pipeline(), driver.cursor() as cursor:
            await driver.execute("BEGIN")
            await cursor.executemany(self.statement, [row.values for row in part])
        batch.committing = True
        await driver.execute("COMMIT")
