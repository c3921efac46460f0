"""How jobs are claimed, on the database's thread: promotion of delayed ones, limiter, order by key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actors.queues.contract import Limiter
from actors.queues.job import Job
from actors.queues.sqlite.record import Row, job_of
from actors.queues.sqlite.schedule import make_next
from actors.queues.sqlite.transaction import Transaction

PROMOTED_AT_ONCE: Final = 1000
PARKED_AT_ONCE: Final = 500
PARKED_A_TURN: Final = 5_000
_FIELDS: Final = "\x1f"
_JOBS: Final = "\x1e"
"""JSON has neither of them but escaped, so that the payloads of many jobs can be one text."""

_LINE: Final = """
SELECT json_group_array(json_array(row, key, holds)) FROM (
    SELECT row, key, holds FROM queue_jobs WHERE queue = ? AND state <= 1 ORDER BY state, rank, place LIMIT ?
)
"""
_CLAIMED: Final = """
SELECT json_group_array(json_array(row, state, timestamp_ms, attempts_made, attempts_started, stalled, processed_ms,
        finished_ms, key, holds, worker, failed_reason, stacktrace, return_value, progress, done, doomed, rank,
        fixed, scheduled)),
    group_concat(coalesce(envelope, '') || char(31) || data, char(30))
FROM (
    SELECT j.*, p.fixed, p.envelope, p.data FROM {from_} CROSS JOIN queue_payloads AS p ON p.row = j.row
)
"""
_FIRST: Final = _CLAIMED.format(
    from_="(SELECT * FROM queue_jobs WHERE queue = ? AND state <= 1 ORDER BY state, rank, place LIMIT ?) AS j"
)
_THESE: Final = _CLAIMED.format(
    from_="json_each(?) AS v CROSS JOIN queue_jobs AS j ON j.row = v.value",
)
_ACTIVE: Final = """
UPDATE queue_jobs SET state = 4, rank = 0, place = ? + v.key, holds = coalesce(v.value ->> 1, holds),
    attempts_started = attempts_started + 1, processed_ms = ?, worker = ?
