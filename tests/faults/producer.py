"""Posts messages as fast as they are answered, in order for each key, and writes down what was acknowledged."""

from __future__ import annotations

import asyncio
import json
from itertools import count

import aiohttp

from tests.faults.account import Account

KEYS = 8
PAUSE_S = 0.02
REFUSED_EVERY = 50
"""One in so many messages is one that the sink refuses for good."""


class Producer:
    """One task a key: the next message of a key is posted when the one before was acknowledged.

    A request that was not answered 2xx is posted again under the same id, as a careful client does, until it
    is: only then does the key go on.
    """

    def __init__(self, url: str, account: Account) -> None:
        self._url = url
        self._account = account
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._acknowledged = asyncio.Event()

    async def __aenter__(self) -> Producer:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._tasks = [asyncio.create_task(self._produce(f"key-{number}")) for number in range(KEYS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def acknowledged(self, number: int) -> None:
        """Wait until `number` more messages were acknowledged."""
        until = len(self._account.acknowledged) + number
        async with asyncio.timeout(30):
            while len(self._account.acknowledged) < until:
                self._acknowledged.clear()
                await self._acknowledged.wait()

    async def _produce(self, key: str) -> None:
        for sequence in count():
            if self._stopping:
                return
            body = {"id": f"{key}-{sequence}", "key": key, "sequence": sequence}
            if sequence % REFUSED_EVERY == REFUSED_EVERY - 1:
                body["refuse"] = True
            await self._post(str(body["id"]), json.dumps(body).encode())
            self._account.acknowledged[str(body["id"])] = key, sequence
            self._acknowledged.set()

    async def _post(self, id: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": id}
        while True:
            try:
                async with self._session.post(self._url, data=body, headers=headers) as response:
                    if 200 <= response.status < 300:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            self._account.refused += 1
            await asyncio.sleep(PAUSE_S)
