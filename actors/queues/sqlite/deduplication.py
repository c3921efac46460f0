"""One job for a deduplication id at a time, on the database's thread: BullMQ's rules, mode by mode."""

from __future__ import annotations

from actors.queues.job import Deduplication, NewJob
from actors.queues.sqlite.record import Row, hash_of, pack_new, unpack_new
from actors.queues.sqlite.transaction import Transaction


def add(transaction: Transaction, job: NewJob, once: Deduplication) -> str:
    """Add a job unless another one has its deduplication id; returns the id of the one that has it from here on."""
    if transaction.find(hash_of(transaction.id.name, job.id)) is not None:
        return job.id
    winner = _winner(transaction, once.id)
    if winner is not None:
        id_, row, expires_ms = winner
        if once.replace and row is not None and _is_delayed(row):
            transaction.delete([row])
            keeps_its_time = not once.extend and once.ttl_ms is not None and not once.keep_last_if_active
            _hold(transaction, once, job.id, expires_ms if keeps_its_time else _expiry(transaction, once))
            transaction.add(job)
            return job.id
        if row is not None or expires_ms is not None:
            if once.keep_last_if_active and row is not None and row.job.state == "active":
                _hold(transaction, once, id_, None, pack_new(job))
            elif once.extend and once.ttl_ms and not once.replace:
                _extend(transaction, once)
            return id_
    _hold(transaction, once, job.id, _expiry(transaction, once))
    transaction.add(job)
    return job.id


def settle(transaction: Transaction, id: str, job_id: str) -> bool:
    """The job of this deduplication id has finished: the id is free, or its next one's, which is added.

    Returns whether there is one.
    """
    found = transaction.all(
        "SELECT job, expires_ms, next FROM queue_deduplications WHERE queue = ? AND id = ?", transaction.queue, id
    )
    for winner, expires_ms, waiting in found:
        if waiting is not None and winner == job_id:
            following = unpack_new(waiting)
            once = following.options.deduplication
            assert once is not None
            _hold(transaction, once, following.id, _expiry(transaction, once))
            transaction.add(following._replace(timestamp_ms=transaction.now_ms))
            return True
        if winner == job_id and (expires_ms is None or expires_ms <= transaction.now_ms):
            transaction.run("DELETE FROM queue_deduplications WHERE queue = ? AND id = ?", transaction.queue, id)
    return False


def forget_expired(transaction: Transaction) -> None:
    """Ids whose time is over and that nobody has asked for since."""
    transaction.run(
        "DELETE FROM queue_deduplications WHERE queue = ? AND expires_ms <= ?", transaction.queue, transaction.now_ms
    )


def _winner(transaction: Transaction, id: str) -> tuple[str, Row | None, int | None] | None:
    """Whose the id is, its row if the job is there, and until when."""
    for job_id, expires_ms in transaction.all(
        "SELECT job, expires_ms FROM queue_deduplications WHERE queue = ? AND id = ?", transaction.queue, id
    ):
        if expires_ms is None or expires_ms > transaction.now_ms:
            return job_id, transaction.find(hash_of(transaction.id.name, job_id)), expires_ms
    return None


def _is_delayed(row: Row) -> bool:
    return row.job.state == "delayed"


def _expiry(transaction: Transaction, once: Deduplication) -> int | None:
    """`keep_last_if_active` has no time: the id is kept as long as the job."""
    if once.ttl_ms and not once.keep_last_if_active:
        return transaction.now_ms + once.ttl_ms
    return None


def _hold(
    transaction: Transaction, once: Deduplication, job_id: str, expires_ms: int | None, following: str | None = None
) -> None:
    transaction.run(
        "INSERT OR REPLACE INTO queue_deduplications (queue, id, job, expires_ms, next) VALUES (?, ?, ?, ?, ?)",
        transaction.queue,
        once.id,
        job_id,
        expires_ms,
        following,
    )


def _extend(transaction: Transaction, once: Deduplication) -> None:
    transaction.run(
        "UPDATE queue_deduplications SET expires_ms = ? WHERE queue = ? AND id = ?",
        _expiry(transaction, once),
        transaction.queue,
        once.id,
    )
