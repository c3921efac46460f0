"""How attempts end, on the database's thread: completed, failed, retried, released; and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from actors.queues.contract import Completed, ConsumerOptions, Failed, Finish, Released, Retried
from actors.queues.job import Job, Keep
from actors.queues.sqlite import schema
from actors.queues.sqlite.claiming import promote
from actors.queues.sqlite.deduplication import settle
from actors.queues.sqlite.transaction import Transaction

STALLED: Final = "job stalled more than allowable limit"
"""BullMQ's words."""
REMOVED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that ended, of a job that its consumer had."""

    row: int
    finish: Finish
    holds: bool
    """Whether others wait for its key."""


def finish(transaction: Transaction, ended: Sequence[Ended], options: ConsumerOptions) -> int:
    """In their order; returns how many jobs may be claimed now, those that were parked included."""
    released = [each for each in ended if isinstance(each.finish, Released)]
    freed = len(released)
    others = (each for each in ended if not isinstance(each.finish, Released))
    for _, run in groupby(others, _together):
        alike = list(run)
        if isinstance(alike[0].finish, Retried):
            freed += _retry(transaction, alike)
        else:
            freed += _end(transaction, alike, options)
    # Last, so that they come before what has been handed on: they are older.
    _release(transaction, released)
    return freed


def _together(ended: Ended) -> object:
    """What ends in one step where it is the same for ends in a row; those of deduplication ids go one by one."""
    if isinstance(ended.finish, Retried):
        return "retried"
    return "over" if ended.finish.job.options.deduplication is None else ended.row


def stall(transaction: Transaction, rows: Sequence[int], max_stalled: int) -> list[str]:
    """Jobs whose worker died come before all that wait; those that stalled too often must fail. Their ids."""
    found = transaction.rows(
        "j.state = 4 AND j.row IN (SELECT value FROM json_each(?)) ORDER BY j.place", transaction.pack(rows)
    )
    transaction.run(
        """
        UPDATE queue_jobs SET state = 0, rank = 0, place = ? + v.key, stalled = stalled + 1,
            doomed = CASE WHEN stalled + 1 > ? AND NOT scheduled THEN ? ELSE doomed END
        FROM json_each(?) AS v WHERE queue_jobs.row = v.value
        """,
        -transaction.numbers.take(len(found)) - len(found) + 1,
        max_stalled,
        STALLED,
        transaction.pack(each.row for each in found),
    )
    return [each.job.id for each in found]


def _release(transaction: Transaction, ended: Sequence[Ended]) -> None:
    if ended:
        transaction.run(
            """
            UPDATE queue_jobs SET state = (priority > 0), rank = priority, place = ? + v.key
            FROM json_each(?) AS v WHERE queue_jobs.row = v.value AND queue_jobs.state = 4
            """,
            -transaction.numbers.take(len(ended)) - len(ended) + 1,
            transaction.pack(each.row for each in ended),
        )


def _retry(transaction: Transaction, ended: Sequence[Ended]) -> int:
    """Those of no delay wait at once, behind what is due by now; a key that is held stays held."""
    at_once = sum(isinstance(each.finish, Retried) and each.finish.delay_ms <= 0 for each in ended)
    if at_once:
        promote(transaction)
    number = transaction.numbers.take(len(ended))
    changes: list[list[Any]] = []
    for place, each in enumerate(ended, number):
        retried = each.finish
        assert isinstance(retried, Retried)
        job = retried.job
        if retried.delay_ms > 0:
            state, rank = schema.DELAYED, transaction.now_ms + retried.delay_ms
        elif job.options.priority:
            state, rank = schema.PRIORITIZED, job.options.priority
        else:
            state, rank, place = schema.WAITING, 0, -place if job.options.lifo else place
        stack = _stacktrace(job, retried.stack)
        changes.append([each.row, state, rank, place, _text(retried.reason), stack, retried.done])
    transaction.run(
        """
        UPDATE queue_jobs SET state = v.value ->> 1, rank = v.value ->> 2, place = v.value ->> 3,
            failed_reason = v.value ->> 4, stacktrace = v.value ->> 5, done = coalesce(v.value ->> 6, done),
            attempts_made = attempts_made + 1
        FROM json_each(?) AS v WHERE queue_jobs.row = v.value ->> 0 AND queue_jobs.state = 4
        """,
        json.dumps(changes),
    )
    return at_once


def _end(transaction: Transaction, ended: Sequence[Ended], options: ConsumerOptions) -> int:
    """For good: deduplication ids and keys are free, or the next one's."""
    gone: list[int] = []
    changes: list[list[Any]] = []
    keeps: dict[tuple[int, Keep], None] = {}
    for each in ended:
        job = each.finish.job
        if isinstance(each.finish, Completed):
            keep = job.options.keep_completed or options.keep_completed
            value = None if each.finish.return_value == "null" else _text(each.finish.return_value)
            state, change = schema.COMPLETED, [each.row, schema.COMPLETED, value, None, None]
        else:
            assert isinstance(each.finish, Failed)
            keep = job.options.keep_failed or options.keep_failed
            stack = _stacktrace(job, each.finish.stack)
            state, change = schema.FAILED, [each.row, schema.FAILED, None, _text(each.finish.reason), stack]
        if keep.count == 0:
            gone.append(each.row)
        else:
            changes.append(change)
            if keep.count is not None or keep.age_s is not None:
                keeps[state, keep] = None
    if gone:
        transaction.run(
            "DELETE FROM queue_jobs WHERE state = 4 AND row IN (SELECT value FROM json_each(?))",
            transaction.pack(gone),
        )
    if changes:
        transaction.run(
            """
            UPDATE queue_jobs SET state = v.value ->> 1, rank = ?, place = ? + v.key, finished_ms = ?, holds = 0,
                attempts_made = attempts_made + 1, doomed = NULL, return_value = v.value ->> 2,
                failed_reason = coalesce(v.value ->> 3, failed_reason),
                stacktrace = coalesce(v.value ->> 4, stacktrace)
            FROM json_each(?) AS v WHERE queue_jobs.row = v.value ->> 0 AND queue_jobs.state = 4
            """,
            transaction.now_ms,
            transaction.numbers.take(len(changes)),
            transaction.now_ms,
            json.dumps(changes),
        )
    for state, keep in keeps:
        _keep(transaction, state, keep)
    following = 0
    for each in ended:
        if (once := each.finish.job.options.deduplication) is not None:
            following += settle(transaction, once.id, each.finish.job.id)
    return following + transaction.hand_over(
        [each.finish.job.key for each in ended if each.holds and each.finish.job.key is not None]
    )


