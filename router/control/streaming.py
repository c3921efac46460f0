"""Sends answers that go on: piece by piece, until nobody reads them or the router stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from router.control.operation import Stream
from router.control.problem import BusyError

logger = logging.getLogger("pointsman.control")

MOST_STREAMS: Final = 32
BEAT_S: Final = 5.0
"""When nothing came for so long an empty line is sent: only so it shows that the client has gone."""
STALL_S: Final = 30.0
"""How long a client may take to read what was sent."""


class Streams:
    """All that are open, of one application."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._open = 0

    async def stop(self, application: web.Application) -> None:
        """End them."""
        self._stopping.set()

    async def send(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        """Send `stream` to its end; raises `BusyError` where there are too many."""
        try:
            if self._open >= MOST_STREAMS:
                raise BusyError(f"there are {MOST_STREAMS} streams already")
            self._open += 1
            try:
                return await self._send(request, stream)
            finally:
                self._open -= 1
        finally:
            await stream.lines.aclose()

    async def _send(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": stream.content_type})
        try:
            async with aclosing(self._with_beats(stream.lines)) as lines:
                async with asyncio.timeout(STALL_S):
                    await response.prepare(request)
                async for line in lines:
                    async with asyncio.timeout(STALL_S):
                        await response.write(line + b"\n")
        except Exception as error:
            if not isinstance(error, ConnectionError | TimeoutError):
                logger.exception("%s %s failed", request.method, request.path)
            # The client has gone or reads no more, or there is no rest: a part must not look like the whole.
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _with_beats(self, lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        stopping = asyncio.create_task(self._stopping.wait())
        following: asyncio.Task[bytes | None] | None = None
        try:
            while True:
                following = following or asyncio.create_task(_following(lines))
                await asyncio.wait({following, stopping}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    line, following = following.result(), None
                    if line is None:
                        return
                    yield line
                elif stopping.done():
                    return
                else:
                    yield b""
        finally:
            stopping.cancel()
            await _ended(stopping)
            if following is not None:
                following.cancel()
                await _ended(following)


async def _following(lines: AsyncIterator[bytes]) -> bytes | None:
    return await anext(lines, None)


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
