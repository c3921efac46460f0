"""Queues and jobs as the API shows them: pure functions from what a store has to what JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from actors.queues.job import Backoff, Job, JobOptions, Keep, Stats
from actors.queues.order_key import shown_key
from router.control.queue_lookup import Found, Rate
from router.telemetry.queues import by_state
from router.telemetry.shown import Redaction, without_credentials

View = dict[str, Any]

READ_CHARACTERS: Final = 8 * 1024 * 1024
"""Of the payloads of a page that are read for their previews; those behind have none."""


def queue_view(queue: Found, stats: Stats | str, rate: Rate | None, *, wall: float) -> View:
    """One queue; `stats` says why where its store has not answered. `wall` in epoch seconds."""
    known = None if isinstance(stats, str) else stats
    oldest_ms = known.oldest_ms if known is not None else None
    return {
        "name": queue.name,
        "actors": list(queue.actors),
        "store": queue.store.kind,
        "available": known is not None,
        "unavailable_why": without_credentials(stats) if isinstance(stats, str) else "",
        "counts": by_state(known.counts) if known is not None else None,
        "parked": known.counts.parked if known is not None else None,
        "paused": known.paused if known is not None else None,
        "oldest_age_s": _age_s(oldest_ms, wall) if oldest_ms is not None else None,
        "spilled": queue.spilled,
        "added": queue.added,
        "finished": queue.finished,
        "added_per_s": rate.added if rate is not None else None,
        "finished_per_s": rate.finished if rate is not None else None,
    }


def job_lines(jobs: Iterable[Job], redaction: Redaction, *, wall: float) -> list[View]:
    """Jobs in a line each; a thread's work."""
    lines, left = [], READ_CHARACTERS
    for job in jobs:
        left -= len(job.data)
        preview = redaction.preview(read_json(job.data)) if left >= 0 else ""
        options = job.options
        lines.append(
            {
                **_facts(job, wall),
                "priority": options.priority,
                "delay_ms": options.delay_ms,
                "attempts": options.attempts,
                "preview": preview,
            }
        )
    return lines


def whole_job(queue: str, job: Job, logs: Sequence[str], redaction: Redaction, *, wall: float) -> View:
    """All of a job; a thread's work."""
    return {
        **_facts(job, wall),
        "queue": queue,
        "options": options_view(job.options, redaction),
        "added_at": job.timestamp_ms / 1000,
        "processed_at": _seconds(job.processed_ms),
        "finished_at": _seconds(job.finished_ms),
        "attempts_started": job.attempts_started,
        "stacktrace": [without_credentials(line) for line in job.stacktrace],
        "worker": job.worker,
        "scheduler": job.scheduler,
        "parent": job.parent,
        "progress": _masked(job.progress, redaction),
        "return_value": _masked(job.return_value, redaction),
        "envelope": _masked(job.envelope, redaction),
        "data": _masked(job.data, redaction),
        "logs": [without_credentials(line) for line in logs],
    }


def options_view(options: JobOptions, redaction: Redaction) -> View:
    """A job's options."""
    same = options.deduplication
    return {
        "priority": options.priority,
        "delay_ms": options.delay_ms,
        "attempts": options.attempts,
        "backoff": _backoff(options.backoff),
        "lifo": options.lifo,
        "deduplication": asdict(same) if same is not None else None,
        "keep_completed": _keep(options.keep_completed),
        "keep_failed": _keep(options.keep_failed),
        "others": redaction.plain(options.others),
    }


def read_json(text: str) -> Any:
    """What it says; the text itself where it is no JSON, since others write into queues as well."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _facts(job: Job, wall: float) -> View:
    reason = job.doomed or job.failed_reason
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "age_s": _age_s(job.timestamp_ms, wall),
        "due_in_s": max(0.0, job.due_ms / 1000 - wall) if job.due_ms is not None else None,
        "key": shown_key(job.key),
        "parked": job.parked,
        "attempts_made": job.attempts_made,
        "stalled": job.stalled,
        "size": len(job.data),
        "failed_reason": without_credentials(reason) if reason is not None else None,
    }


def _masked(text: str | None, redaction: Redaction) -> Any:
    return None if text is None else redaction.plain(read_json(text))


def _backoff(backoff: Backoff | None) -> View | None:
    if backoff is None:
        return None
    return {"type": backoff.kind, "delay_ms": backoff.delay_ms, "jitter": backoff.jitter}


def _keep(keep: Keep | None) -> View | None:
    return None if keep is None else {"count": keep.count, "age_s": keep.age_s}


def _age_s(since_ms: int, wall: float) -> float:
    return max(0.0, wall - since_ms / 1000)


def _seconds(epoch_ms: int | None) -> float | None:
    return None if epoch_ms is None else epoch_ms / 1000
