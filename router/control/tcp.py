"""The control API by TCP: for who has a token, and with bounds on who has none."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path
from typing import Final, cast

from aiohttp import web

from actors.connections.http_listener import Tls, tls_context
from actors.core.clock import Clock
from actors.core.errors import RouterError
from router.control.application import runner
from router.control.problem import UnauthorizedError
from router.control.roles import Caller
from router.control.tokens import Tokens
from router.topology.settings import Address, Control

logger = logging.getLogger("pointsman.control")

MOST_CONNECTIONS: Final = 256
HANDSHAKE_S: Final = 8.0
FIRST_S: Final = 15.0
"""How long a new connection may take to its first request; more than its handshake may."""
TELL_S: Final = 60.0
"""Wrong tokens are told no more often than this."""


class TcpListener:
    """Serves an application on one address.

    The Host of a request is of no matter here, as it is to listeners on loopback that ask for no proof: a page whose
    name was made to point here (DNS rebinding) has no token.
    """

    def __init__(self, settings: Control, directory: Path, clock: Clock) -> None:
        """`directory` is where relative paths of the certificate begin."""
        assert isinstance(settings.listen, Address), "there is an address to listen on"
        self._asked = settings.listen
        self._tls = None
        if settings.tls is not None:
            self._tls = Tls(str(directory / settings.tls.cert), str(directory / settings.tls.key))
        self._tokens = Tokens(settings.named_tokens())
        self._clock = clock
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
        """Connections on which nothing was asked yet, each with what ends that."""
        self._wrong = 0
        """Wrong tokens that were not told yet."""
        self._told_at = -TELL_S
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def open(self, served: web.Application) -> None:
        """Listen. Raises `RouterError` where it cannot."""
        self._runner = runner(served)
        await self._runner.setup()
        secure = self._tls is not None
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._accept,
                self._asked.host,
                self._asked.port,
                ssl=None if self._tls is None else tls_context(self._tls),
                ssl_handshake_timeout=HANDSHAKE_S if secure else None,
            )
        except OSError as error:
            why = "the port is in use" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0).lower()
            raise RouterError(f"settings.control: cannot listen on {self._asked}: {why}") from error

    async def close(self) -> None:
        """Take no more requests, and let those that run end for a moment."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for timer in self._silent.values():
            timer.cancel()
        self._silent.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Where it listens; the port is the real one where 0 was asked for. It must be open."""
        assert self._server is not None, "the listener is not open"
        host, port, *_ = self._server.sockets[0].getsockname()
        return f"{'http' if self._tls is None else 'https'}://{Address(host, port)}"

    def identify(self, request: web.Request) -> Caller:
        """Whose token a request bears; raises `UnauthorizedError` where nobody knows it."""
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        address = request.remote or ""
        try:
            return self._tokens.caller(request.headers.get("Authorization"), address=address)
        except UnauthorizedError:
            self._tell_of_wrong_token(address)
            raise

    def _tell_of_wrong_token(self, address: str) -> None:
        self._wrong += 1
        now = self._clock.now()
        if now - self._told_at >= TELL_S:
            logger.warning("control API: unknown token from %s; %d since this was last told", address, self._wrong)
            self._told_at, self._wrong = now, 0

    def _accept(self) -> asyncio.BaseProtocol:
        assert self._runner is not None, "it is open"
        assert self._runner.server is not None, "it is set up"
        if len(self._runner.server.connections) + len(self._silent) >= MOST_CONNECTIONS:
            return _Crowded()
        protocol = self._runner.server()
        timer = asyncio.get_running_loop().call_later(FIRST_S, self._expire, protocol)
        self._silent[protocol] = timer
        return protocol

    def _expire(self, protocol: web.RequestHandler) -> None:
        if self._silent.pop(protocol, None) is not None:
            protocol.force_close()


class _Crowded(asyncio.Protocol):
    """There are too many connections: this one ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
