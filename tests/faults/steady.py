"""Sends so many messages a second, in order for each key, and writes down what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import count

from tests.faults.account import Account
from tests.faults.producer import LAST_S, Way


class SteadyProducer:
    """One task a key, each with its own beat; the next message of a key waits for the one before to be acknowledged."""

    def __init__(self, way: Way, account: Account, *, name: str, rate: float, keys: int) -> None:
        """Ids and keys begin with `name`; `rate` is of all `keys` together, messages a second."""
        self.count = 0
        """Messages that were acknowledged."""
        self.missed = 0
        """Beats without a message, since the one before was not acknowledged by then."""
        self._way = way
        self._account = account
        self._name = name
        self._period_s = keys / rate
        self._keys = keys
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> SteadyProducer:
        began = time.monotonic()
        self._tasks = [
            asyncio.create_task(
                self._produce(f"{self._name}key-{number}", began + number * self._period_s / self._keys)
            )
            for number in range(self._keys)
        ]
        return self

    async def __aexit__(self, failed: object, *_: object) -> None:
        self._stopping = True
        if failed is not None:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        else:
            async with asyncio.timeout(LAST_S):
                await asyncio.gather(*self._tasks)

    async def _produce(self, key: str, due: float) -> None:
        for sequence in count():
            await asyncio.sleep(due - time.monotonic())
            if self._stopping:
                return
            id = f"{key}-{sequence}"
            body = json.dumps({"id": id, "key": key, "sequence": sequence}).encode()
            self._account.sent[id] = time.monotonic()
            await self._way.send(id, body)
            self._account.accepted[id] = time.monotonic()
            self._account.acknowledged[id] = key, sequence
            self.count += 1
            due += self._period_s
            late_s = time.monotonic() - due
            if late_s > 0:
                beats = int(late_s / self._period_s) + 1
                self.missed += beats
                due += beats * self._period_s
