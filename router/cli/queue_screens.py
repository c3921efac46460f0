"""What `router queue` shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from router.cli.client import Json
from router.cli.figures import NOTHING, count, moment, span
from router.cli.table import Cell, Column, print_facts, print_note, print_table
from router.cli.terminal import print_data, printable, styled

_QUEUE_COLUMNS: Final = (
    Column("queue", least=14),
    Column("actors", least=10),
    Column("store", spare=7),
    Column("state"),
    Column("waiting", right=True),
    Column("prioritized", right=True, spare=2),
    Column("delayed", right=True, spare=3),
    Column("active", right=True),
    Column("completed", right=True, spare=6),
    Column("failed", right=True),
    Column("spilled", right=True, spare=1),
    Column("oldest", right=True),
    Column("in/s", right=True, spare=4),
    Column("done/s", right=True, spare=5),
)
_JOB_COLUMNS: Final = (
    Column("state"),
    Column("id", least=14),
    Column("name", least=8, spare=3),
    Column("key", least=8, spare=2),
    Column("age", right=True),
    Column("due", right=True),
    Column("tries", right=True, spare=1),
    Column("prio", right=True, spare=4),
    Column("stalled", right=True, spare=5),
    Column("message", least=20),
)
_RARE: Final = frozenset(("key", "due", "prio", "stalled", "prioritized", "spilled"))
"""Columns that are left out where nothing stands in them."""
_MOMENTS: Final = {"added_at": "added", "processed_at": "begun", "finished_at": "finished"}


def print_queues(queues: Sequence[Json]) -> None:
    """Print queues, a line each, and below them why stores do not answer."""
    if not queues:
        print("no actor that runs has a queue")
        return
    _print(_QUEUE_COLUMNS, [_queue_row(queue) for queue in queues])
    away = [queue for queue in queues if not queue.get("available")]
    if away:
        print()
    for queue in away:
        print_note(str(queue.get("name")), f"is not to be reached: {queue.get('unavailable_why')}", "yellow")


def show_queue(queue: Json) -> None:
    """Print one queue: everything that is known of it."""
    counts, finished = queue.get("counts") or {}, queue.get("finished") or {}
    parked, spilled = queue.get("parked") or 0, queue.get("spilled") or 0
    print_facts(
        [
            ("queue", str(queue.get("name"))),
            ("actors", ", ".join(map(str, queue.get("actors", ())))),
            ("store", str(queue.get("store"))),
            ("state", _state(queue).text if queue.get("available") else f"away: {queue.get('unavailable_why')}"),
            *((state, count(number)) for state, number in counts.items()),
            ("parked", f"{count(parked)} of those waiting, behind an earlier one of their key" if parked else ""),
            ("oldest", f"has waited for {_age(queue)}" if queue.get("oldest_age_s") is not None else ""),
            ("spilled", f"{count(spilled)}, kept here until the store is back" if spilled else ""),
            ("added here", _risen(queue.get("added"), queue.get("added_per_s"))),
            (
                "finished here",
                _risen(finished.get("completed", 0) + finished.get("failed", 0), queue.get("finished_per_s")),
            ),
            *((f"  {outcome}", count(number)) for outcome, number in finished.items() if number),
        ]
    )


def print_jobs(jobs: Sequence[Json]) -> None:
    """Print jobs, a line each; below them why those have failed that did."""
    _print(_JOB_COLUMNS, [_job_row(job) for job in jobs])
    reasons: dict[str, int] = {}
    for job in jobs:
        if reason := job.get("failed_reason"):
            reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        print(styled("\nlast errors", "dim", sys.stdout))
        for reason, times in sorted(reasons.items(), key=lambda each: -each[1]):
            print(f"{times:>4} × {printable(reason)}")


def show_job(job: Json) -> None:
    """Print a job whole."""
    print_facts(_job_facts(job))
    for name in ("stacktrace", "logs"):
        if lines := job.get(name):
            print(styled(f"\n{name}", "dim", sys.stdout))
            for line in lines:
                print(*map(printable, str(line).splitlines() or [""]), sep="\n")
    for name in ("progress", "return_value", "envelope"):
        if job.get(name) is not None:
            print(styled(f"\n{name.replace('_', ' ')}", "dim", sys.stdout))
            print_data(job[name])
    print(styled("\ndata", "dim", sys.stdout))
    print_data(job.get("data"))


def _print(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> None:
    """A table without the columns that are rarely used, where they are not."""
    texts = [[cell.text if isinstance(cell, Cell) else cell for cell in row] for row in rows]
    kept = [
        place
        for place, column in enumerate(columns)
        if column.title not in _RARE or any(row[place] not in ("0", NOTHING) for row in texts)
    ]
    print_table([columns[place] for place in kept], ([row[place] for place in kept] for row in rows))


def _queue_row(queue: Json) -> list[Cell | str]:
    counts = queue.get("counts") or {}
    states = ("waiting", "prioritized", "delayed", "active", "completed", "failed")
    waiting, prioritized, delayed, active, completed, failed = (count(counts.get(state)) for state in states)
    return [
        str(queue.get("name")),
        ", ".join(map(str, queue.get("actors", ()))),
        str(queue.get("store")),
        _state(queue),
        waiting,
        prioritized,
        delayed,
        active,
        completed,
        Cell(failed, "red" if counts.get("failed") else None),
        count(queue.get("spilled")),
        _age(queue),
        _per_s(queue.get("added_per_s")),
        _per_s(queue.get("finished_per_s")),
    ]


def _state(queue: Json) -> Cell:
    if not queue.get("available"):
        return Cell("away", "yellow")
    return Cell("paused", "yellow") if queue.get("paused") else Cell("open")


def _age(queue: Json) -> str:
    return span(queue.get("oldest_age_s"))


def _per_s(rate: float | None) -> str:
    return NOTHING if rate is None else f"{rate:,.0f}" if rate >= 9.95 or rate == 0 else f"{rate:.1f}"


def _risen(total: int | None, rate: float | None) -> str:
    return count(total) if rate is None else f"{count(total)}, {_per_s(rate)} a second lately"


def _job_row(job: Json) -> list[Cell | str]:
    state = str(job.get("state") or NOTHING)
    return [
        Cell(f"{state}, parked" if job.get("parked") else state, "red" if state == "failed" else None),
        str(job.get("id")),
        str(job.get("name")),
        str(job["key"]) if job.get("key") else NOTHING,
        span(job.get("age_s")),
        f"in {span(job['due_in_s'])}" if job.get("due_in_s") is not None else NOTHING,
        f"{job.get('attempts_made')}/{job.get('attempts')}",
        count(job.get("priority")),
        count(job.get("stalled")),
        str(job.get("preview") or ""),
    ]


def _job_facts(job: Json) -> Iterator[tuple[str, str]]:
    options = job.get("options") or {}
    yield "id", str(job.get("id"))
    yield "name", str(job.get("name"))
    yield "queue", str(job.get("queue"))
    yield "state", f"{job.get('state')}{', behind an earlier one of its key' if job.get('parked') else ''}"
    yield "key", str(job.get("key") or "")
    yield "due", f"in {span(job['due_in_s'])}" if job.get("due_in_s") is not None else ""
    for name, words in _MOMENTS.items():
        yield words, moment(job[name]) if job.get(name) is not None else ""
    yield "attempts", f"{job.get('attempts_made')} of {options.get('attempts')} made"
    yield "backoff", _backoff(options.get("backoff"))
    yield "priority", count(options["priority"]) if options.get("priority") else ""
    yield "delay", span(options["delay_ms"] / 1000) if options.get("delay_ms") else ""
    yield "deduplicated by", str((options.get("deduplication") or {}).get("id", ""))
    yield "keeps", _keeps(options)
    yield "other options", json.dumps(options["others"], ensure_ascii=False) if options.get("others") else ""
    yield "stalled", count(job["stalled"]) if job.get("stalled") else ""
    yield "worker", str(job.get("worker") or "")
    yield "scheduler", str(job.get("scheduler") or "")
    yield "parent", str(job.get("parent") or "")
    yield "error", str(job.get("failed_reason") or "")


def _backoff(backoff: Any) -> str:
    if not backoff:
        return ""
    jitter = f", up to {backoff['jitter']:.0%} shorter" if backoff.get("jitter") else ""
    return f"{backoff.get('type')}, {span(backoff.get('delay_ms', 0) / 1000)}{jitter}"


def _keeps(options: Json) -> str:
    told = []
    for state in ("completed", "failed"):
        keep = options.get(f"keep_{state}")
        if keep is not None:
            limits = [count(keep["count"])] if keep.get("count") is not None else []
            limits += [f"for {span(keep['age_s'])}"] if keep.get("age_s") is not None else []
            told.append(f"{state}: {' '.join(limits) or 'all'}")
    return "; ".join(told)
