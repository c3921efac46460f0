"""One queue in the database of its process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
from actors.kit.database import Database
from actors.queues.contract import ConsumerOptions, Done
from actors.queues.job import Counts, Job, NewJob, Scheduler, State, Stats
from actors.queues.sqlite import deduplication, finishing, operating, schedule
from actors.queues.sqlite.additions import Additions
from actors.queues.sqlite.claims import Claims
from actors.queues.sqlite.consumer import SqliteConsumer
from actors.queues.sqlite.record import hash_of
from actors.queues.sqlite.transaction import Numbers, QueueId, Transaction
from actors.queues.sqlite.wakes import Wakes

T = TypeVar("T")

TRANSACTION_TIMEOUT_S: Final = 300.0
"""Whether it was kept is not known after that."""


class SqliteQueue:
    """A `QueueStore`. Jobs change in transactions on the database's thread; what is here is of the loop's."""

    kind: Final = "sqlite"

    def __init__(
        self,
        name: str,
        database: Database,
        *,
        numbers: Numbers,
        prepare: Callable[[], Awaitable[None]],
        clock: Clock,
        events: Events,
    ) -> None:
        self.name = name
        self.clock = clock
        self.paused = False
        self.claims = Claims(now=clock.now)
        self.wakes = Wakes()
        self.exchanges = 0
        """Turns of consumers that are under way: what they claim is not among `claims` yet."""
        self._database = database
        self._numbers = numbers
        self._prepare = prepare
        self._events = events
        self._id: QueueId | None = None
        self._lock = asyncio.Lock()
        self._additions: Additions | None = None

    @property
    def now_ms(self) -> int:
        return int(self.clock.time() * 1000)

    async def open(self) -> None:
        """Raises `StorageError` where the database fails; it is never away."""
        async with self._lock:
            if self._id is None:
                await self._prepare()
                number, self.paused, due_ms = await self._database.transact(partial(_enter, name=self.name))
                self._id = QueueId(number, self.name)
                self._additions = Additions(
                    self._id, self._database, self.transact, numbers=self._numbers, wakes=self.wakes
                )
                self.wakes.expect(due_ms)

    async def close(self) -> None:
        """Waits until what was added is kept; others may go on using it."""
        if self._additions is not None:
            await self._additions.settle()

    def watch(self, available: Callable[[], None], unavailable: Callable[[str], None]) -> Callable[[], None]:
        available()
        return lambda: None

    # Producers

    def add(self, job: NewJob, done: Done) -> None:
        if self._additions is None:
            error = StorageError(f"queue {self.name} is not open")
            asyncio.get_running_loop().call_soon(done, error)
        else:
            self._additions.add(job, done)

    # Workers

    async def consumer(self, options: ConsumerOptions) -> SqliteConsumer:
        """What a process before this one had in hand comes back first, and what another order has parked."""
        await self.open()
        signature = options.order.signature if options.order is not None else None
        if await self.transact(lambda transaction: _unpark(transaction, signature)):
            self.wakes.wake()
        await self.bring_back(options.max_stalled)
        return SqliteConsumer(self, options)

    async def bring_back(self, max_stalled: int) -> list[str]:
        """Jobs whose locks have expired, and those that are active and nobody's, come back; returns their ids."""
        expired = self.claims.take_expired()
        known = None if self.exchanges else self.claims.rows()
        rows = [held.row for held in expired.values()]
        try:
            ids = await self.transact(partial(_bring_back, expired=rows, known=known, max_stalled=max_stalled))
        except Exception:
            self.claims.put_back(expired)
            raise
        if ids:
            self.wakes.wake()
            text = f"{len(ids)} jobs of queue {self.name} wait again: whoever worked them has died or taken too long"
            self._events.emit(Notice(text, "warning"))
        return ids

    async def transact(self, function: Callable[[Transaction], T]) -> T:
        """What `function` returns, which runs in a transaction on the database's thread."""
        return await self._database.transact(self._prepared(function), timeout_s=TRANSACTION_TIMEOUT_S)

    async def _read(self, function: Callable[[Transaction], T]) -> T:
        return await self._database.read(self._prepared(function))

    def _prepared(self, function: Callable[[Transaction], T]) -> Callable[[sqlite3.Connection], T]:
        id_, now_ms = self._id, self.now_ms
        if id_ is None:
            raise StorageError(f"queue {self.name} is not open")
        return lambda connection: function(Transaction(connection, id_, now_ms, self._numbers))

    # Operators

    async def stats(self) -> Stats:
        return await self._read(partial(operating.stats, paused=self.paused))

    async def counts(self) -> Counts:
        return await self._read(operating.counts)

    async def jobs(self, states: Sequence[State], *, start: int = 0, limit: int = 100) -> list[Job]:
        return await self._read(lambda transaction: operating.page(transaction, states, start, limit))

    async def job(self, id: str) -> Job | None:
        row = await self._read(lambda transaction: transaction.find(hash_of(self.name, id)))
        return row.job if row is not None else None

    async def logs(self, id: str, *, start: int = 0, limit: int = 1000) -> list[str]:
        return await self._read(lambda transaction: operating.logs(transaction, id, start, limit))

    async def log(self, id: str, line: str) -> None:
        await self.transact(lambda transaction: operating.log(transaction, id, line))

    async def progress(self, id: str, progress: str) -> None:
        await self.transact(lambda transaction: operating.progress(transaction, id, progress))

    async def pause(self) -> None:
        before, self.paused = self.paused, True
        try:
            await self.transact(partial(_set_paused, paused=True))
        except Exception:
            self.paused = before
            raise

    async def resume(self) -> None:
        await self.transact(partial(_set_paused, paused=False))
        self.paused = False
        self.wakes.wake()

    async def retry(self, ids: Sequence[str] | None = None) -> int:
        return await self._in_pieces(operating.retry, ids)

    async def promote(self, ids: Sequence[str] | None = None) -> int:
        return await self._in_pieces(operating.promote, ids)

    async def remove(self, id: str) -> None:
        await self.transact(lambda transaction: operating.remove(transaction, id))
        self.wakes.wake()

    async def clear(self, states: Sequence[State]) -> int:
        if "active" in states:
            raise ValueError("active jobs cannot be cleared")
        return await self._until_none(lambda transaction, until: operating.clear(transaction, states, until))

    async def schedule(self, scheduler: Scheduler) -> None:
        schedule.check(scheduler)
        await self.transact(lambda transaction: schedule.put(transaction, scheduler))
        await self._look_at_delayed()

    async def unschedule(self, id: str) -> bool:
        return await self.transact(lambda transaction: schedule.remove(transaction, id))

    async def schedulers(self) -> list[Scheduler]:
        return await self._read(schedule.all_of)

    async def _in_pieces(
        self, move: Callable[[Transaction, Sequence[str] | None, int], int], ids: Sequence[str] | None
    ) -> int:
        if ids is not None:
            moved = await self.transact(lambda transaction: move(transaction, ids, 0))
            self.wakes.wake()
            return moved
        return await self._until_none(lambda transaction, until: move(transaction, None, until))

    async def _until_none(self, some: Callable[[Transaction, int], int]) -> int:
        """Piece by piece, as far as jobs were there at the beginning."""
        until, moved = self._numbers.take(), 0
        while count := await self.transact(lambda transaction: some(transaction, until)):
            moved += count
            self.wakes.wake()
        return moved

    async def _look_at_delayed(self) -> None:
        self.wakes.expect(await self._read(Transaction.next_due_ms))
        self.wakes.wake()


