"""One table as a target: ready when the server is there and the table takes its rows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from actors.connections.postgres import table as tables
from actors.connections.postgres.connection import PostgresConnection
from actors.connections.postgres.session import LateError
from actors.connections.postgres.table import Column, MisfitError, TableName
from actors.connections.postgres.values import parameter
from actors.connections.postgres.writer import Row, Writer
from actors.core.clock import Clock
from actors.core.errors import DeliveryError
from actors.core.events import Events, Notice
from actors.core.spec import Standing

if TYPE_CHECKING:
    from actors.connections.postgres.session import Driver

LOOK_AGAIN_S: Final = 5.0
"""How often a table that does not fit is looked at: somebody may make it, or change it."""

LOOKED_TIMEOUT_S: Final = 5.0
"""How long a start waits for the first look."""


class Target:
    """Tells an actor's standing whether rows can be written, and writes them.

    A table that is not there, or whose columns do not fit, is like a server that is away: nothing is delivered to
    it, and so nothing becomes a dead letter for it. It is looked at again until it fits.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        table: TableName,
        wanted: Sequence[str],
        *,
        create: str | None,
        ignores_known: bool,
        name: str,
        standing: Standing,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        clock: Clock,
        events: Events,
    ) -> None:
        """`create` is the preset whose table is made where it is missing; `wanted` are the columns of each row."""
        self._connection = connection
        self._table = table
        self._wanted = wanted
        self._create = create
        self._ignores_known = ignores_known
        self._name = name
        self._standing = standing
        self._spawn = spawn
        self._clock = clock
        self._events = events
        self._kinds: tuple[str, ...] = ()
        self._why: str | None = "connecting"
        self._told: str | None = None
        self._look: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self.writer = Writer(connection, spawn, self.misfit)

    def add(self, values: Sequence[Any]) -> Row:
        """A row of these values, in the order of `wanted`; raises `DeliveryError` where that cannot be written."""
        if self._why is not None:
            raise DeliveryError(self._why, reason="connect")
        row = Row([parameter(value, kind) for value, kind in zip(values, self._kinds, strict=True)])
        self.writer.add(row)
        return row

    async def looked(self) -> None:
        """Wait until it is known whether the table fits, or the server is away; for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKED_TIMEOUT_S):
                await self._looked.wait()

    # What the connection tells

    def available(self) -> None:
        """The server is there: so may the table be."""
        self._stop_looking()
        self._look = self._spawn(self._until_it_fits())

    def unavailable(self, why: str) -> None:
        self._stop_looking()
        self._away(why)

    def misfit(self, why: str) -> None:
        """The server says that the table is not as it was."""
        self._away(why)
        self.available()

    def _stop_looking(self) -> None:
        look, self._look = self._look, None
        if look is not None:
            look.cancel()

    def _away(self, why: str) -> None:
        self._why = why
        if why != "connecting":
            self._looked.set()
        self._standing.unavailable(why)

    async def _until_it_fits(self) -> None:
        from psycopg import Error

        from actors.connections.postgres.failures import told

        while True:
            try:
                columns = await self._connection.run(self._columns)
                break
            except (MisfitError, DeliveryError, LateError) as error:
                self._refused(str(error))
            except Error as error:
                self._refused(f"the table {self._table}: {told(error)}")
            await self._clock.sleep(LOOK_AGAIN_S)
        kinds = {column.name: column.kind for column in columns}
        self._kinds = tuple(kinds[name] for name in self._wanted)
        self.writer.statement = tables.insertion(self._table, columns, self._wanted, ignores_known=self._ignores_known)
        self._why = self._told = None
        self._looked.set()
        self._standing.available()

    async def _columns(self, driver: Driver) -> list[Column]:
        columns = await tables.columns_of(driver, self._table)
        if not columns and self._create is not None:
            if await tables.create(driver, self._create, self._table):
                self._tell(f"{self._name}: the table {self._table} was made", "info")
            columns = await tables.columns_of(driver, self._table)
        if not columns:
            raise MisfitError(f"there is no table {self._table}")
        found = tables.misfits(columns, self._wanted)
        if found:
            raise MisfitError(f"the table {self._table} {' and '.join(found)}")
        return columns

    def _refused(self, why: str) -> None:
        self._away(why)
        if why != self._told:
            # Once for each reason: it is looked at for ever.
            self._told = why
            self._tell(f"{self._name}: {why}; it is looked at again", "error")

    def _tell(self, text: str, level: str) -> None:
        self._events.emit(Notice(text, level))