def _keep(transaction: Transaction, state: int, keep: Keep) -> None:
    """Remove finished jobs that are too old or too many, the oldest first, a bounded number of them."""
    if keep.age_s is not None:
        transaction.run(
            "DELETE FROM queue_jobs WHERE row IN (SELECT row FROM queue_jobs"
            " WHERE queue = ? AND state = ? AND rank <= ? ORDER BY rank, place LIMIT ?)",
            transaction.queue,
            state,
            transaction.now_ms - keep.age_s * 1000,
            REMOVED_AT_ONCE,
        )
    if keep.count is not None:
        there: int = transaction.value(
            "SELECT jobs FROM queue_counts WHERE queue = ? AND state = ?", transaction.queue, state
        )
        if there > keep.count:
            transaction.run(
                "DELETE FROM queue_jobs WHERE row IN (SELECT row FROM queue_jobs"
                " WHERE queue = ? AND state = ? ORDER BY rank, place LIMIT ?)",
                transaction.queue,
                state,
                min(there - keep.count, REMOVED_AT_ONCE),
            )


def _stacktrace(job: Job, stack: str) -> str | None:
    """JSON of all its stacks, at most so many of the last ones as `stackTraceLimit` says."""
    stacks = [*job.stacktrace, _text(stack)] if stack else list(job.stacktrace)
    limit = job.options.others.get("stackTraceLimit")
    if isinstance(limit, int):
        stacks = stacks[-limit:] if limit > 0 else []
    return json.dumps(stacks) if stacks else None


def _text(text: str) -> str:
    """What SQLite takes as text from within JSON."""
    return text.replace("\0", "").encode(errors="replace").decode()
