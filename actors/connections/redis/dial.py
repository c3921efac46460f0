"""Connects to a Redis, and logs in."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import hiredis

from actors.connections.redis.options import Server
from actors.connections.redis.refusals import refusal
from actors.connections.redis.wire import Argument, Reply, Wire
from actors.core.clock import Clock
from actors.core.errors import RouterError, StoreAwayError


@dataclass(frozen=True, slots=True)
class Login:
    """How a client gets in."""

    server: Server
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None


async def dial(login: Login, clock: Clock, timeout_s: float, lost: asyncio.Future[str]) -> Wire:
    """Connect, and log in; `lost` is told why the connection ended. Raises `RouterError` or `OSError`."""
    server = login.server
    loop = asyncio.get_running_loop()

    def end(why: str) -> None:
        if not lost.done():
            lost.set_result(why)

    def make() -> Wire:
        return Wire(clock.now, end)

    connecting: Coroutine[Any, Any, tuple[Any, Wire]]
    if server.path is not None:
        connecting = loop.create_unix_connection(make, server.path)
    elif login.tls is not None:
        connecting = loop.create_connection(
            make,
            server.host,
            server.port,
            ssl=login.tls,
            server_hostname=server.host,
            ssl_handshake_timeout=timeout_s,
        )
    else:
        connecting = loop.create_connection(make, server.host, server.port)
    try:
        async with asyncio.timeout(timeout_s):
            _, wire = await connecting
    except TimeoutError:
        raise StoreAwayError(f"{server} does not answer") from None
    try:
        await _log_in(wire, login, timeout_s)
    except BaseException:
        wire.close("not logged in")
        raise
    return wire


async def _log_in(wire: Wire, login: Login, timeout_s: float) -> None:
    server = login.server
    commands: list[tuple[Argument, ...]] = []
    if login.password is not None:
        commands.append(("AUTH", *(() if login.username is None else (login.username,)), login.password))
    if server.db:
        commands.append(("SELECT", server.db))
    commands.append(("PING",))
    answers = [wire.send(command, timeout_s) for command in commands]
    # For people who look at CLIENT LIST; whoever may not do that works all the same.
    wire.send(("CLIENT", "SETNAME", "pointsman"), timeout_s).add_done_callback(forget)
    try:
        async with asyncio.timeout(timeout_s):
            for answer in answers:
                await answer
    except TimeoutError:
        raise StoreAwayError(f"{server} takes connections, and does not answer") from None
    except hiredis.ReplyError as error:
        raise refusal(str(server), str(error)) from None
    finally:
        for answer in answers:
            answer.add_done_callback(forget)


def forget(answer: asyncio.Future[Reply]) -> None:
    """A callback for an answer that nobody asks for."""
    if not answer.cancelled():
        answer.exception()


def reason(error: Exception) -> str:
    """Why no connection came about, in words."""
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message.rstrip('.')}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    if isinstance(error, OSError | RouterError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"