FROM json_each(?) AS v WHERE queue_jobs.row = v.value ->> 0
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a consumer asks for."""

    want: int
    worker: str
    limiter: Limiter | None = None
    signature: str | None = None
    """Of its order; None: it has none."""
    keys: Mapping[int, str] = field(default_factory=dict)
    """By rows: those of jobs that were found without."""


@dataclass(slots=True)
class Found:
    """What came of it."""

    rows: list[Row] = field(default_factory=list)
    unkeyed: list[Row] = field(default_factory=list)
    """Jobs whose keys have to be made before anything behind them is claimed."""
    limited_until_ms: int | None = None
    """Until then the limiter lets none begin."""
    more: bool = False
    """Whether it is worth asking again at once."""


def promote(transaction: Transaction) -> int:
    """Delayed jobs whose time has come wait, in the order of their times; returns how many."""
    return transaction.run(
        """
        UPDATE queue_jobs SET state = (priority > 0), rank = priority, place = ? + due.number
        FROM (
            SELECT row, row_number() OVER (ORDER BY rank, place) AS number FROM queue_jobs
            WHERE queue = ? AND state = 3 AND rank <= ? ORDER BY rank, place LIMIT ?
        ) AS due
        WHERE queue_jobs.row = due.row
        """,
        transaction.numbers.take(PROMOTED_AT_ONCE + 1),
        transaction.queue,
        transaction.now_ms,
        PROMOTED_AT_ONCE,
    )


def claim(transaction: Transaction, wanted: Claim) -> Found:
    found = Found()
    want, limiter = wanted.want, wanted.limiter
    if limiter is not None:
        until, begun = transaction.all("SELECT limited_until_ms, limited FROM queues WHERE id = ?", transaction.queue)[
            0
        ]
        if not transaction.now_ms < until <= transaction.now_ms + limiter.duration_ms:
            # Over, or of a clock or a limiter that was another one.
            until, begun = transaction.now_ms + limiter.duration_ms, 0
        if begun >= limiter.max:
            found.limited_until_ms = until
            return found
        want = min(want, limiter.max - begun)
    if wanted.signature is None:
        found.rows = _claim_first(transaction, wanted.worker, want)
    else:
        _claim_in_order(transaction, replace(wanted, want=want), wanted.signature, found)
    if limiter is not None and found.rows:
        begun += sum(1 for each in found.rows if each.job.doomed is None)
        transaction.run(
            "UPDATE queues SET limited_until_ms = ?, limited = ? WHERE id = ?", until, begun, transaction.queue
        )
        if begun >= limiter.max:
            found.limited_until_ms = until
    return found


def _claim_first(transaction: Transaction, worker: str, want: int) -> list[Row]:
    try:
        fields, rows = _read(transaction, _FIRST, transaction.queue, want)
    except sqlite3.DataError:
        # More than SQLite takes as one text.
        if want == 1:
            raise
        return _claim_first(transaction, worker, want // 2)
    if rows:
        _begin(transaction, worker, fields, [[each.row, None] for each in rows])
    return _begun(rows, worker, transaction.now_ms)


def _claim_in_order(transaction: Transaction, wanted: Claim, signature: str, found: Found) -> None:
    """Go along the line: what is free is claimed, what another one of its key holds up is parked."""
    parked, handed_over = 0, False
    step = wanted.want
    while len(found.rows) < wanted.want and parked < PARKED_A_TURN:
        line = json.loads(transaction.value(_LINE, transaction.queue, step))
        keys = {row: _key(row, key, signature, wanted.keys) for row, key, _ in line}
        held = _held(transaction, {key for key in keys.values() if key})
        free: list[int] = []
        owning: list[int] = []
        busy: list[int] = []
        renamed: dict[int, str] = {}
        unkeyed: list[int] = []
        for row, given, holds in line:
            key = keys[row]
            if key is None:
                unkeyed.append(row)
                continue
            if unkeyed:
                # Those behind it may be of its key.
                continue
            if len(found.rows) + len(free) + len(owning) == wanted.want:
                break
            own = bool(holds) and given == key
            if given != key:
                renamed[row] = key
            if key == signature:
                free.append(row)
            elif own or key not in held:
                held.add(key)
                owning.append(row)
            else:
                busy.append(row)
        handed_over |= _rename(transaction, renamed)
        _park(transaction, busy)
        parked += len(busy)
        owns = dict.fromkeys(free, False) | dict.fromkeys(owning, True)
        claimed = [row for row, _, _ in line if row in owns]
        if claimed:
            fields, rows = _read_these(transaction, claimed)
            _begin(transaction, wanted.worker, fields, [[row, int(owns[row])] for row in claimed])
            rows = [replace(each, holds=owns[each.row]) for each in rows]
            found.rows += _begun(rows, wanted.worker, transaction.now_ms)
        if unkeyed:
            found.unkeyed = _read_these(transaction, unkeyed)[1]
            return
        if len(line) < step:
            break
        step = PARKED_AT_ONCE
    found.more = handed_over or parked >= PARKED_A_TURN


def _key(row: int, given: str | None, signature: str, made: Mapping[int, str]) -> str | None:
    """With the signature; None where it has to be made first."""
    if given is not None and given.startswith(signature):
        return given
    key = made.get(row)
    return None if key is None else f"{signature}{key}"


def _held(transaction: Transaction, keys: set[str]) -> set[str]:
    if not keys:
        return set()
    return set(
        json.loads(
            transaction.value(
                "SELECT json_group_array(key) FROM queue_jobs WHERE queue = ? AND holds = 1"
                " AND key IN (SELECT value FROM json_each(?))",
                transaction.queue,
                transaction.pack(keys),
            )
        )
    )


def _rename(transaction: Transaction, keys: Mapping[int, str]) -> bool:
    """Give jobs their keys; one that another order let hold another key holds that no more.

    Returns whether others wait now for that.
    """
    if not keys:
        return False
    rows = transaction.pack(keys)
    before = json.loads(
        transaction.value(
            "SELECT json_group_array(key) FROM queue_jobs WHERE holds = 1 AND row IN (SELECT value FROM json_each(?))",
            rows,
        )
    )
    transaction.run(
        """
        UPDATE queue_jobs SET key = v.value ->> 1, holds = 0
        FROM json_each(?) AS v WHERE queue_jobs.row = v.value ->> 0
        """,
        transaction.pack(keys.items()),
    )
    return transaction.hand_over(before) > 0


def _park(transaction: Transaction, rows: Sequence[int]) -> None:
    if rows:
        transaction.run(
            """
            UPDATE queue_jobs SET state = 2, rank = 0, place = ? + v.key
            FROM json_each(?) AS v WHERE queue_jobs.row = v.value
            """,
            transaction.numbers.take(len(rows)),
            transaction.pack(rows),
        )


def _read_these(transaction: Transaction, rows: Sequence[int]) -> tuple[list[list[Any]], list[Row]]:
    try:
        return _read(transaction, _THESE, transaction.pack(rows))
    except sqlite3.DataError:
        if len(rows) == 1:
            raise
    half = len(rows) // 2
    first, second = _read_these(transaction, rows[:half]), _read_these(transaction, rows[half:])
    return first[0] + second[0], first[1] + second[1]


def _read(transaction: Transaction, sql: str, *parameters: object) -> tuple[list[list[Any]], list[Row]]:
    """Jobs with all they have, in one step; the last of their fields says whether a scheduler made them."""
    small, large = transaction.connection.execute(sql, parameters).fetchone()
    fields: list[list[Any]] = json.loads(small)
    if not fields:
        return fields, []
    texts = large.split(_JOBS)
    if len(texts) != len(fields) or large.count(_FIELDS) != len(fields):
        # Data that is not JSON after all.
        texts = [_text(transaction, each[0]) for each in fields]
    rows: list[Row] = []
    for each, text in zip(fields, texts, strict=True):
        envelope, _, data = text.partition(_FIELDS)
        rows.append(Row(each[0], job_of([*each[:-1], envelope or None, data]), bool(each[9])))
    return fields, rows


def _text(transaction: Transaction, row: int) -> str:
    envelope, data = transaction.all("SELECT envelope, data FROM queue_payloads WHERE row = ?", row)[0]
    return f"{envelope or ''}{_FIELDS}{data}"


def _begin(
    transaction: Transaction, worker: str, fields: Sequence[Sequence[Any]], holds: Sequence[Sequence[int | None]]
) -> None:
    """`holds` are the rows, in the order in which they begin, and whether each holds its key; None: as before."""
    transaction.run(_ACTIVE, transaction.numbers.take(len(holds)), transaction.now_ms, worker, transaction.pack(holds))
    for each in fields:
        if each[-1]:
            make_next(transaction, each[0])


def _begun(rows: Sequence[Row], worker: str, now_ms: int) -> list[Row]:
    return [replace(each, job=_active(each.job, worker, now_ms)) for each in rows]


def _active(job: Job, worker: str, now_ms: int) -> Job:
    return replace(
        job, state="active", attempts_started=job.attempts_started + 1, processed_ms=now_ms, worker=worker, parked=False
    )
