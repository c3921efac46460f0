"""Job schedulers, on the database's thread: each has one job that waits, and makes the next one as that begins."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from actors.kit.schedule import Cron
from actors.queues.job import NewJob, Scheduler
from actors.queues.sqlite.record import pack_scheduler, unpack_scheduler
from actors.queues.sqlite.transaction import Transaction


def check(scheduler: Scheduler) -> None:
    """Raise `ValueError` where it could never be due."""
    if (scheduler.every_ms is None) == (scheduler.cron is None):
        raise ValueError("a scheduler has either every_ms or cron")
    if scheduler.every_ms is not None and scheduler.every_ms <= 0:
        raise ValueError("a scheduler's every_ms is more than 0")
    if scheduler.cron is not None:
        _cron(scheduler)


def put(transaction: Transaction, scheduler: Scheduler) -> None:
    """Let it make jobs, in place of the one of its id; at an unchanged pace it is due when that was."""
    before = _find(transaction, scheduler.id)
    now = transaction.now_ms
    shift = now % scheduler.every_ms if scheduler.every_ms is not None else 0
    next_ms = now if scheduler.every_ms is not None else _cron_after(scheduler, now)
    if before is not None:
        old, old_shift, pending = before
        if (old.every_ms, old.cron, old.zone) == (scheduler.every_ms, scheduler.cron, scheduler.zone):
            assert old.next_ms is not None
            shift, next_ms = old_shift, max(old.next_ms, next_ms if scheduler.every_ms is None else 0)
        _take_back(transaction, pending, "state <> 4")
    _put(transaction, scheduler, shift, next_ms)


def make_next(transaction: Transaction, row: int) -> None:
    """The job of this row begins: where a scheduler waits for that, it makes its next one."""
    found = transaction.all(
        "SELECT id, definition, next_ms, shift_ms FROM queue_schedulers WHERE queue = ? AND pending = ?",
        transaction.queue,
        row,
    )
    for id_, definition, next_ms, shift in found:
        scheduler = unpack_scheduler(id_, definition, next_ms)
        _put(transaction, scheduler, shift, _after(scheduler, next_ms, shift, transaction.now_ms))


def remove(transaction: Transaction, id: str) -> bool:
    found = _find(transaction, id)
    if found is None:
        return False
    transaction.run("DELETE FROM queue_schedulers WHERE queue = ? AND id = ?", transaction.queue, id)
    _take_back(transaction, found[2], "state = 3")
    return True


def all_of(transaction: Transaction) -> list[Scheduler]:
    return [
        unpack_scheduler(*fields)
        for fields in transaction.all(
            "SELECT id, definition, next_ms FROM queue_schedulers WHERE queue = ? ORDER BY id", transaction.queue
        )
    ]


def _find(transaction: Transaction, id: str) -> tuple[Scheduler, int, int] | None:
    """With its shift, and the row of the job that it has made last."""
    for definition, next_ms, shift, pending in transaction.all(
        "SELECT definition, next_ms, shift_ms, pending FROM queue_schedulers WHERE queue = ? AND id = ?",
        transaction.queue,
        id,
    ):
        return unpack_scheduler(id, definition, next_ms), shift, pending
    return None


def _put(transaction: Transaction, scheduler: Scheduler, shift: int, next_ms: int) -> None:
    options = replace(scheduler.options, delay_ms=max(0, next_ms - transaction.now_ms))
    id_ = f"repeat:{scheduler.id}:{next_ms}"
    row = transaction.add(
        NewJob(id_, scheduler.name, scheduler.data, transaction.now_ms, options), scheduler=scheduler.id
    )
    transaction.run(
        "INSERT OR REPLACE INTO queue_schedulers (queue, id, definition, shift_ms, next_ms, pending)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        transaction.queue,
        scheduler.id,
        pack_scheduler(scheduler),
        shift,
        next_ms,
        row,
    )


def _take_back(transaction: Transaction, row: int, condition: str) -> None:
    transaction.delete(transaction.rows(f"j.row = ? AND j.{condition} AND j.state <= 3", row))


def _after(scheduler: Scheduler, previous_ms: int, shift: int, now_ms: int) -> int:
    """When it is due behind `previous_ms`, what was missed left out, as BullMQ has it."""
    every = scheduler.every_ms
    if every is None:
        return _cron_after(scheduler, max(previous_ms, now_ms))
    following = previous_ms + every
    if following < now_ms:
        following = now_ms // every * every + shift
        if following <= now_ms:
            following += every
    return following


def _cron_after(scheduler: Scheduler, at_ms: int) -> int:
    return round(_cron(scheduler).after(at_ms / 1000) * 1000)


def _cron(scheduler: Scheduler) -> Cron:
    assert scheduler.cron is not None
    return Cron(scheduler.cron, ZoneInfo(scheduler.zone or "UTC"))
