"""Looks whether a Redis lets the router in, and how durable it is; nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import hiredis

from actors.connections.client_tls import ClientTlsOptions, tls_context
from actors.connections.reach import reach
from actors.connections.redis.dial import Login, dial, reason
from actors.connections.redis.durability import ask, findings
from actors.connections.redis.options import RedisConnectionOptions
from actors.connections.redis.wire import Argument, Reply, Wire
from actors.core.errors import RouterError, StorageError
from actors.core.examination import ExamineContext, Finding

_ADVICE = {
    "wants a password": "set `password`, or write it into the URL",
    "does not know this user": "correct user and password",
    "wants no password": "remove the password, or have the server ask for one",
}


async def examine_connection(options: RedisConnectionOptions, context: ExamineContext) -> Sequence[Finding]:
    """Its name, port and certificate, whether it lets the router in, and what it keeps over a crash."""
    server, tls = options.server, None
    if server.tls:
        try:
            tls = await asyncio.to_thread(tls_context, options.tls or ClientTlsOptions(), context.directory)
        except RouterError as error:
            return [Finding("problem", str(error), "correct `tls`; paths begin at the topology's folder")]
    reached = Finding("ok", f"{server} is there")
    if server.path is None:
        reached = await reach(server.host, server.port, tls=tls, time=context.clock.time)
        if reached.level == "problem":
            return [reached]
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    try:
        wire = await dial(Login(server, *options.login, tls), context.clock, float(options.timeout), lost)
    except (OSError, RouterError) as error:
        why = reason(error)
        advice = next((words for part, words in _ADVICE.items() if part in why), "is it a Redis? Its log may say why")
        return [Finding("problem", why if str(server) in why else f"{server}: {why}", advice)]
    try:
        facts = await ask(_Client(wire, float(options.timeout)))
    except RouterError as error:
        return [Finding("problem", str(error))]
    finally:
        wire.close("examined")
    as_whom = "without a password" if options.login[1] is None else "with its password"
    first = Finding(reached.level, f"{reached.text}, and lets the router in {as_whom}", reached.advice)
    return [first, *findings(facts)]


class _Client:
    """Asks over a wire that nobody keeps up."""

    def __init__(self, wire: Wire, timeout_s: float) -> None:
        self._wire = wire
        self._timeout_s = timeout_s

    async def execute(self, *command: Argument, timeout_s: float | None = None) -> Reply:
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                return await self._wire.send(command, self._timeout_s)
        except hiredis.ReplyError as error:
            raise StorageError(str(error)) from None
        except (TimeoutError, ConnectionError) as error:
            raise RouterError(f"it does not answer any more: {error}") from None
