"""A job as rows of the database, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final

from actors.kit.counted import parted
from actors.kit.statement import Parameters, Place, Statement
from actors.queues.job import Backoff, Deduplication, Job, JobOptions, Keep, NewJob, Scheduler, State
from actors.queues.sqlite import schema

ADD: Final = Statement(
    "INSERT INTO new_queue_jobs"
    " (row, queue, state, rank, place, hash, priority, timestamp_ms, scheduled, key, fixed, envelope, data) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    place=Place.FIRST,
)
"""With the parameters that `new_row` makes. All else that changes jobs is a call, which it does not overtake."""

COLUMNS: Final = (
    "j.row, j.state, j.timestamp_ms, j.attempts_made, j.attempts_started, j.stalled, j.processed_ms, j.finished_ms,"
    " j.key, j.holds, j.worker, j.failed_reason, j.stacktrace, j.return_value, j.progress, j.done, j.doomed,"
    " j.rank, p.fixed, p.envelope, p.data"
)
"""Of `queue_jobs j JOIN queue_payloads p`: what `job_of` reads."""

STATES: Final[dict[int, State]] = {
    schema.WAITING: "waiting",
    schema.PRIORITIZED: "prioritized",
    schema.PARKED: "waiting",
    schema.DELAYED: "delayed",
    schema.ACTIVE: "active",
    schema.COMPLETED: "completed",
    schema.FAILED: "failed",
}

Fields = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A job, and what is known of its row besides."""

    row: int
    job: Job
    holds: bool
    """Whether its key is its own, so that others of it are parked."""


_ALL_BITS: Final = (1 << 64) - 1
_SIGN_BIT: Final = 1 << 63


def hash_of(queue: str, id: str) -> int:
    """64 bits for a job's id: that two of them are the same does not happen by chance.

    Ids that count up lie side by side: the index of a million is written at one place, and not all over.
    """
    stem, number = parted(id)
    digest = hashlib.blake2b(f"{queue}\0{stem}".encode(errors="surrogatepass"), digest_size=8).digest()
    return ((int.from_bytes(digest, "big") + (number or 0)) & _ALL_BITS) - _SIGN_BIT


def new_row(
    queue: int,
    queue_name: str,
    number: int,
    job: NewJob,
    *,
    packed_options: str | None = None,
    scheduler: str | None = None,
) -> Parameters:
    """What `ADD` takes; `number` is the job's row, and its place behind all there are.

    `packed_options` is `json_of` its options, where that is known.
    """
    options = job.options
    place = number
    if options.delay_ms > 0:
        state, rank = schema.DELAYED, job.timestamp_ms + options.delay_ms
    elif options.priority > 0:
        state, rank = schema.PRIORITIZED, options.priority
    else:
        state, rank = schema.WAITING, 0
        place = -number if options.lifo else number
    return (
        number,
        queue,
        state,
        rank,
        place,
        hash_of(queue_name, job.id),
        options.priority,
        job.timestamp_ms,
        int(scheduler is not None),
        job.key,
        _pack_fixed(job.id, job.name, packed_options or json_of(options), scheduler),
        job.envelope,
        job.data,
    )


def row_of(fields: Fields) -> Row:
    """`fields` are `COLUMNS`."""
    return Row(int(fields[0]), job_of(fields), bool(fields[9]))


def job_of(fields: Fields) -> Job:
    """`fields` are `COLUMNS`."""
    (
        _,
        state,
        timestamp_ms,
        attempts_made,
        attempts_started,
        stalled,
        processed_ms,
        finished_ms,
        key,
        _,
        worker,
        failed_reason,
        stacktrace,
        return_value,
        progress,
        done,
        doomed,
        rank,
        fixed,
        envelope,
        data,
    ) = fields
    told = json.loads(fixed)
    packed = told.get("options")
    return Job(
        told["id"],
        told["name"],
        data,
        unpack_options(packed) if packed is not None else _NO_OPTIONS,
        timestamp_ms,
        envelope,
        STATES[state],
        attempts_made,
        attempts_started,
        stalled,
        processed_ms,
        finished_ms,
        failed_reason,
        tuple(json.loads(stacktrace)) if stacktrace else (),
        "null" if state == schema.COMPLETED and return_value is None else return_value,
        progress,
        rank if state == schema.DELAYED else None,
        worker,
        key,
        state == schema.PARKED,
        done,
        doomed,
        told.get("scheduler"),
    )


def pack_new(job: NewJob) -> str:
    """A job that is not in the queue yet."""
    told = [job.id, job.name, job.data, job.timestamp_ms, pack_options(job.options), job.envelope, job.key]
    return json.dumps(told)


def unpack_new(packed: str) -> NewJob:
    id_, name, data, timestamp_ms, options, envelope, key = json.loads(packed)
    return NewJob(id_, name, data, timestamp_ms, unpack_options(options), envelope, key)


def pack_scheduler(scheduler: Scheduler) -> str:
    return json.dumps(
        {
            "name": scheduler.name,
            "data": scheduler.data,
            "every_ms": scheduler.every_ms,
            "cron": scheduler.cron,
            "zone": scheduler.zone,
            "options": pack_options(scheduler.options),
        }
    )


def unpack_scheduler(id: str, packed: str, next_ms: int) -> Scheduler:
    told = json.loads(packed)
    return Scheduler(id=id, next_ms=next_ms, **{**told, "options": unpack_options(told["options"])})


def pack_options(options: JobOptions) -> dict[str, Any]:
    """What differs from the defaults."""
    packed: dict[str, Any] = {}
    for name in ("priority", "delay_ms", "attempts", "lifo"):
        value = getattr(options, name)
        if value != getattr(_NO_OPTIONS, name):
            packed[name] = value
    if (backoff := options.backoff) is not None:
        packed["backoff"] = [backoff.kind, backoff.delay_ms, backoff.jitter]
    if (once := options.deduplication) is not None:
        packed["deduplication"] = [once.id, once.ttl_ms, once.extend, once.replace, once.keep_last_if_active]
    if (keep := options.keep_completed) is not None:
        packed["keep_completed"] = [keep.count, keep.age_s]
    if (keep := options.keep_failed) is not None:
        packed["keep_failed"] = [keep.count, keep.age_s]
    if options.others:
        packed["others"] = dict(options.others)
    return packed


def unpack_options(packed: dict[str, Any]) -> JobOptions:
    options = JobOptions(**{name: value for name, value in packed.items() if name not in _PARTS})
    parts = {name: kind(*packed[name]) for name, kind in _PARTS.items() if name in packed}
    return replace(options, **parts) if parts else options


def json_of(options: JobOptions) -> str:
    """What differs from the defaults, as `new_row` takes it: worth keeping where many jobs have the same."""
    return json.dumps(pack_options(options)) if options is not _NO_OPTIONS else _NOTHING


def _pack_fixed(id_: str, name: str, packed_options: str, scheduler: str | None) -> str:
    packed = f'{{"id": {_quoted(id_)}, "name": {_quoted(name)}'
    if packed_options != _NOTHING:
        packed += f', "options": {packed_options}'
    if scheduler is not None:
        packed += f', "scheduler": {_quoted(scheduler)}'
    return packed + "}"


_NOTHING: Final = "{}"
_NO_OPTIONS: Final = JobOptions()
_PARTS: Final[dict[str, Any]] = {
    "backoff": Backoff,
    "deduplication": Deduplication,
    "keep_completed": Keep,
    "keep_failed": Keep,
}
