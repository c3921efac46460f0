"""SQLite for an asyncio loop: one connection in one thread, one commit for all that arrives meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from actors.core.errors import StorageError
from actors.kit.database_writer import Batch, Call, Writer
from actors.kit.sqlite_file import copy_file, integrity_problems
from actors.kit.statement import Job, Parameters, Place, Several, Statement

T = TypeVar("T")
Done = Callable[[Exception | None], None]

LAZY_DELAY_S: Final = 0.05
LAZY_AT_ONCE: Final = 1_000
RETRY_DELAY_S: Final = 0.25
WATCH_S: Final = 0.002
YIELD_S: Final = 0.000_1


class Database:
    """A file, and the queue of statements in front of it. All methods belong to the loop's thread.

    `execute` never blocks: what is submitted in one turn of the loop, and while the commit before it runs, is
    committed together, and `done` is called on the loop after that commit (or with a `StorageError`). The
    order of submission is kept, but for what `Place` allows. A statement that is wrong fails alone; when the
    disk is full or fails, everything that waits fails, and the database goes on once it can write again.

    Lazy statements ride along with a later commit, or have one of their own after `lazy_delay_s`. A crash may
    lose the latest of them: they are for what may be lost, or done again.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: Sequence[str],
        max_pending: int = 100_000,
        lazy_delay_s: float = LAZY_DELAY_S,
        on_change: Callable[[StorageError | None], None] | None = None,
    ) -> None:
        """`schema[n]` is the script that brings a file of version n to n + 1.

        `on_change` is called on the loop with the error when commits begin to fail, and with None when they
        succeed again.
        """
        self.path = path
        self._schema = schema
        self._max_pending = max_pending
        self._lazy_delay_s = lazy_delay_s
        self._on_change = on_change
        self._loop: asyncio.AbstractEventLoop
        self._writer: Writer | None = None
        self._closed: asyncio.Future[None]
        self._first: list[Job] = []
        self._ordered: list[Job] = []
        self._ordered_waits = False
        self._scheduled = False
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._submitted = 0
        self._handed_over = 0
        self._seen: int | None = None
        self._refused_lazy = 0

    async def open(self, *, timeout_s: float = 60.0) -> None:
        """Open the file, migrating it where it is older; raises `StorageError`."""
        if self._writer is not None:
            raise StorageError(f"{self.path} is open already")
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._closed = self._loop.create_future()
        self._submitted = self._handed_over = 0
        self._seen = self._retry = None
        writer = Writer(
            self.path,
            self._schema,
            self._loop,
            opened=lambda error: _settle(opened, None, error),
            closed=self._thread_ended,
            changed=self._changed,
            retry=self._try_again_later,
        )
        writer.thread.start()
        try:
            async with asyncio.timeout(timeout_s):
                await opened
            self._writer = writer
        except TimeoutError:
            raise StorageError(f"{self.path} could not be opened within {timeout_s:g} s") from None
        finally:
            if self._writer is None:
                writer.submit(None)

    async def close(self, *, timeout_s: float = 10.0) -> None:
        """Commit what was submitted, lazy statements included, and close the file."""
        writer = self._writer
        if writer is None:
            return
        self._hand_over_all()
        self._writer = None
        if self._retry is not None:
            self._retry.cancel()
        writer.submit(None)
        try:
            async with asyncio.timeout(timeout_s):
                await self._closed
        except TimeoutError:
            raise StorageError(f"{self.path} could not be closed within {timeout_s:g} s") from None
        writer.thread.join(1.0)

    @property
    def pending(self) -> int:
        """Statements and calls submitted and not yet settled."""
        return self._submitted - self._writer.finished if self._writer is not None else 0

    @property
    def working(self) -> bool:
        """Open, and the last commit succeeded."""
        return self._writer is not None and self._writer.working

    @property
    def commits(self) -> int:
        return self._writer.commits if self._writer is not None else 0

    @property
    def lazy_lost(self) -> int:
        """Lazy statements given up since the start: each may mean a repeated message after a crash."""
        return self._refused_lazy + (self._writer.lazy_lost if self._writer is not None else 0)

    def execute(
        self, statement: Statement, parameters: Parameters, done: Done | None = None, *, lazy: bool = False
    ) -> None:
        """Run `statement` for one row."""
        writer = self._writer
        if writer is None or self._submitted - writer.finished >= self._max_pending:
            self._turn_away(done, lazy)
            return
        self._submitted += 1
        if lazy:
            self._ordered.append((statement, parameters, done, True))
            if self._lazy_timer is None:
                self._lazy_timer = self._loop.call_later(self._lazy_delay_s, self._hand_over_all)
            if len(self._ordered) < LAZY_AT_ONCE:
                return
            self._ordered_waits = True
        elif statement.place is Place.FIRST:
            # It overtakes lazy statements: they wait for their time, and go in fewer and larger steps.
            self._first.append((statement, parameters, done, False))
        else:
            self._ordered.append((statement, parameters, done, False))
            self._ordered_waits = True
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def execute_all(self, steps: Sequence[tuple[Statement, Parameters]], done: Done | None = None) -> None:
        """Run several statements that are kept together or not at all, in their order."""
        if self._writer is None or self.pending >= self._max_pending:
            self._turn_away(done, False)
            return
        self._submitted += 1
        self._ordered.append((Several(tuple(steps)), (), done, False))
        self._ordered_waits = True
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    async def read(self, function: Callable[[sqlite3.Connection], T], *, timeout_s: float = 30.0) -> T:
        """What `function` finds; it runs in the writer's thread, after everything submitted before.

        Writers wait meanwhile: read in pages.
        """
        return await self._call(function, False, timeout_s)

    async def transact(self, function: Callable[[sqlite3.Connection], T], *, timeout_s: float = 30.0) -> T:
        """Like `read`, in a transaction: committed before this returns, undone if `function` raises."""
        return await self._call(function, True, timeout_s)

    async def copy_to(self, path: Path, *, timeout_s: float = 600.0) -> None:
        """Write a compact copy of everything submitted so far; nothing is written meanwhile."""
        await self._call(lambda connection: copy_file(connection, path), False, timeout_s)

    async def integrity_problems(self, *, timeout_s: float = 600.0) -> list[str]:
        """What SQLite's `integrity_check` finds; nothing where the file is sound."""
        return await self._call(integrity_problems, False, timeout_s)

    async def _call(self, function: Callable[[sqlite3.Connection], T], transaction: bool, timeout_s: float) -> T:
        writer = self._writer
        if writer is None:
            raise StorageError(f"{self.path} is not open")
        self._hand_over_all()
        answer: asyncio.Future[T] = self._loop.create_future()
        self._submitted += 1
        self._submit(Call(function, transaction, partial(_settle, answer)), 1)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise StorageError(f"{self.path} did not answer within {timeout_s:g} s") from None

    def _hand_over(self) -> None:
        """After a turn of the loop: what was submitted goes to the thread; lazy statements may stay."""
        self._scheduled = False
        if self._ordered_waits:
            self._hand_over_all()
        elif self._first:
            batch, self._first = Batch(self._first, ()), []
            self._submit(batch, len(batch.first))

    def _hand_over_all(self) -> None:
        if self._lazy_timer is not None:
            self._lazy_timer.cancel()
            self._lazy_timer = None
        self._ordered_waits = False
        if self._first or self._ordered:
            batch = Batch(self._first, self._ordered)
            self._first, self._ordered = [], []
            self._submit(batch, len(batch.first) + len(batch.ordered))

    def _submit(self, item: Batch | Call, count: int) -> None:
        writer = self._writer
        if writer is None:
            # The thread has ended by itself, since this was submitted.
            for _, _, done, lazy in (*item.first, *item.ordered) if isinstance(item, Batch) else ():
                self._turn_away(done, lazy)
            return
        self._handed_over += count
        writer.submit(item)
        if self._seen is None:
            self._seen = writer.finished
            self._loop.call_later(WATCH_S, self._watch)

    def _watch(self) -> None:
        """Let the thread have the interpreter's lock when a busy loop keeps it from it.

        uvloop gives the lock away and takes it back at every turn, so that a thread that waits for it is
        woken too late each time, and never comes to demand it. Measured on two cores with another process on
        one of them: a commit waited up to 2 s, and with this at most 40 ms.
        """
        writer = self._writer
        if writer is None or writer.finished == self._handed_over:
            self._seen = None
            return
        if writer.finished == self._seen:
            time.sleep(YIELD_S)
        self._seen = writer.finished
        self._loop.call_later(WATCH_S, self._watch)

    def _turn_away(self, done: Done | None, lazy: bool) -> None:
        if lazy:
            self._refused_lazy += 1
        if done is not None:
            if self._writer is None:
                error = StorageError(f"{self.path} is not open")
            else:
                error = StorageError(f"{self._max_pending} statements wait for {self.path}", full=True)
            asyncio.get_running_loop().call_soon(done, error)

    def _thread_ended(self, error: StorageError | None) -> None:
        _settle(self._closed, None, None)
        self._writer = None
        if error is not None:
            self._changed(error)

    def _changed(self, error: StorageError | None) -> None:
        if self._on_change is not None:
            self._on_change(error)

    def _try_again_later(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(RETRY_DELAY_S, self._try_again)

    def _try_again(self) -> None:
        """Wake the thread, which has kept lazy statements or wants to know whether the disk works again."""
        self._retry = None
        if self._writer is not None:
            self._writer.submit(Batch((), ()))


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
