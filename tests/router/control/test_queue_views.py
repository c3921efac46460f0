"""What JSON says of a job."""

from typing import Any

import pytest

from actors.queues.job import Job, JobOptions
from actors.queues.order_key import signature_of
from router.control.queue_views import job_lines, whole_job
from router.telemetry.shown import Redaction

WALL: float = 1_700_000_000.0


def shown(job: Job) -> list[dict[str, Any]]:
    """Of a job its line, and the whole."""
    redaction = Redaction(())
    return [*job_lines([job], redaction, wall=WALL), whole_job("inbound", job, [], redaction, wall=WALL)]


def job(**more: Any) -> Job:
    return Job("pm-1", "message", "{}", JobOptions(), round(WALL * 1000) - 5000, **more)


def test_a_key_is_the_one_that_people_know() -> None:
    """The signature in front of it is the store's alone."""
    signature = signature_of("{data.to}")
    assert [view["key"] for view in shown(job(key=f"{signature}+593"))] == ["+593"] * 2
    assert [view["key"] for view in shown(job(key=signature))] == [None] * 2
    assert [view["key"] for view in shown(job())] == [None] * 2


@pytest.mark.parametrize(("due_ms", "due_in_s"), [(None, None), (3500, 3.5), (-10, 0.0)])
def test_a_delayed_job_is_due_in_some_time(due_ms: int | None, due_in_s: float | None) -> None:
    """At once where its time has come, and nobody has taken it yet."""
    due = None if due_ms is None else round(WALL * 1000) + due_ms
    assert [view["due_in_s"] for view in shown(job(due_ms=due))] == [due_in_s] * 2
