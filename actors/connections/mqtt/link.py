"""Keeps one MQTT client connected: it tries again, with backoff and jitter, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from random import random as _random
from typing import Final, Protocol

from actors.connections.mqtt.protocol import Driver, Login, Peer, Server, Version
from actors.core.clock import Clock
from actors.core.errors import RouterError
from actors.core.events import ConnectionFailed, ConnectionLost, ConnectionOpened, Events
from actors.kit.backoff import Backoff

BACKOFF: Final = Backoff(delay_s=0.1, max_delay_s=10.0, jitter=0.3)

STEADY_S: Final = 10.0
"""A connection that lasted so long was a good one: the next wait begins at the shortest again.

Two clients with one id, which disconnect each other, so do that less and less often.
"""

TRIED_TIMEOUT_S: Final = 7.0
"""How long `opened` waits for the first attempt; an attempt takes no longer itself."""


class Keeper(Peer, Protocol):
    """Whose connection it is: the peer of every driver, which is `Link.driver` while it is connected."""

    def session(self) -> tuple[Login, bool]:
        """What the next CONNECT says, and whether it asks for a clean session."""
        ...

    async def complete(self, driver: Driver) -> None:
        """What is left to do before it is of use: to subscribe. Raises `MqttError`."""
        ...

    def up(self) -> None:
        """It is of use."""
        ...

    def down(self, why: str) -> None:
        """It is of no use: the connection broke, or an attempt failed. Called again for each attempt."""
        ...


class Link:
    """One client's connection, made anew as often as it breaks.

    `servers` is asked before each attempt, since a broker in the house may come back on another port; it
    raises `RouterError` where there is none for now.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        connection: str,
        client_id: str,
        version: Version,
        servers: Callable[[], Sequence[Server]],
        clock: Clock,
        events: Events,
        backoff: Backoff = BACKOFF,
        random: Callable[[], float] = _random,
    ) -> None:
        self.driver: Driver | None = None
        """While it is connected."""
        self._keeper = keeper
        self._connection = connection
        self._client_id = client_id
        self._version = version
        self._servers = servers
        self._clock = clock
        self._events = events
        self._backoff = backoff
        self._random = random
        self._attempts = 0
        self._lost: asyncio.Future[str] | None = None
        self._pause: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to connect."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def tried(self) -> None:
        """Wait until the first attempt has ended, well or badly."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRIED_TIMEOUT_S):
                await self._tried.wait()

    async def close(self) -> None:
        """Disconnect, behind what was to be sent; it connects no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def lost(self, why: str) -> None:
        """For the peer: the driver's connection broke."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(why)

    def drop(self, why: str) -> None:
        """Disconnect, and connect again."""
        self.lost(why)

    def hurry(self) -> None:
        """There is reason to think that the next attempt succeeds: do not wait for it any longer."""
        self._attempts = 0
        if self._pause is not None:
            self._pause.cancel()

    # The task

    async def _keep(self) -> None:
        while True:
            why = await self._attempt()
            self._tried.set()
            self._keeper.down(why)
            self._attempts += 1
            self._pause = asyncio.get_running_loop().create_task(
                self._clock.sleep(self._backoff.delay(self._attempts, self._random()))
            )
            try:
                await asyncio.wait((self._pause,))
            finally:
                self._pause.cancel()
                self._pause = None

    async def _attempt(self) -> str:
        """One connection from its first attempt to its end; returns why it ended."""
        self._lost = asyncio.get_running_loop().create_future()
        driver: Driver | None = None
        server: Server | None = None
        since = None
        try:
            servers = self._servers()
            server = servers[self._attempts % len(servers)]
            login, clean = self._keeper.session()
            driver = driver_for(self._version, server, login, self._keeper, self._clock)
            self.driver = driver
            await driver.connect(clean=clean)
            await self._keeper.complete(driver)
            since = self._clock.now()
            if not self._lost.done():
                self._keeper.up()
                self._tried.set()
                self._events.emit(ConnectionOpened(self._connection, self._client_id, str(server)))
            why = await self._lost
            self._events.emit(ConnectionLost(self._connection, self._client_id, why))
        except Exception as error:
            # Whatever it is, the next attempt may find it gone; what nobody has foreseen is told by its name.
            is_foreseen = isinstance(error, OSError | RouterError) and str(error)
            why = str(error) if is_foreseen else f"{type(error).__name__}: {error}"
            if isinstance(error, ConnectionError) and error.errno is not None and server is not None:
                why = f"no connection to {server}: {os.strerror(error.errno).lower()}"
            self._events.emit(ConnectionFailed(self._connection, self._client_id, why))
        finally:
            self.driver = None
            self._lost = None
            if driver is not None:
                await driver.close()
        if since is not None and self._clock.now() - since >= STEADY_S:
            self._attempts = 0
        return why


def driver_for(version: Version, server: Server, login: Login, peer: Peer, clock: Clock) -> Driver:
    """The driver that speaks this version; both libraries are only loaded where they are needed."""
    if version == "5":
        from actors.connections.mqtt.driver5 import Driver5

        return Driver5(server, login, peer, clock)
    from actors.connections.mqtt.driver311 import Driver311

    return Driver311(server, login, peer, clock)
