"""Adds jobs: what comes while an exchange is under way goes with the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgpack

from actors.connections.redis import RedisConnection
from actors.connections.redis.refusals import refusal
from actors.connections.redis.wire import Argument
from actors.core.errors import StorageError, StoreAwayError
from actors.queues.bullmq.encoding import encode_options
from actors.queues.bullmq.keys import Keys
from actors.queues.bullmq.scripts import Scripts
from actors.queues.contract import Added, Done
from actors.queues.job import NewJob

BATCH: Final = 100
"""Jobs that one exchange carries at most: for all others Redis stands still meanwhile, about 5 ms."""
BATCH_BYTES: Final = 1 << 20
UNDER_WAY: Final = 2
"""Exchanges at a time: the next one is on its way while Redis works."""
WAITING: Final = 100_000
"""Jobs that wait for an exchange at most; more are refused."""

_MISSING_PARENT: Final = -5
_OTHER_PARENT: Final = -7


class Producer:
    """The adding half of one queue."""

    def __init__(self, connection: RedisConnection, keys: Keys, scripts: Scripts, now: Callable[[], float]) -> None:
        self._connection = connection
        self._keys = keys
        self._scripts = scripts
        self._now = now
        self._waiting: deque[tuple[NewJob, Done, float]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_called = False

    def add(self, job: NewJob, done: Done) -> None:
        """See `QueueStore.add`; a job for which no answer comes in time fails with `StoreAwayError`."""
        if len(self._waiting) >= WAITING:
            error = StorageError(f"{self._keys.qualified}: {WAITING} jobs wait to be added already", full=True)
            asyncio.get_running_loop().call_soon(done, error)
            return
        self._waiting.append((job, done, self._now() + self._connection.timeout_s))
        if not self._is_called and len(self._under_way) < UNDER_WAY:
            # All that is added in this turn of the loop goes together.
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._send)

    async def finish(self) -> None:
        """Wait until all that was to be added is, or has failed."""
        while self._waiting or self._under_way:
            if not self._under_way:
                self._send()
            await asyncio.wait(tuple(self._under_way))

    def _send(self) -> None:
        self._is_called = False
        while self._waiting and len(self._under_way) < UNDER_WAY:
            if self._under_way and len(self._waiting) < BATCH:
                # Small ones would not be faster, and there will be more.
                return
            task = asyncio.get_running_loop().create_task(self._exchange(), name=f"add to {self._keys.qualified}")
            self._under_way.add(task)
            task.add_done_callback(self._sent)
            # The task has taken its jobs when the loop comes to it: not before.
            return

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"adding to {self._keys.qualified} raised", "exception": error}
            )
        self._send()

    def _take(self) -> tuple[list[tuple[NewJob, Done]], list[Argument]]:
        taken: list[tuple[NewJob, Done]] = []
        args: list[Argument] = []
        size, now = 0, self._now()
        waiting = self._waiting
        while waiting and len(taken) < BATCH and size < BATCH_BYTES:
            job, done, deadline = waiting.popleft()
            if now > deadline:
                done(StoreAwayError(f"{self._keys.qualified}: Redis took too long"))
                continue
            try:
                args += self._arguments(job)
            except Exception as error:
                done(error if isinstance(error, StorageError) else StorageError(f"job {job.id}: {error}"))
                continue
            size += len(job.data)
            taken.append((job, done))
        return taken, args

    def _arguments(self, job: NewJob) -> tuple[Argument, ...]:
        options = job.options
        deduplication = "" if options.deduplication is None else options.deduplication.id
        key = f"{self._keys.root}de:{deduplication}" if deduplication else None
        packed: list[Any] = [self._keys.root, job.id, job.name, job.timestamp_ms, None, None, None, None, key]
        return (
            "d" if options.delay_ms else "p" if options.priority else "s",
            msgpack.packb(packed),
            job.data,
            # Without the id, which Node's has here too and never reads: so thousands of jobs have the same text.
            msgpack.packb(encode_options(options)),
            job.id,
            job.envelope or "",
            job.key or "",
            deduplication,
        )

    async def _exchange(self) -> None:
        taken, args = self._take()
        if not taken:
            return
        # Some are sent now, and others wait: let them set out as well.
        self._send()
        results: list[Any]
        try:
            results = await self._connection.run(self._scripts.add, (self._keys.root,), args)
        except StorageError as error:
            results = [error] * len(taken)
        except Exception as error:
            results = [StorageError(f"{self._keys.qualified}: {error}")] * len(taken)
        for (job, done), result in zip(taken, results, strict=True):
            done(self._told(job, result))

    def _told(self, job: NewJob, result: object) -> Added | Exception:
        if isinstance(result, str):
            return Added(result)
        if isinstance(result, Exception):
            return result
        if isinstance(result, list):
            return refusal(self._keys.qualified, str(result[0]))
        why = {_MISSING_PARENT: "its parent is missing", _OTHER_PARENT: "it has another parent"}.get(
            int(str(result)), f"BullMQ answers {result}"
        )
        return StorageError(f"{self._keys.qualified}: job {job.id} cannot be added: {why}")
