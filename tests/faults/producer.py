"""Sends messages as fast as they are acknowledged, in order for each key, and writes down what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Protocol

import aiohttp

from tests.faults.account import Account, Refusal

KEYS = 8
PAUSE_S = 0.02
LAST_S = 60.0
"""How long the last message of each key may take to be acknowledged."""
REFUSED_EVERY = 50
"""One in so many messages is one that the sink refuses for good."""


class Way(Protocol):
    """How a message gets to whoever acknowledges it."""

    async def send(self, id: str, body: bytes) -> None:
        """Send it again and again under the same id, as a careful client does, until it is acknowledged."""
        ...


class Producer:
    """One task a key: the next message of a key is sent when the one before was acknowledged."""

    def __init__(
        self,
        way: Way,
        account: Account,
        *,
        name: str = "",
        keys: int = KEYS,
        refused_every: int = 0,
        pace_s: float = 0.0,
    ) -> None:
        """Ids and keys begin with `name`; a key waits for `pace_s` between its messages."""
        self.last: dict[str, str] = {}
        """The id of the last message of each key that was acknowledged."""
        self._way = way
        self._account = account
        self.name = name
        self._keys = keys
        self._refused_every = refused_every
        self._pace_s = pace_s
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._count = 0
        self._acknowledged = asyncio.Event()

    async def __aenter__(self) -> Producer:
        self._tasks = [asyncio.create_task(self._produce(f"{self.name}key-{number}")) for number in range(self._keys)]
        return self

    async def __aexit__(self, failed: object, *_: object) -> None:
        self._stopping = True
        if failed is not None:
            # Nobody may be there any more to acknowledge what is under way.
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        else:
            async with asyncio.timeout(LAST_S):
                await asyncio.gather(*self._tasks)

    async def acknowledged(self, number: int) -> None:
        """Wait until `number` more messages were acknowledged."""
        until = self._count + number
        async with asyncio.timeout(30):
            while self._count < until:
                self._acknowledged.clear()
                await self._acknowledged.wait()

    async def _produce(self, key: str) -> None:
        for sequence in count():
            if self._stopping:
                return
            id = f"{key}-{sequence}"
            body = {"id": id, "key": key, "sequence": sequence}
            if self._refused_every and sequence % self._refused_every == self._refused_every - 1:
                body["refuse"] = True
            self._account.sent[id] = time.monotonic()
            await self._way.send(id, json.dumps(body).encode())
            self._account.acknowledged[id] = key, sequence
            self.last[key] = id
            self._count += 1
            self._acknowledged.set()
            if self._pace_s:
                await asyncio.sleep(self._pace_s)


class HttpWay:
    """POST, until it is answered 2xx."""

    def __init__(self, session: aiohttp.ClientSession, url: str, account: Account, pause_s: float) -> None:
        self._session = session
        self._url = url
        self._account = account
        self._pause_s = pause_s

    async def send(self, id: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": id}
        while True:
            try:
                async with self._session.post(self._url, data=body, headers=headers) as response:
                    if 200 <= response.status < 300:
                        return
                    why = str(response.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                why = type(error).__name__
            self._account.refusals.append(Refusal(time.monotonic(), why))
            await asyncio.sleep(self._pause_s)


@asynccontextmanager
async def posting(url: str, account: Account, *, pause_s: float = PAUSE_S) -> AsyncIterator[HttpWay]:
    """A way by HTTP, with a pause behind each refusal."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield HttpWay(session, url, account, pause_s)
