"""The thread that owns a database's connection: commits batch by batch, and tells the loop once a batch."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from actors.core.errors import StorageError
from actors.kit.disk_space import DiskSpace
from actors.kit.outbox import Outbox
from actors.kit.sqlite_file import is_storage_failure, open_file, storage_error
from actors.kit.statement import Job, Place, Several, Statement, plan

JOBS_A_COMMIT: Final = 4_000
"""Batches that piled up are joined into one commit up to about so many statements."""
JOBS_WHEN_SHORT: Final = 32
LAZY_KEPT: Final = 20_000
"""Lazy statements kept for another try when they could not be committed; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Statements of one turn of the loop; `first` holds the eager ones that may run before all others."""

    first: Sequence[Job]
    ordered: Sequence[Job]


@dataclass(frozen=True, slots=True)
class Call:
    """A function to run on the connection, in a transaction of its own or without one."""

    function: Callable[[sqlite3.Connection], Any]
    transaction: bool
    done: Callable[[Any, Exception | None], None]


class Writer:
    """Runs on its own thread; what the loop may touch is `submit`, `stop` and the counters."""

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        loop: asyncio.AbstractEventLoop,
        *,
        opened: Callable[[Exception | None], None],
        closed: Callable[[StorageError | None], None],
        changed: Callable[[StorageError | None], None],
        retry: Callable[[], None],
    ) -> None:
        self._path = path
        self._schema = schema
        self._loop = loop
        self._opened = opened
        self._closed = closed
        self._changed = changed
        self._retry = retry
        self._space: DiskSpace
        self._inbox: SimpleQueue[Batch | Call | None] = SimpleQueue()
        self._outbox = Outbox(loop)
        self._kept: list[Job] = []
        self.finished = 0
        """Calls answered, and statements that are committed, failed or kept for another try."""
        self.commits = 0
        self.lazy_lost = 0
        """Lazy statements given up."""
        self.working = True
        """Whether the last commit succeeded."""
        self._failed_lately = False
        self.thread = threading.Thread(target=self._run, name=f"database {path.name}", daemon=True)

    # On the loop

    def submit(self, item: Batch | Call | None) -> None:
        """Hand over a batch or a call; None commits what is left, checkpoints and ends the thread."""
        self._inbox.put(item)

    def _tell(self, jobs: Sequence[Job], error: Exception | None) -> None:
        for _, _, done, _ in jobs:
            if done is not None:
                try:
                    done(error)
                except Exception as problem:
                    self._loop.call_exception_handler(
                        {"message": "a callback of the database raised", "exception": problem}
                    )

    # On the thread

    def _run(self) -> None:
        try:
            connection = open_file(self._path, self._schema)
            self._space = DiskSpace(self._path)
            connection.execute(f"PRAGMA wal_autocheckpoint = {self._space.log_pages}").fetchone()
        except Exception as error:
            self._outbox.send(partial(self._opened, error))
            return
        self._outbox.send(partial(self._opened, None))
        problem: StorageError | None = None
        try:
            while self._turn(connection):
                # Here, after they were told, nobody waits for it.
                self._space.check(connection)
            connection.close()
        except Exception as error:
            problem = storage_error(error, f"the thread of {self._path} ended")
        self._outbox.send(partial(self._closed, problem))

    def _turn(self, connection: sqlite3.Connection) -> bool:
        item: Batch | Call | None = self._inbox.get()
        first: list[Job] = []
        ordered: list[Job] = []
        while isinstance(item, Batch):
            first += item.first
            ordered += item.ordered
            if len(first) + len(ordered) >= JOBS_A_COMMIT:
                break
            try:
                item = self._inbox.get_nowait()
            except Empty:
                break
        kept, self._kept = self._kept, []
        jobs = [*first, *kept, *ordered]
        if self._space.is_short:
            self._space.check(connection)
            jobs = self._without_new_rows(jobs)
        failure: Exception | None = None
        for piece in self._pieces(jobs):
            if failure is not None:
                # What was kept must not be overtaken by what came after it.
                self._refuse(connection, piece, failure)
            else:
                failure = self._commit(connection, piece)
        if not jobs and not self.working:
            self._probe(connection)
        if self._kept or not self.working:
            self._outbox.send(self._retry)
        self.finished += len(first) + len(ordered)
        if isinstance(item, Call):
            self._call(connection, item)
            self.finished += 1
        if item is None:
            self._finish(connection)
        return item is not None

    def _commit(self, connection: sqlite3.Connection, jobs: list[Job]) -> Exception | None:
        """Returns why the file could not be written; who waits is told in any case."""
        try:
            _run_together(connection, jobs)
        except Exception as error:
            _roll_back(connection)
            if not is_storage_failure(error):
                return self._commit_singly(connection, jobs)
            self._refuse(connection, jobs, error)
            return error
        self._committed()
        self._outbox.send(partial(self._tell, jobs, None))
        return None

    def _committed(self) -> None:
        self.commits += 1
        if not self.working and not self._space.is_short:
            self.working = True
            self._outbox.send(partial(self._changed, None))

    def _pieces(self, jobs: list[Job]) -> list[list[Job]]:
        """What to commit at once: where room is short, so little that the log stays short."""
        size = JOBS_WHEN_SHORT if self._space.is_short else max(1, len(jobs))
        return [jobs[start : start + size] for start in range(0, len(jobs), size)]

    def _fails(self, error: StorageError) -> None:
        self._failed_lately = True
        if self.working:
            self.working = False
            self._outbox.send(partial(self._changed, error))

    def _probe(self, connection: sqlite3.Connection) -> None:
        """See whether the disk works again when nobody writes; it writes what is there already."""
        if self._failed_lately:
            self._failed_lately = False
            return
        try:
            connection.execute(f"PRAGMA user_version = {len(self._schema)}").fetchone()
        except sqlite3.Error:
            _roll_back(connection)
        else:
            self._committed()

    def _without_new_rows(self, jobs: list[Job]) -> list[Job]:
        """Refuse what adds rows while there is little room: what changes or deletes them must go on."""
        if not self._space.is_short:
            return jobs
        refused = [job for job in jobs if not job[3] and _adds_a_row(job[0])]
        if refused:
            refusal = StorageError(f"the disk of {self._path} is nearly full", full=True)
            self._fails(refusal)
            self._outbox.send(partial(self._tell, refused, refusal))
        return [job for job in jobs if job[3] or not _adds_a_row(job[0])]

    def _commit_singly(self, connection: sqlite3.Connection, jobs: list[Job]) -> Exception | None:
        """Keep what can be kept of a batch in which some statement is wrong."""
        outcomes: list[tuple[list[Job], Exception | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                outcomes.append(([job], _run_singly(connection, job)))
            connection.execute("COMMIT")
        except Exception as error:
            _roll_back(connection)
            self._refuse(connection, jobs, error)
            return error
        self._committed()
        for single, problem in outcomes:
            self._outbox.send(partial(self._tell, single, problem))
            self.lazy_lost += problem is not None and single[0][3]
        return None

    def _refuse(self, connection: sqlite3.Connection, jobs: list[Job], error: Exception) -> None:
        """Fail whoever waits. Lazy statements are mostly deletions, which make room: they get another try."""
        refusal = storage_error(error, f"{self._path} cannot be written")
        self._fails(refusal)
        eager = [job for job in jobs if not job[3]]
        lazy = [job for job in jobs if job[3]]
        self._outbox.send(partial(self._tell, eager, refusal))
        if eager and not self._kept:
            lazy = self._make_room(connection, lazy)
        kept = self._kept + lazy
        lost, self._kept = kept[:-LAZY_KEPT], kept[-LAZY_KEPT:]
        self.lazy_lost += len(lost)
        self._outbox.send(partial(self._tell, lost, refusal))

    def _make_room(self, connection: sqlite3.Connection, lazy: list[Job]) -> list[Job]:
        """Commit lazy statements alone, a few at a time; returns those that could not be."""
        while lazy:
            piece = lazy[:JOBS_WHEN_SHORT]
            try:
                # Makes the write-ahead log start anew, so that it need not grow.
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
                _run_together(connection, piece)
            except Exception:
                _roll_back(connection)
                break
            self._outbox.send(partial(self._tell, piece, None))
            lazy = lazy[JOBS_WHEN_SHORT:]
        return lazy

    def _call(self, connection: sqlite3.Connection, call: Call) -> None:
        result: Any = None
        problem: Exception | None = None
        try:
            if call.transaction:
                connection.execute("BEGIN IMMEDIATE")
            result = call.function(connection)
            if call.transaction:
                connection.execute("COMMIT")
        except Exception as error:
            problem = storage_error(error, f"{self._path}") if isinstance(error, sqlite3.Error) else error
        _roll_back(connection)
        self._outbox.send(partial(call.done, result, problem))

    def _finish(self, connection: sqlite3.Connection) -> None:
        self.lazy_lost += len(self._kept)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            # Nothing is lost: the log is read at the next start.
            self._outbox.send(partial(self._changed, storage_error(error, f"{self._path} cannot be checkpointed")))


def _run_together(connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
    steps = plan(jobs)
    if len(steps) == 1 and len(steps[0][1]) == 1:
        # A step is a transaction by itself, and gives the interpreter's lock away fewer times.
        connection.executemany(*steps[0])
        return
    connection.execute("BEGIN IMMEDIATE")
    for sql, rows in steps:
        connection.executemany(sql, rows)
    connection.execute("COMMIT")


def _run_singly(connection: sqlite3.Connection, job: Job) -> Exception | None:
    connection.execute("SAVEPOINT job")
    try:
        for sql, rows in plan((job,)):
            connection.executemany(sql, rows)
    except Exception as error:
        if is_storage_failure(error):
            raise
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return storage_error(error, "the statement cannot be run")
    connection.execute("RELEASE job")
    return None


def _adds_a_row(work: Statement | Several) -> bool:
    if isinstance(work, Several):
        return any(statement.place is Place.FIRST for statement, _ in work.steps)
    return work.place is Place.FIRST


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        # SQLite rolls back by itself when the file fails; what is left shows at the next BEGIN.
        return
