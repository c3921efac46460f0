"""A PostgreSQL connection of the topology: a small pool, and whether the server is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from random import random as _random
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from actors.connections.postgres.options import PostgresConnectionOptions
from actors.connections.postgres.session import LateError, Session, connect
from actors.core.connection import ConnectionContext, connection
from actors.core.errors import DeliveryError
from actors.core.events import ConnectionFailed, ConnectionLost, ConnectionOpened
from actors.core.examination import ExamineContext, Finding
from actors.kit.backoff import Backoff

if TYPE_CHECKING:
    from actors.connections.postgres.session import Work

T = TypeVar("T")

BACKOFF: Final = Backoff(delay_s=0.1, max_delay_s=10.0, jitter=0.3)
STEADY_S: Final = 10.0
"""A connection that lasted so long was a good one: the next wait begins at the shortest again."""
TRIED_TIMEOUT_S: Final = 7.0
"""How long `tried` waits for the first attempt."""
CLIENT: Final = "pool"


class Watcher(Protocol):
    """Who wants to know whether the server is there."""

    def available(self) -> None: ...

    def unavailable(self, why: str) -> None: ...


async def _examine(options: PostgresConnectionOptions, context: ExamineContext) -> Sequence[Finding]:
    from actors.connections.postgres.examination import examine_connection

    return await examine_connection(options, context)


@connection("postgres", options=PostgresConnectionOptions, examine=_examine)
class PostgresConnection:
    """A PostgreSQL server that `postgres` actors write to, by a small pool of connections.

    One is kept at all times, and made again, with backoff and jitter, for ever; more are made where several
    actors write at once. While there is none, what is delivered is refused at once.
    """

    def __init__(self, options: PostgresConnectionOptions, context: ConnectionContext) -> None:
        self.options = options
        self._context = context
        self._server = str(options.place)
        self._parameters = options.parameters(context.directory)
        self._idle: list[Session] = []
        self._count = 0
        """Those that are idle, lent or being made."""
        self._waiting: deque[asyncio.Future[Session]] = deque()
        self._watchers: list[Watcher] = []
        self._why: str | None = "connecting"
        """Why nothing can be written now; None where it can."""
        self._gone = asyncio.Event()
        self._last_words = "the connection was closed"
        self._tried = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to connect; does nothing the second time."""
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def tried(self) -> None:
        """Wait until the first attempt at connecting has ended, well or badly."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRIED_TIMEOUT_S):
                await self._tried.wait()

    async def close(self) -> None:
        """Disconnect. What is under way then was given up by its actor before."""
        self._closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait((keeper,))
        idle, self._idle = self._idle, []
        for session in idle:
            await session.close()
        if self._closing:
            await asyncio.wait(tuple(self._closing))

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` now and from now on whether the server is there; returns what ends that."""
        self._watchers.append(watcher)
        self._tell(watcher)

        def unwatch() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return unwatch

    async def run(self, work: Work[T]) -> T:
        """Lend a connection to `work`, for as long as `timeout` at most.

        Raises `DeliveryError` where there is none to be had, `LateError` where it takes too long, and what
        `work` raises. Cancelling ends the work, and the connection with it.
        """
        session = await self._acquire()
        try:
            return await session.run(work, float(self.options.timeout))
        except LateError as error:
            self._last_words = str(error)
            raise
        finally:
            self._release(session)

    # The pool

    async def _acquire(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            session.unwatch()
            if session.is_usable:
                return session
            self._forget(session)
        if self._why is not None:
            raise DeliveryError(self._why, reason="connect")
        if self._count < self.options.pool:
            return await self._another()
        turn: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(float(self.options.timeout)):
                return await turn
        except TimeoutError:
            text = f"all {self.options.pool} connections were in use for {float(self.options.timeout):g} s"
            raise DeliveryError(text, reason="overload") from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release(turn.result())
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)

    async def _another(self) -> Session:
        from psycopg import Error

        from actors.connections.postgres.failures import delivery_error

        self._count += 1
        try:
            return await connect(self.options.url, self._parameters, self._forget)
        except BaseException as error:
            self._forget(None)
            if isinstance(error, Error):
                raise delivery_error(error) from error
            raise

    def _release(self, session: Session) -> None:
        if not session.is_usable or self._closed:
            self._forget(session)
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(session)
                return
        self._idle.append(session)
        session.watch()

    def _forget(self, session: Session | None) -> None:
        """One connection less."""
        self._count -= 1
        if session is not None:
            if session in self._idle:
                self._idle.remove(session)
            closing = asyncio.get_running_loop().create_task(session.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        if not self._count:
            self._down(self._last_words)
            self._gone.set()

    # Whether the server is there

    async def _keep(self) -> None:
        context, attempts = self._context, 0
        while True:
            since = await self._attempt()
            self._tried.set()
            if since is not None:
                await self._gone.wait()
                context.events.emit(ConnectionLost(context.name, CLIENT, self._last_words))
                if context.clock.now() - since >= STEADY_S:
                    attempts = 0
            attempts += 1
            await context.clock.sleep(BACKOFF.delay(attempts, _random()))

    async def _attempt(self) -> float | None:
        """Connect; returns when that was, in monotonic seconds, or None where it failed."""
        context = self._context
        self._gone.clear()
        self._last_words = "the connection was closed"
        try:
            session = await connect(self.options.url, self._parameters, self._forget)
        except Exception as error:
            # Whatever it is, the next attempt may find it gone.
            why = self.explain(error)
            context.events.emit(ConnectionFailed(context.name, CLIENT, why))
            self._down(why)
            return None
        self._count += 1
        self._why = None
        self._release(session)
        context.events.emit(ConnectionOpened(context.name, CLIENT, self._server))
        for watcher in tuple(self._watchers):
            watcher.available()
        return context.clock.now()

    def explain(self, error: Exception) -> str:
        """Why there is no connection, without the user's name."""
        from psycopg import Error

        from actors.connections.postgres.failures import told

        text = told(error) if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        return f"no connection to {self._server}: {self.options.place.hide_user(text)}"

    def _down(self, why: str) -> None:
        self._why = why
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(DeliveryError(why, reason="connect"))
        for watcher in tuple(self._watchers):
            watcher.unavailable(why)

    def _tell(self, watcher: Watcher) -> None:
        if self._why is None:
            watcher.available()
        else:
            watcher.unavailable(self._why)
