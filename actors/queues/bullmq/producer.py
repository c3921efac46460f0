"""Adds jobs: what comes while an exchange is under way goes with the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
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
from actors.queues.job import JobOptions, NewJob

BATCH: Final = 100
"""Jobs that one exchange carries at most: for all others Redis stands still meanwhile, about 5 ms."""
BATCH_BYTES: Final = 1 << 20
PIECE: Final = 16
"""So many set out at once, in the midst of a turn of the loop: Redis works on them while the turn goes on."""
UNDER_WAY: Final = 4
"""Exchanges at a time; when there are so many, what comes meanwhile goes together with the next one."""
WAITING: Final = 100_000
"""Jobs that wait for an exchange at most; more are refused."""

_MISSING_PARENT: Final = -5
_OTHER_PARENT: Final = -7

_PACKER: Final = msgpack.Packer()
"""Made once: each has a buffer of 256 KiB."""

_Taken = tuple[NewJob, Done]


class Producer:
    """The adding half of one queue."""

    def __init__(self, connection: RedisConnection, keys: Keys, scripts: Scripts, now: Callable[[], float]) -> None:
        self._connection = connection
        self._keys = keys
        self._scripts = scripts
        self._now = now
        self._waiting: deque[tuple[NewJob, Done, float]] = deque()
        self._under_way = 0
        """Exchanges of which Redis has not said what came of them."""
        self._finishing: asyncio.Future[None] | None = None
        self._is_called = False
        self._options = JobOptions()
        self._packed_options: bytes = msgpack.packb(encode_options(self._options))

    def add(self, job: NewJob, done: Done) -> None:
        """See `QueueStore.add`; a job for which no answer comes in time fails with `StoreAwayError`."""
        if len(self._waiting) >= WAITING:
            error = StorageError(f"{self._keys.qualified}: {WAITING} jobs wait to be added already", full=True)
            asyncio.get_running_loop().call_soon(done, error)
            return
        self._waiting.append((job, done, self._now() + self._connection.timeout_s))
        if self._under_way >= UNDER_WAY:
            return
        if len(self._waiting) >= PIECE:
            self._send()
        elif not self._is_called:
            # All that is added in this turn of the loop goes together.
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._turn_over)

    async def finish(self) -> None:
        """Wait until all that was to be added is, or has failed."""
        self._send_all()
        if self._under_way:
            if self._finishing is None:
                self._finishing = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._finishing)

    def _turn_over(self) -> None:
        self._is_called = False
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting and self._under_way < UNDER_WAY:
            self._send()

    def _send(self) -> None:
        taken, args = self._take()
        if not taken:
            return
        self._under_way += 1
        try:
            self._connection.call(self._scripts.add, (self._keys.root,), args, partial(self._answered, taken))
        except StorageError as error:
            self._under_way -= 1
            self._tell(taken, [error] * len(taken))

    def _answered(self, taken: Sequence[_Taken], answer: Any) -> None:
        self._under_way -= 1
        try:
            self._tell(taken, [answer] * len(taken) if isinstance(answer, Exception) else answer)
        finally:
            self._send_all()
            if self._finishing is not None and not self._under_way:
                self._finishing.set_result(None)
                self._finishing = None

    def _take(self) -> tuple[list[_Taken], list[Argument]]:
        taken: list[_Taken] = []
        args: list[Argument] = [b""]
        options: JobOptions | None = None
        packed: list[bytes] = []
        size, now = 0, self._now()
        waiting = self._waiting
        while waiting and len(taken) < BATCH and size < BATCH_BYTES:
            job, done, deadline = waiting.popleft()
            if now > deadline:
                done(StoreAwayError(f"{self._keys.qualified}: Redis took too long"))
                continue
            try:
                if job.options is not options:
                    packed.append(self._packed(job.options))
                    options = job.options
                args += _arguments(job, len(packed))
            except Exception as error:
                done(error if isinstance(error, StorageError) else StorageError(f"job {job.id}: {error}"))
                continue
            size += len(job.data)
            taken.append((job, done))
        args[0] = _PACKER.pack_array_header(len(packed)) + b"".join(packed)
        return taken, args

    def _packed(self, options: JobOptions) -> bytes:
        if options is not self._options:
            # Mostly all jobs of an actor have the same.
            self._options, self._packed_options = options, msgpack.packb(encode_options(options))
        return self._packed_options

    def _tell(self, taken: Sequence[_Taken], results: Sequence[object]) -> None:
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


def _arguments(job: NewJob, place: int) -> tuple[Argument, ...]:
    """Of one job, whose options are in the list of them at this place; raises for what is no text."""
    options = job.options
    return (
        b"d" if options.delay_ms else b"p" if options.priority else b"s",
        place,
        job.name.encode(),
        # As text: to print a number costs Redis as much as to write it.
        str(job.timestamp_ms),
        job.data.encode(),
        job.id.encode(),
        job.envelope.encode() if job.envelope else b"",
        job.key.encode() if job.key else b"",
        b"" if options.deduplication is None else options.deduplication.id.encode(),
    )
