"""What waits in the state directory until a queue's own store is there again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from pydantic import TypeAdapter

from actors.core.clock import Clock
from actors.core.errors import StorageError, StoreAwayError
from actors.core.events import Events, Notice
from actors.kit.backoff import Backoff
from actors.kit.database import Database
from actors.kit.statement import Place, Statement
from actors.queues.contract import Added, Done, QueueStore
from actors.queues.job import NewJob

TABLE: Final = """
CREATE TABLE queue_spill (
    row INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    job BLOB NOT NULL
);
CREATE INDEX queue_spill_by_queue ON queue_spill (queue, row);
"""
"""Rows of a queue leave from the front only, so that a new one always has the highest number."""

AT_A_TIME: Final = 200
"""Jobs that move in one piece."""
PIECE_BYTES: Final = 4 * 1024 * 1024
"""A piece ends when it holds more than this."""
PIECE_TIMEOUT_S: Final = 60.0
"""By then a store has said of each job what became of it."""
TRIES: Final = 5
"""A job that a store, though it is there, refuses so often is one that it never takes."""
BACKOFF: Final = Backoff(delay_s=0.2, max_delay_s=5.0, jitter=0.2)

_ADD: Final = Statement("INSERT INTO queue_spill (queue, job) VALUES ", "(?, ?)")
_REMOVE: Final = Statement("DELETE FROM queue_spill WHERE row IN (", "?", ")", place=Place.LAST)


class GiveUp(Protocol):
    """Keep a job that its queue never takes as a dead letter; `kept` is called when that is done, or has failed."""

    def __call__(self, job: NewJob, error: Exception, kept: Callable[[Exception | None], None]) -> None: ...


class _Row(NamedTuple):
    number: int
    job: NewJob


class _User:
    """Whose store the jobs move to."""

    def __init__(self, store: QueueStore, give_up: GiveUp) -> None:
        self.store = store
        self.give_up = give_up
        self.is_there = False
        """Whether the store is believed to be there: else nothing is read for it, and nothing tried."""


class Spills:
    """The spills of all queues of a router, in its database: one for each queue, whoever adds to that."""

    def __init__(self, database: Database, *, clock: Clock, events: Events) -> None:
        self._database = database
        self._clock = clock
        self._events = events
        self._of: dict[str, Spill] = {}
        self._jobs = TypeAdapter(NewJob)

    @property
    def state_dir(self) -> Path:
        """Where the router keeps what is to be there after a restart."""
        return self._database.path.parent

    async def of(self, queue: str) -> Spill:
        """The one of the queue with this key, which says in which store it is; knows what an earlier process left."""
        spill = self._of.get(queue)
        if spill is None:
            spill = self._of[queue] = Spill(queue, self._database, self._jobs, self._clock, self._events)
        await spill.open()
        return spill

    async def close(self) -> None:
        """Move nothing more; what is left moves at the next start."""
        for spill in self._of.values():
            await spill.close()


class Spill:
    """First in, first out: jobs are kept until their store takes them, and then go there in their order.

    While anything is in it, new jobs must join it, or they would overtake. A job whose store took it just before a
    crash is handed to it again: it has the same id, so that nothing comes of that while the store knows the id.
    """

    def __init__(self, queue: str, database: Database, jobs: TypeAdapter[NewJob], clock: Clock, events: Events) -> None:
        self.queue = queue
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._events = events
        self._count = 0
        self._known: asyncio.Future[None] | None = None
        self._users: list[_User] = []
        self._mover: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        """Who is there has changed."""
        self._written = asyncio.Event()
        """A job has been committed."""
        self._refusals: dict[int, int] = {}
        """By the number of a row: how often its store refused it, though it was there."""

    @property
    def count(self) -> int:
        """Jobs that are in it, those included that are being written."""
        return self._count

    async def open(self) -> None:
        """Learn what is in it; a second call does nothing. Raises `StorageError`."""
        if self._known is None or (self._known.done() and self._known.exception() is not None):
            self._known = asyncio.ensure_future(self._learn())
        await asyncio.shield(self._known)

    async def _learn(self) -> None:
        self._count += await self._database.read(partial(_counted, queue=self.queue))

    async def close(self) -> None:
        mover, self._mover = self._mover, None
        self._users.clear()
        if mover is not None:
            mover.cancel()
            await asyncio.wait([mover])

    def add(self, job: NewJob, done: Done) -> None:
        """Keep a job; `done` is called after the commit."""
        if not self._count:
            text = f"queue {self.queue} is away: its jobs are kept in the state directory till it is back"
            self._events.emit(Notice(text, "warning"))
        self._count += 1
        self._database.execute(_ADD, (self.queue, self._jobs.dump_json(job)), partial(self._added, job, done))

    def _added(self, job: NewJob, done: Done, error: Exception | None) -> None:
        if error is None:
            done(Added(job.id))
            self._written.set()
            self._begin()
        else:
            self._count -= 1
            done(error)

    def attach(self, store: QueueStore, give_up: GiveUp) -> Callable[[], None]:
        """Move what is in it to `store` from now on, whenever that is there; returns what ends it.

        Where several are attached, such as an actor and its successor, the last one counts.
        """
        user = _User(store, give_up)
        self._users.append(user)

        def there(why: str | None = None) -> None:
            user.is_there = why is None
            self._stir()

        unwatch = store.watch(there, there)

        def detach() -> None:
            unwatch()
            if user in self._users:
                self._users.remove(user)
            self._stir()

        return detach

    # Moving

    def _stir(self) -> None:
        self._stirred.set()
        self._begin()

    def _begin(self) -> None:
        if self._mover is None and self._count and self._users:
            self._mover = asyncio.get_running_loop().create_task(self._move())
            self._mover.add_done_callback(self._moved)

    def _moved(self, mover: asyncio.Task[None]) -> None:
        if self._mover is not mover:
            return
        self._mover = None
        if not mover.cancelled() and (error := mover.exception()) is not None:
            self._events.emit(Notice(f"what was spilled of {self.queue} does not move: {error!r}", "error"))
        elif self._count:
            self._stir()

    async def _move(self) -> None:
        """Hand over all that is in it, as long as there is somebody to hand it to."""
        failures = 0
        while self._count and self._users:
            user = self._users[-1]
            self._stirred.clear()
            if not user.is_there:
                await self._stirred.wait()
                continue
            self._written.clear()
            rows = await self._database.read(partial(_first, queue=self.queue, jobs=self._jobs))
            if not rows:
                # What is counted is being written.
                await self._a_while(self._written, 1)
                continue
            if await self._hand_over(rows, user.store, user.give_up):
                failures = 0
            else:
                failures += 1
                await self._a_while(self._stirred, failures)

    async def _a_while(self, event: asyncio.Event, failures: int) -> None:
        """Until it is worth trying again: something has happened, or some time has passed."""
        timer = self._clock.call_at(self._clock.now() + BACKOFF.delay(failures, 0.5), event.set)
        try:
            await event.wait()
        finally:
            timer.cancel()

    async def _hand_over(self, rows: Sequence[_Row], store: QueueStore, give_up: GiveUp) -> bool:
        """Move these; false where one of them has to be tried again."""
        told = await self._added_to(store, [row.job for row in rows])
        moved: list[int] = []
        again = False
        for (number, job), result in zip(rows, told, strict=True):
            if isinstance(result, Added):
                moved.append(number)
            elif isinstance(result, StoreAwayError) or (isinstance(result, StorageError) and result.full):
                again = True
            elif self._refusals.setdefault(number, 0) + 1 < TRIES:
                self._refusals[number] += 1
                again = True
            elif await self._given_up(job, result, give_up):
                moved.append(number)
            else:
                again = True
        for number in moved:
            self._refusals.pop(number, None)
            self._database.execute(_REMOVE, (number,), lazy=True)
        self._count -= len(moved)
        if moved and not self._count:
            self._events.emit(
                Notice(f"queue {self.queue} has all its jobs: none is kept in the state directory any more")
            )
        return not again

    async def _added_to(self, store: QueueStore, jobs: Sequence[NewJob]) -> list[Added | Exception]:
        """What became of each; where nothing was told in time, that is as if the store were away."""
        everything: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        silence = StoreAwayError(f"no answer within {PIECE_TIMEOUT_S:g} s")
        told: list[Added | Exception] = [silence] * len(jobs)
        left = len(jobs)

        def done(number: int, result: Added | Exception) -> None:
            nonlocal left
            told[number] = result
            left -= 1
            if not left and not everything.done():
                everything.set_result(None)

        for number, job in enumerate(jobs):
            store.add(job, partial(done, number))
        timer = self._clock.call_at(self._clock.now() + PIECE_TIMEOUT_S, lambda: _end(everything))
        try:
            await everything
        finally:
            timer.cancel()
        return list(told)

    async def _given_up(self, job: NewJob, error: Exception, give_up: GiveUp) -> bool:
        kept: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

        def done(failure: Exception | None) -> None:
            if not kept.done():
                kept.set_result(failure)

        give_up(job, error, done)
        timer = self._clock.call_at(self._clock.now() + PIECE_TIMEOUT_S, lambda: done(TimeoutError()))
        try:
            return await kept is None
        finally:
            timer.cancel()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _counted(connection: sqlite3.Connection, *, queue: str) -> int:
    (count,) = connection.execute("SELECT COUNT(*) FROM queue_spill WHERE queue = ?", (queue,)).fetchone()
    return int(count)


def _first(connection: sqlite3.Connection, *, queue: str, jobs: TypeAdapter[NewJob]) -> list[_Row]:
    found: list[_Row] = []
    size = 0
    cursor = connection.execute(
        "SELECT row, job FROM queue_spill WHERE queue = ? ORDER BY row LIMIT ?", (queue, AT_A_TIME)
    )
    for number, packed in cursor:
        found.append(_Row(number, jobs.validate_json(packed)))
        size += len(packed)
        if size > PIECE_BYTES:
            break
    cursor.close()
    return found
