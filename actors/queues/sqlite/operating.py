"""What operators see and do, on the database's thread."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from actors.queues.contract import JobNotFoundError
from actors.queues.job import Counts, Job, State, Stats
from actors.queues.sqlite import schema
from actors.queues.sqlite.record import Row, hash_of
from actors.queues.sqlite.transaction import Transaction

_STATES: Final[dict[State, tuple[int, ...]]] = {
    "waiting": (schema.WAITING, schema.PARKED),
    "prioritized": (schema.PRIORITIZED,),
    "delayed": (schema.DELAYED,),
    "active": (schema.ACTIVE,),
    "completed": (schema.COMPLETED,),
    "failed": (schema.FAILED,),
    "waiting-children": (),
}
_FINISHED: Final = (schema.COMPLETED, schema.FAILED)
_AT_ONCE: Final = 1000
"""So many jobs are moved or deleted in one transaction: others wait meanwhile."""
_RANKS_LOOKED_AT: Final = 64

_OLDEST: Final = f"""
WITH RECURSIVE ranks (state, rank, n) AS (
    VALUES (0, 0, 0), (2, 0, 0), (1, 1, 1)
    UNION ALL
    SELECT 1, (
        SELECT next.rank FROM queue_jobs AS next
        WHERE next.queue = ?1 AND next.state = 1 AND next.rank > ranks.rank ORDER BY next.rank LIMIT 1
    ), n + 1
    FROM ranks WHERE ranks.state = 1 AND ranks.rank IS NOT NULL AND n < {_RANKS_LOOKED_AT}
)
SELECT min(first), min(arrived) FROM (
    SELECT (
        SELECT timestamp_ms FROM queue_jobs j WHERE j.queue = ?1 AND j.state = ranks.state AND j.rank = ranks.rank
        ORDER BY place LIMIT 1
    ) AS first, (
        SELECT timestamp_ms FROM queue_jobs j WHERE j.queue = ?1 AND j.state = ranks.state AND j.rank = ranks.rank
        AND place > 0 ORDER BY place LIMIT 1
    ) AS arrived FROM ranks
)
"""
"""The first of each priority, and the first of those that did not come in front: a look at all would take long."""


def counts(transaction: Transaction) -> Counts:
    found = dict(transaction.all("SELECT state, jobs FROM queue_counts WHERE queue = ?", transaction.queue))
    parked = found.get(schema.PARKED, 0)
    return Counts(
        waiting=found.get(schema.WAITING, 0) + parked,
        prioritized=found.get(schema.PRIORITIZED, 0),
        delayed=found.get(schema.DELAYED, 0),
        active=found.get(schema.ACTIVE, 0),
        completed=found.get(schema.COMPLETED, 0),
        failed=found.get(schema.FAILED, 0),
        parked=parked,
    )


def stats(transaction: Transaction, *, paused: bool) -> Stats:
    oldest = [time for time in transaction.all(_OLDEST, transaction.queue)[0] if time is not None]
    return Stats(counts(transaction), paused, min(oldest, default=None))


def page(transaction: Transaction, states: Sequence[State], start: int, limit: int) -> list[Job]:
    """The states one behind the other, as they are given."""
    there = dict(transaction.all("SELECT state, jobs FROM queue_counts WHERE queue = ?", transaction.queue))
    found: list[Row] = []
    for state in (number for each in dict.fromkeys(states) for number in _STATES[each]):
        if len(found) >= limit:
            break
        count = there.get(state, 0)
        if start >= count:
            start -= count
            continue
        direction = "DESC" if state in _FINISHED else "ASC"
        found += transaction.rows(
            f"j.queue = ? AND j.state = ? ORDER BY j.rank {direction}, j.place {direction} LIMIT ? OFFSET ?",
            transaction.queue,
            state,
            limit - len(found),
            start,
        )
        start = 0
    return [each.job for each in found]


def retry(transaction: Transaction, ids: Sequence[str] | None, until: int) -> int:
    """Failed jobs wait again: these, or a number of those that failed before `until`; returns how many.

    What they have done they still know.
    """
    rows = _of_state(transaction, schema.FAILED, ids, until)
    transaction.run(
        "UPDATE queue_jobs SET attempts_made = 0, attempts_started = 0, stalled = 0, processed_ms = NULL,"
        " finished_ms = NULL, failed_reason = NULL WHERE row IN (SELECT value FROM json_each(?))",
        transaction.pack(rows),
    )
    transaction.line_up(rows, lifo=True)
    return len(rows)


def promote(transaction: Transaction, ids: Sequence[str] | None, until: int) -> int:
    """Delayed jobs wait now: these, or a number of those that were added before `until`; returns how many."""
    rows = _of_state(transaction, schema.DELAYED, ids, until)
    transaction.line_up(rows)
    return len(rows)


def remove(transaction: Transaction, id: str) -> None:
    found = transaction.find(hash_of(transaction.id.name, id))
    if found is None:
        raise JobNotFoundError(f"queue {transaction.id.name} has no job {id}")
    if found.job.state == "active":
        raise JobNotFoundError(f"job {id} of queue {transaction.id.name} is active")
    if found.row in _pending(transaction):
        raise JobNotFoundError(f"job {id} of queue {transaction.id.name} is its scheduler's, which makes it again")
    transaction.delete([found])


def clear(transaction: Transaction, states: Collection[State], until: int) -> int:
    """Delete a number of the jobs of these states that were there before `until`; returns how many."""
    pending = transaction.pack(_pending(transaction))
    # Parked ones first: those that are deleted hand nothing on to them.
    for state in (number for each in states for number in reversed(_STATES[each])):
        rows = transaction.rows(
            "j.queue = ? AND j.state = ? AND j.row < ? AND j.row NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
            transaction.queue,
            state,
            until,
            pending,
            _AT_ONCE,
        )
        if rows:
            transaction.delete(rows)
            return len(rows)
    return 0


def logs(transaction: Transaction, id: str, start: int, limit: int) -> list[str]:
    lines = transaction.all(
        "SELECT line FROM queue_logs WHERE row = (SELECT row FROM queue_ids WHERE hash = ?)"
        " ORDER BY number LIMIT ? OFFSET ?",
        hash_of(transaction.id.name, id),
        limit,
        start,
    )
    return [line for (line,) in lines]


def log(transaction: Transaction, id: str, line: str) -> None:
    """`keepLogs` of the job says how many of the last lines are kept."""
    found = _known(transaction, id)
    number = transaction.value("SELECT coalesce(max(number) + 1, 0) FROM queue_logs WHERE row = ?", found.row)
    transaction.run("INSERT INTO queue_logs (row, number, line) VALUES (?, ?, ?)", found.row, number, line)
    kept = found.job.options.others.get("keepLogs")
    if isinstance(kept, int):
        transaction.run("DELETE FROM queue_logs WHERE row = ? AND number <= ?", found.row, number - kept)


def progress(transaction: Transaction, id: str, progress: str) -> None:
    transaction.run("UPDATE queue_jobs SET progress = ? WHERE row = ?", progress, _known(transaction, id).row)


def _known(transaction: Transaction, id: str) -> Row:
    found = transaction.find(hash_of(transaction.id.name, id))
    if found is None:
        raise JobNotFoundError(f"queue {transaction.id.name} has no job {id}")
    return found


def _of_state(transaction: Transaction, state: int, ids: Sequence[str] | None, until: int) -> list[int]:
    if ids is None:
        found = transaction.all(
            "SELECT row FROM queue_jobs WHERE queue = ? AND state = ? AND place < ? ORDER BY rank, place LIMIT ?",
            transaction.queue,
            state,
            until,
            _AT_ONCE,
        )
        return [row for (row,) in found]
    rows: dict[int, None] = {}
    for id in ids:
        row = transaction.value(
            "SELECT row FROM queue_jobs WHERE state = ? AND row = (SELECT row FROM queue_ids WHERE hash = ?)",
            state,
            hash_of(transaction.id.name, id),
        )
        if row is None:
            name = "failed" if state == schema.FAILED else "delayed"
            raise JobNotFoundError(f"queue {transaction.id.name} has no {name} job {id}")
        rows[row] = None
    return list(rows)


def _pending(transaction: Transaction) -> list[int]:
    """The jobs that schedulers wait for."""
    found = transaction.all("SELECT pending FROM queue_schedulers WHERE queue = ?", transaction.queue)
    return [row for (row,) in found]
