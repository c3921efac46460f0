"""What is on its way into a queue in the database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import takewhile
from typing import Final

from actors.core.errors import StorageError
from actors.kit.database import Database
from actors.queues.contract import Added, Done
from actors.queues.job import JobOptions, NewJob
from actors.queues.sqlite import deduplication
from actors.queues.sqlite.record import ADD, json_of, new_row
from actors.queues.sqlite.transaction import Numbers, QueueId, Transaction
from actors.queues.sqlite.wakes import Wakes

MOST_WAITING: Final = 100_000

Adding = tuple[NewJob, Done]
Transact = Callable[[Callable[[Transaction], list[str]]], Awaitable[list[str]]]


class Additions:
    """A job is a statement among all others of its turn, where nothing has to be looked up for it.

    Those with deduplication ids go together, in a transaction: what comes behind them waits for that.
    """

    def __init__(
        self, queue: QueueId, database: Database, transact: Transact, *, numbers: Numbers, wakes: Wakes
    ) -> None:
        self._queue = queue
        self._database = database
        self._transact = transact
        self._numbers = numbers
        self._wakes = wakes
        self._waiting: list[Adding] = []
        self._looking_up: asyncio.Task[None] | None = None
        self._is_scheduled = False
        self._options = JobOptions()
        self._packed_options = json_of(self._options)
        self._made = 0
        self._nonce = secrets.token_hex(6)

    def add(self, job: NewJob, done: Done) -> None:
        if len(self._waiting) >= MOST_WAITING:
            error = StorageError(f"{MOST_WAITING} jobs wait for queue {self._queue.name} to look them up", full=True)
            asyncio.get_running_loop().call_soon(done, error)
            return
        if not job.id:
            self._made += 1
            job = job._replace(id=f"j-{self._nonce}-{self._made}")
        if _is_plain(job) and not self._waiting and self._looking_up is None:
            self._execute(job, done)
            return
        self._waiting.append((job, done))
        if not self._is_scheduled and self._looking_up is None:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._send)

    async def settle(self) -> None:
        """Wait until nothing has to be looked up any more; the database keeps the rest, in any case."""
        while self._looking_up is not None or self._waiting:
            if self._looking_up is None:
                self._send()
            else:
                await asyncio.wait([self._looking_up])

    def _send(self) -> None:
        self._is_scheduled = False
        while self._waiting and self._looking_up is None:
            plain = [*takewhile(lambda each: _is_plain(each[0]), self._waiting)]
            self._waiting = self._waiting[len(plain) :]
            for job, done in plain:
                self._execute(job, done)
            others = [*takewhile(lambda each: not _is_plain(each[0]), self._waiting)]
            self._waiting = self._waiting[len(others) :]
            if others:
                self._looking_up = asyncio.create_task(self._look_up(others), name=f"queue {self._queue.name} adds")
                self._looking_up.add_done_callback(self._looked_up)

    def _execute(self, job: NewJob, done: Done) -> None:
        if job.options is not self._options:
            # Mostly all jobs of an actor have the same.
            self._options, self._packed_options = job.options, json_of(job.options)
        row = new_row(
            self._queue.number, self._queue.name, self._numbers.take(), job, packed_options=self._packed_options
        )
        self._database.execute(ADD, row, partial(self._added, job, done))

    def _added(self, job: NewJob, done: Done, error: Exception | None) -> None:
        if error is not None:
            done(error)
            return
        self._tell(job)
        done(Added(job.id))

    async def _look_up(self, batch: Sequence[Adding]) -> None:
        jobs = [job for job, _ in batch]
        try:
            ids = await self._transact(partial(_add_all, jobs=jobs))
        except Exception as error:
            for _, done in batch:
                done(error)
            return
        for (job, done), id_ in zip(batch, ids, strict=True):
            self._tell(job)
            done(Added(id_))

    def _looked_up(self, _: asyncio.Task[None]) -> None:
        self._looking_up = None
        self._send()

    def _tell(self, job: NewJob) -> None:
        if job.options.delay_ms > 0:
            self._wakes.expect(job.timestamp_ms + job.options.delay_ms)
        else:
            self._wakes.wake()


def _is_plain(job: NewJob) -> bool:
    return job.options.deduplication is None


def _add_all(transaction: Transaction, *, jobs: Sequence[NewJob]) -> list[str]:
    ids: list[str] = []
    for job in jobs:
        assert job.options.deduplication is not None
        ids.append(deduplication.add(transaction, job, job.options.deduplication))
    return ids
