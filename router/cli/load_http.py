"""How a load test posts its messages, and what their receiver says of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from actors.connections.http_outcomes import retry_after
from actors.core.errors import DeliveryError

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
NOT_NOW: Final = frozenset({429, 503})
"""With Retry-After: the same request is wanted later."""


class Posting:
    """Posts; 2xx is the acknowledgement."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._session = session
        self._url = url
        self._headers = headers

    async def send(self, id_: str, body: bytes) -> None:
        headers: dict[str, Any] = {**self._headers, "Idempotency-Key": id_}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                said = await response.read()
                status, later = response.status, response.headers.get("Retry-After")
        except aiohttp.ClientConnectorError as error:
            where, why = f"{error.host}:{error.port}", _words(error.os_error)
            raise DeliveryError(f"no connection to {where}: {why}", reason="connect") from None
        except aiohttp.ClientError as error:
            raise DeliveryError(str(error) or type(error).__name__, reason="connect") from None
        if not 200 <= status < 300:
            wait_s = retry_after(later, now_s=time.time()) if status in NOT_NOW else None
            text = f"answered {status} {response.reason or ''}".rstrip()
            if response.content_type == PROBLEM and (why := detail(said)):
                text = f"{text}: {why}"
            raise DeliveryError(text, retry_after_s=wait_s)


@asynccontextmanager
async def posting(url: str, headers: Mapping[str, str], *, at_once: int, timeout_s: float) -> AsyncIterator[Posting]:
    """A way to post to `url`, over as many connections as there are messages under way."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Posting(session, url, {"Content-Type": JSON, **headers})


def detail(body: bytes) -> str:
    """What problem details say (RFC 9457); empty where they cannot be read."""
    try:
        problem = json.loads(body)
    except ValueError:
        return ""
    return str(problem.get("detail") or "") if isinstance(problem, dict) else ""


def _words(error: OSError) -> str:
    """In the system's words; asyncio's own say again where to, and those of name resolution have numbers below 0."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
