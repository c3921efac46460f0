"""All that is known of one queue, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.text import Text

from router.cli.figures import count, plural, size, span
from router.cli.terminal import cut, printable
from router.cli.top.gauge import compact
from router.cli.top.queue_entry import QueueEntry
from router.cli.top.sample import Json

STATES: Final = ("waiting", "prioritized", "delayed", "active", "completed", "failed", "waiting-children")
ENDS: Final = ("completed", "failed", "retried", "released", "lost")
TERM: Final = 18
FIGURE: Final = 11
RATE: Final = 9
GAP: Final = 4

_BAD: Final = ("failed", "lost")


def queue_lines(entry: QueueEntry, jobs: Json | None, room: int) -> Iterator[Text]:
    """Everything below the headline, in `room` columns; `jobs` are those that come first."""
    view = entry.view
    yield Text.assemble(("of actors ", "dim"), printable(", ".join(map(str, view.get("actors", ())))))
    for note, style in entry.notes:
        yield Text(printable(note), style or "")
    yield Text()
    yield Text.assemble(("JOBS".ljust(TERM + FIGURE + GAP), "dim"), ("THIS ROUTER'S ACTORS", "dim"))
    here = [_risen("added", view.get("added"), entry.added_per_s)]
    here += [_risen(end, entry.ended(end), entry.sample.rate(entry.key, "finished", end)) for end in ENDS]
    here.append(_risen("spilled", view.get("spilled"), None))
    for state, beside in zip(STATES, here, strict=True):
        number = entry.jobs(state)
        left = _term(state.replace("-", " "), number, bad=state in _BAD)
        yield Text.assemble(left, " " * GAP, beside)
    yield Text()
    yield Text.assemble(("oldest".ljust(TERM), "dim"), span(entry.oldest_age_s))
    yield from _first_jobs(jobs, room)


def _term(name: str, number: int | None, *, bad: bool = False) -> Text:
    style = "dim" if not number else "red" if bad else ""
    return Text.assemble((name.ljust(TERM), "" if number else "dim"), (count(number).rjust(FIGURE), style))


def _risen(name: str, number: int | None, rate: float | None) -> Text:
    return Text.assemble(
        _term(name, number, bad=name in _BAD), (f"{compact(rate)}/s".rjust(RATE) if rate else " " * RATE, "dim")
    )


def _first_jobs(jobs: Json | None, room: int) -> Iterator[Text]:
    if jobs is None:
        return
    yield Text()
    if jobs.get("why"):
        yield Text(printable(str(jobs["why"])), "yellow")
        return
    found, total = jobs.get("jobs") or [], jobs.get("total") or 0
    told = plural(total, "job") if total == len(found) else f"the first {count(len(found))} of {plural(total, 'job')}"
    yield Text.assemble(("FIRST JOBS  ", "dim"), told if found else "none")
    for job in found:
        yield _job(job, room)
        if job.get("failed_reason"):
            yield Text(cut(printable(f"    {job['failed_reason']}"), room), "yellow")


def _job(job: Json, room: int) -> Text:
    state, due = str(job.get("state")), job.get("due_in_s")
    if job.get("parked"):
        state = "parked"
    elif due is not None:
        state = f"{state} for {span(due)}"
    tries = f"{job.get('attempts_made')}/{job.get('attempts')}"
    figures = (f"{span(job.get('age_s')):>7}", f"{tries:>5}", f"{size(job.get('size')):>6}")
    fixed = f"{cut(state, 18):<18}  {'  '.join(figures)}  "
    text = " ".join(printable(str(part)) for part in (job.get("id"), job.get("key"), job.get("preview")) if part)
    return Text.assemble((fixed, "dim"), cut(text, max(8, room - len(fixed))))