def _enter(connection: sqlite3.Connection, *, name: str) -> tuple[int, bool, int | None]:
    """The queue's number, whether it is paused, and when its next delayed job is due."""
    connection.execute("INSERT OR IGNORE INTO queues (name) VALUES (?)", (name,))
    number, paused = connection.execute("SELECT id, paused FROM queues WHERE name = ?", (name,)).fetchone()
    transaction = Transaction(connection, QueueId(number, name), 0, Numbers(0))
    _free_parked(transaction)
    return number, bool(paused), transaction.next_due_ms()


def _free_parked(transaction: Transaction) -> None:
    """Parked jobs whose key nobody holds wait as all others: there are none, unless somebody has edited the file."""
    transaction.run(
        "UPDATE queue_jobs SET state = (priority > 0), rank = priority WHERE queue = ? AND state = 2"
        " AND NOT EXISTS (SELECT 1 FROM queue_jobs o WHERE o.queue = queue_jobs.queue AND o.holds = 1"
        " AND o.key = queue_jobs.key)",
        transaction.queue,
    )


def _unpark(transaction: Transaction, signature: str | None) -> int:
    """What is parked by an order other than this one comes first, in the order in which it was; returns how many."""
    found = transaction.all(
        "SELECT row, key FROM queue_jobs WHERE queue = ? AND state = 2 ORDER BY place", transaction.queue
    )
    rows = [row for row, key in found if signature is None or not key.startswith(signature)]
    if not rows:
        return 0
    return transaction.run(
        """
        UPDATE queue_jobs SET state = (priority > 0), rank = priority, place = ? + v.key
        FROM json_each(?) AS v WHERE queue_jobs.row = v.value
        """,
        -transaction.numbers.take(len(rows)) - len(rows) + 1,
        transaction.pack(rows),
    )


def _set_paused(transaction: Transaction, *, paused: bool) -> None:
    transaction.run("UPDATE queues SET paused = ? WHERE id = ?", paused, transaction.queue)


def _bring_back(
    transaction: Transaction, *, expired: Sequence[int], known: set[int] | None, max_stalled: int
) -> list[str]:
    deduplication.forget_expired(transaction)
    rows = list(expired)
    if known is not None:
        active = transaction.all("SELECT row FROM queue_jobs WHERE queue = ? AND state = 4", transaction.queue)
        rows += [row for (row,) in active if row not in known]
    return finishing.stall(transaction, rows, max_stalled) if rows else []
