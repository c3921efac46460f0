"""Asks whether somebody listens at an address again, until somebody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import random as _random

from actors.core.clock import Clock
from actors.kit.backoff import Backoff

BACKOFF = Backoff(delay_s=0.1, max_delay_s=5.0, jitter=0.2)
CONNECT_TIMEOUT_S = 5.0


async def until_connectable(
    host: str,
    port: int,
    *,
    clock: Clock,
    backoff: Backoff = BACKOFF,
    random: Callable[[], float] = _random,
) -> None:
    """Return as soon as a TCP connection to `host` and `port` succeeds, however long that takes.

    It waits before each try, at first a tenth of a second and at most five.
    """
    attempt = 1
    while True:
        await clock.sleep(backoff.delay(attempt, random()))
        if await _is_connectable(host, port):
            return
        attempt += 1


async def _is_connectable(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # a timeout is one as well
        return False
    writer.transport.abort()
    return True
