"""What is told of a job that is finished, as the script `turn` wants it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

import msgpack

from actors.connections.redis.wire import Argument
from actors.queues.bullmq.encoding import SHORT, keep_jobs
from actors.queues.contract import Completed, ConsumerOptions, Failed, Finish, Released, Retried
from actors.queues.job import Job, Keep

MOST_TRACES: Final = 50
"""Stacks that stay in a job, the last ones; a job can ask for fewer with `stackTraceLimit`."""

_OF_FLOWS: Final = (
    "failParentOnFailure",
    "continueParentOnFailure",
    "ignoreDependencyOnFailure",
    "removeDependencyOnFailure",
)


class Finishes:
    """Of one consumer."""

    def __init__(self, options: ConsumerOptions, token: str) -> None:
        self._options = options
        self._token = token

    def arguments(self, finish: Finish, since: int) -> tuple[Argument, ...]:
        """Eight of them; `since` is the turn that first told of it."""
        job = finish.job
        key, deduplication = job.key or "", job.options.deduplication
        # Whether one runs behind it is for that one to say.
        behind = "" if deduplication is None else deduplication.id
        match finish:
            case Completed():
                options = self._packed(job, job.options.keep_completed or self._options.keep_completed)
                return ("c", job.id, since, key, finish.return_value, options, "", behind)
            case Failed():
                options = self._packed(job, job.options.keep_failed or self._options.keep_failed)
                fields = _fields(job, finish.reason, finish.stack)
                return ("f", job.id, since, key, finish.reason, options, fields, behind)
            case Retried():
                push = "RPUSH" if job.options.lifo else "LPUSH"
                fields = _fields(job, finish.reason, finish.stack, finish.done)
                return ("r", job.id, since, key, max(0, finish.delay_ms), push, fields, "")
            case Released():
                return ("b", job.id, since, key, "", "", "", "")

    def _packed(self, job: Job, keep: Keep) -> bytes:
        options = job.options
        flows = tuple(bool(options.others.get(name)) for name in _OF_FLOWS) if options.others else ()
        return _options(self._token, self._options.lock_ms, self._options.name, keep, options.attempts, flows)


@lru_cache(maxsize=256)
def _options(token: str, lock_ms: int, name: str, keep: Keep, attempts: int, flows: tuple[bool, ...]) -> bytes:
    told: dict[str, Any] = {
        "token": token,
        "keepJobs": keep_jobs(keep),
        "lockDuration": lock_ms,
        "attempts": attempts,
        "maxMetricsSize": "",
        "name": name,
    }
    told |= {SHORT[long]: is_set for long, is_set in zip(_OF_FLOWS, flows or (False,) * len(_OF_FLOWS), strict=True)}
    packed: bytes = msgpack.packb(told)
    return packed


def _fields(job: Job, reason: str, stack: str, done: str | None = None) -> bytes:
    traces = [*job.stacktrace, stack] if stack else list(job.stacktrace)
    limit = job.options.others.get("stackTraceLimit")
    most = MOST_TRACES if not isinstance(limit, int) else min(max(limit, 0), MOST_TRACES)
    fields = ["failedReason", reason, "stacktrace", json.dumps(traces[-most:] if most else [], ensure_ascii=False)]
    if done is not None:
        fields += ["pmd", done]
    packed: bytes = msgpack.packb(fields)
    return packed
