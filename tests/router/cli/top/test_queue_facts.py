"""A queue on a screen of its own, as text."""

from typing import Any

from router.cli.top.queue_facts import queue_lines
from router.cli.top.sample import Json
from tests.router.cli.top.readings import away, queue, queue_entries


def text(view: Json, jobs: Json | None = None, room: int = 100) -> str:
    (entry,) = queue_entries(view)
    return "\n".join(line.plain.rstrip() for line in queue_lines(entry, jobs, room))


def job(**more: Any) -> Json:
    return {
        "id": "pm-1",
        "state": "waiting",
        "age_s": 12.0,
        "due_in_s": None,
        "key": None,
        "parked": False,
        "attempts_made": 0,
        "attempts": 5,
        "size": 9,
        "failed_reason": None,
        "preview": "hola",
        **more,
    }


def test_jobs_by_state_stand_beside_what_these_actors_did() -> None:
    shown = text(queue("inbound", 3700, jobs={"delayed": 2, "failed": 1}, actors=["inbound", "also"])).splitlines()
    assert shown[0] == "of actors inbound, also"
    assert shown[3].split() == ["waiting", "0", "added", "3,700"]
    assert shown[5].split() == ["delayed", "2", "failed", "0"]
    assert shown[8].split() == ["failed", "1", "lost", "0"]


def test_a_store_that_is_away_is_told_and_what_waits_for_it() -> None:
    shown = text(queue("inbound", spilled=17, **away()))
    assert "away: 127.0.0.1:6379 refuses" in shown
    assert "17 jobs wait in the state directory for the store" in shown


def test_the_first_jobs_are_listed_with_what_they_failed_of() -> None:
    """Delayed ones with the time until they are due, and parked ones as such."""
    jobs = [
        job(id="pm-2", state="delayed", due_in_s=3.2, attempts_made=1, failed_reason="503 from the CRM", key="+593"),
        job(parked=True),
    ]
    shown = text(queue("inbound"), {"jobs": jobs, "total": 30}).splitlines()
    assert "FIRST JOBS  the first 2 of 30 jobs" in shown
    assert shown[-3].split() == ["delayed", "for", "3.2s", "12s", "1/5", "9B", "pm-2", "+593", "hola"]
    assert shown[-2] == "    503 from the CRM"
    assert shown[-1].startswith("parked ")


def test_why_the_jobs_cannot_be_shown_is_told() -> None:
    assert text(queue("inbound"), {"why": "this needs the role operator"}).endswith("\nthis needs the role operator")
    assert text(queue("inbound"), {"jobs": [], "total": 0}).endswith("FIRST JOBS  none")
