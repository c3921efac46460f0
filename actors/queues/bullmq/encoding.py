"""BullMQ's way to write options and jobs, to and from ours.

Options are JSON with a few short names; a job is a hash of texts. What others wrote is read as far as it makes sense:
a value of a wrong type counts as left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from actors.queues.job import Backoff, Deduplication, Job, JobOptions, Keep, State

SHORT: Final[Mapping[str, str]] = {
    "deduplication": "de",
    "failParentOnFailure": "fpof",
    "continueParentOnFailure": "cpof",
    "ignoreDependencyOnFailure": "idof",
    "removeDependencyOnFailure": "rdof",
    "keepLogs": "kl",
}
LONG: Final[Mapping[str, str]] = {short: long for long, short in SHORT.items()}

_OURS: Final = frozenset(
    ("priority", "delay", "attempts", "backoff", "lifo", "deduplication", "removeOnComplete", "removeOnFail", "jobId")
)
"""What `JobOptions` has fields for, and the id, which is the job's."""

_NO_OPTIONS: Final = JobOptions()


# Options


def encode_options(options: JobOptions) -> dict[str, Any]:
    """What the scripts are given, and Node reads: short names, and nothing that is as it is anyway."""
    encoded: dict[str, Any] = {SHORT.get(name, name): value for name, value in options.others.items()}
    encoded["attempts"] = options.attempts
    if options.delay_ms:
        encoded["delay"] = options.delay_ms
    if options.priority:
        encoded["priority"] = options.priority
    if options.lifo:
        encoded["lifo"] = True
    if options.backoff is not None:
        backoff = options.backoff
        encoded["backoff"] = {"type": backoff.kind, "delay": backoff.delay_ms}
        if backoff.jitter:
            encoded["backoff"]["jitter"] = backoff.jitter
    if options.deduplication is not None:
        encoded["de"] = _encode_deduplication(options.deduplication)
    if options.keep_completed is not None:
        encoded["removeOnComplete"] = _encode_keep(options.keep_completed)
    if options.keep_failed is not None:
        encoded["removeOnFail"] = _encode_keep(options.keep_failed)
    return encoded


def _encode_deduplication(deduplication: Deduplication) -> dict[str, Any]:
    encoded: dict[str, Any] = {"id": deduplication.id}
    if deduplication.ttl_ms is not None:
        encoded["ttl"] = deduplication.ttl_ms
    for name, is_set in (
        ("extend", deduplication.extend),
        ("replace", deduplication.replace),
        ("keepLastIfActive", deduplication.keep_last_if_active),
    ):
        if is_set:
            encoded[name] = True
    return encoded


def _encode_keep(keep: Keep) -> dict[str, int] | bool:
    """False: they all stay."""
    encoded = {}
    if keep.count is not None:
        encoded["count"] = keep.count
    if keep.age_s is not None:
        encoded["age"] = keep.age_s
    return encoded or False


def keep_jobs(keep: Keep) -> dict[str, int]:
    """What a script that finishes a job is told of those that stay."""
    encoded = {"count": -1 if keep.count is None else keep.count}
    if keep.age_s is not None:
        encoded["age"] = keep.age_s
        if keep.count is None:
            del encoded["count"]
    return encoded


@lru_cache(maxsize=1024)
def read_options(text: str) -> JobOptions:
    """Options as they stand in a job's hash."""
    if text == "{}":
        return _NO_OPTIONS
    try:
        found = json.loads(text)
    except ValueError:
        return _NO_OPTIONS
    if not isinstance(found, dict):
        return _NO_OPTIONS
    told = {LONG.get(name, name): value for name, value in found.items()}
    return JobOptions(
        priority=_whole(told.get("priority")) or 0,
        delay_ms=_whole(told.get("delay")) or 0,
        # BullMQ writes 0 where nobody said anything.
        attempts=max(1, _whole(told.get("attempts")) or 1),
        backoff=_read_backoff(told.get("backoff")),
        lifo=bool(told.get("lifo")),
        deduplication=_read_deduplication(told.get("deduplication")),
        keep_completed=_read_keep(told.get("removeOnComplete")),
        keep_failed=_read_keep(told.get("removeOnFail")),
        others={name: value for name, value in told.items() if name not in _OURS},
    )


def _read_backoff(value: object) -> Backoff | None:
    delay_ms = _whole(value)
    if delay_ms is not None:
        return Backoff("fixed", delay_ms)
    if not isinstance(value, dict):
        return None
    kind, jitter = value.get("type"), value.get("jitter")
    return Backoff(
        kind if isinstance(kind, str) else "fixed",
        _whole(value.get("delay")) or 0,
        min(max(float(jitter), 0.0), 1.0) if isinstance(jitter, int | float) else 0.0,
    )


def _read_deduplication(value: object) -> Deduplication | None:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        return None
    return Deduplication(
        value["id"],
        _whole(value.get("ttl")),
        bool(value.get("extend")),
        bool(value.get("replace")),
        bool(value.get("keepLastIfActive")),
    )


def _read_keep(value: object) -> Keep | None:
    if isinstance(value, bool):
        return Keep(count=0) if value else Keep()
    count = _whole(value)
    if isinstance(value, dict):
        count, age_s = _whole(value.get("count")), _whole(value.get("age"))
        return Keep(None if count is None or count < 0 else count, age_s)
    if count is None:
        return None
    return Keep() if count < 0 else Keep(count)


def _whole(value: object) -> int | None:
    """A number as Lua and JavaScript write them, which may have a point."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return int(value) if abs(value) < 2**63 else None


# Jobs


def read_job(id: str, fields: Mapping[str, str], state: State | None = None, parked: bool = False) -> Job:
    """A job's hash."""
    get = fields.get
    traces = get("stacktrace")
    return Job(
        id=id,
        name=get("name", ""),
        data=get("data", "null"),
        options=read_options(get("opts", "{}")),
        timestamp_ms=_number(get("timestamp")) or 0,
        envelope=get("pm"),
        state=state,
        attempts_made=_number(get("atm") or get("attemptsMade")) or 0,
        attempts_started=_number(get("ats")) or 0,
        stalled=_number(get("stc")) or 0,
        processed_ms=_number(get("processedOn")),
        finished_ms=_number(get("finishedOn")),
        failed_reason=get("failedReason"),
        stacktrace=_traces(traces) if traces else (),
        return_value=get("returnvalue"),
        progress=get("progress"),
        worker=get("pb"),
        key=get("pmk"),
        parked=parked,
        done=get("pmd"),
        doomed=get("defa"),
        scheduler=get("rjk"),
        parent=get("parentKey"),
    )


def read_row(id: str, row: list[str]) -> Job:
    """A job as HGETALL returns it: names and values in turn."""
    values = iter(row)
    fields = dict(zip(values, values, strict=True))
    if "data" not in fields:
        # Deleted, or evicted, by somebody who left its id where it was.
        fields.setdefault("defa", "the job's data is gone")
    return read_job(id, fields)


def _number(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        try:
            return _whole(float(text))
        except ValueError:
            return None


def _traces(text: str) -> tuple[str, ...]:
    try:
        traces = json.loads(text)
    except ValueError:
        return ()
    return tuple(trace for trace in traces if isinstance(trace, str)) if isinstance(traces, list) else ()
