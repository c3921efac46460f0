"""One connection to the server: lent to one at a time, with a deadline, and watched while nobody has it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from actors.core.errors import RouterError

T = TypeVar("T")

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Driver: TypeAlias = AsyncConnection[tuple[Any, ...]]
    Work: TypeAlias = Callable[[Driver], Awaitable[T]]
    """What is done with a connection. It is in autocommit mode, and is given back outside of a transaction."""

SEVERED_S: Final = 2.0
"""How long the driver may take to notice that its socket was shut."""


class LateError(RouterError):
    """The server did not answer in time; the connection was given up."""


class Session:
    """A connection of the pool."""

    def __init__(self, driver: Driver, lost: Callable[[Session], None]) -> None:
        self._driver = driver
        self._lost = lost
        self._watched: int | None = None

    @property
    def is_usable(self) -> bool:
        return not self._driver.closed

    async def run(self, work: Work[T], timeout_s: float) -> T:
        """The result of `work`, which raises the driver's errors; `LateError` where it takes longer than this.

        Where it is late or cancelled the socket is shut, and so the work ends at once: the driver's own way, to ask
        the server to cancel, takes 10 s where that does not answer.
        """
        task = asyncio.ensure_future(work(self._driver))
        try:
            await asyncio.wait((task,), timeout=timeout_s)
        except asyncio.CancelledError:
            await self._give_up(task)
            raise
        if not task.done():
            await self._give_up(task)
            raise LateError(f"the server did not answer within {timeout_s:g} s")
        return task.result()

    async def _give_up(self, task: asyncio.Future[T]) -> None:
        self._sever()
        await asyncio.wait((task,), timeout=SEVERED_S)
        if task.done():
            task.exception()  # it is known why
        else:
            task.cancel()
        await self.close()

    def _sever(self) -> None:
        """Shut the socket beneath the driver, which then sees that its server is gone."""
        with contextlib.suppress(Exception), socket.socket(fileno=os.dup(self._driver.fileno())) as beneath:
            beneath.shutdown(socket.SHUT_RDWR)

    # While nobody has it

    def watch(self) -> None:
        """Look out for its end, which the server tells, or its socket."""
        self._watched = self._driver.fileno()
        asyncio.get_running_loop().add_reader(self._watched, self._arrived)

    def unwatch(self) -> None:
        """The driver reads by itself from now on."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _arrived(self) -> None:
        """Mostly an end; also what a server tells everybody, such as a setting that has changed."""
        from psycopg import Error

        try:
            self._driver.pgconn.consume_input()
            if not self._driver.closed:
                return
        except Error:
            pass
        self.unwatch()
        self._lost(self)

    async def close(self) -> None:
        self.unwatch()
        await self._driver.close()


async def connect(url: str, parameters: Mapping[str, str | int], lost: Callable[[Session], None]) -> Session:
    """A new connection; raises the driver's error where there is none to be had."""
    from psycopg import AsyncConnection

    driver = await AsyncConnection.connect(url, autocommit=True, **parameters)  # type: ignore[arg-type]  # libpq's own
    return Session(driver, lost)
