"""`router queue`, against recorded answers."""

import io
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.router.cli.conftest import Cli, Json, Recorded

LIST = "/v1/queues"
INBOUND = f"{LIST}/inbound"
JOBS = f"{INBOUND}/jobs"
COUNTS = {
    "waiting": 1200,
    "prioritized": 0,
    "delayed": 3,
    "active": 10,
    "completed": 1000,
    "failed": 2,
    "waiting-children": 0,
}


def queue(**more: Any) -> Json:
    return {
        "name": "tania-messages",
        "actors": ["inbound"],
        "store": "redis",
        "available": True,
        "unavailable_why": "",
        "counts": COUNTS,
        "parked": 0,
        "paused": False,
        "oldest_age_s": 75.0,
        "spilled": 0,
        "added": 5000,
        "finished": {"completed": 3700, "failed": 2, "retried": 9, "released": 0, "lost": 0},
        "added_per_s": 12.4,
        "finished_per_s": 0.25,
        **more,
    }


AWAY: Json = {
    "available": False,
    "unavailable_why": "127.0.0.1:6379 refuses",
    "counts": None,
    "parked": None,
    "paused": None,
    "oldest_age_s": None,
    "spilled": 17,
}


def job(**more: Any) -> Json:
    return {
        "id": "pm-1",
        "name": "message",
        "state": "failed",
        "age_s": 7300.0,
        "due_in_s": None,
        "key": "+593",
        "parked": False,
        "attempts_made": 3,
        "attempts": 3,
        "stalled": 0,
        "priority": 0,
        "delay_ms": 0,
        "size": 12,
        "failed_reason": "500 from the CRM",
        "preview": '{"n": 1}',
        **more,
    }


class Terminal(io.StringIO):
    """Standard input with a person behind it."""

    def isatty(self) -> bool:
        return True


def test_the_list_has_a_line_for_each_queue(control: Recorded, cli: Cli) -> None:
    """Columns in which nothing stands anywhere are left out."""
    quiet = dict.fromkeys(COUNTS, 0)
    other = queue(name="reports", actors=["in", "out"], store="sqlite", counts=quiet, paused=True, oldest_age_s=None)
    control.answer("GET", LIST, {"queues": [queue(), other]})
    ended = cli("queue", "list")
    assert ended.code == 0
    assert ended.output.splitlines() == [
        "QUEUE           ACTORS   STORE   STATE   WAITING  DELAYED  ACTIVE  COMPLETED  FAILED  OLDEST  IN/S  DONE/S",
        "tania-messages  inbound  redis   open      1,200        3      10      1,000       2  1m 15s    12     0.2",
        "reports         in, out  sqlite  paused        0        0       0          0       0       –    12     0.2",
    ]


def test_no_queue_is_told_in_words(control: Recorded, cli: Cli) -> None:
    control.answer("GET", LIST, {"queues": []})
    assert cli("queue", "list").output == "no actor that runs has a queue\n"


def test_a_store_that_is_away_is_named_and_fails_the_command(control: Recorded, cli: Cli) -> None:
    """Other queues are shown all the same, and so is what waits here for it."""
    control.answer("GET", LIST, {"queues": [queue(), queue(name="lost", **AWAY)]})
    ended = cli("queue", "list")
    assert ended.code == 1
    assert "SPILLED" in ended.output
    assert ended.output.endswith("\nlost is not to be reached: 127.0.0.1:6379 refuses\n")
    assert cli("queue", "list", "--json").code == 1


@pytest.mark.slow
def test_where_nobody_had_looked_it_looks_again_for_the_rates(control: Recorded, cli: Cli) -> None:
    """Not for machines, which can do so themselves."""
    control.answers_in_turn("GET", LIST, {"queues": [queue(added_per_s=None)]}, {"queues": [queue(added_per_s=0.0)]})
    assert " 0     0.2" in cli("queue", "list").output
    assert len(control.asked) == 2
    control.answers_in_turn("GET", LIST, {"queues": [queue(added_per_s=None)]})
    assert cli("queue", "list", "--json").json["queues"][0]["added_per_s"] is None


def test_stats_show_all_that_is_known_of_one_queue(control: Recorded, cli: Cli) -> None:
    control.answer("GET", INBOUND, queue(parked=4, paused=True))
    ended = cli("queue", "stats", "inbound")
    assert ended.code == 0
    assert ended.output.splitlines() == [
        "queue             tania-messages",
        "actors            inbound",
        "store             redis",
        "state             paused",
        "waiting           1,200",
        "prioritized       0",
        "delayed           3",
        "active            10",
        "completed         1,000",
        "failed            2",
        "waiting-children  0",
        "parked            4 of those waiting, behind an earlier one of their key",
        "oldest            has waited for 1m 15s",
        "added here        5,000, 12 a second lately",
        "finished here     3,702, 0.2 a second lately",
        "  completed       3,700",
        "  failed          2",
        "  retried         9",
    ]


def test_stats_of_a_store_that_is_away_say_what_is_known_here(control: Recorded, cli: Cli) -> None:
    """And fail, so that a script does not take it for an empty queue."""
    control.answer("GET", INBOUND, queue(**AWAY))
    ended = cli("queue", "stats", "inbound")
    assert ended.code == 1
    assert "state          away: 127.0.0.1:6379 refuses" in ended.output
    assert "spilled        17, kept here until the store is back" in ended.output
    assert "waiting" not in ended.output


def test_jobs_are_a_line_each_with_their_errors_below(control: Recorded, cli: Cli) -> None:
    control.answer("GET", JOBS, {"name": "tania-messages", "jobs": [job(), job(id="17", key=None)], "total": 30})
    ended = cli("queue", "jobs", "inbound", "--state", "failed", "--state", "delayed", "--start", "4", "--limit", "2")
    assert control.asked[-1].query == {"state": "failed,delayed", "start": "4", "limit": "2"}
    assert ended.output.splitlines() == [
        "STATE   ID    NAME     KEY     AGE  TRIES  MESSAGE",
        'failed  pm-1  message  +593  2h 1m    3/3  {"n": 1}',
        'failed  17    message  –     2h 1m    3/3  {"n": 1}',
        "",
        "last errors",
        "   2 × 500 from the CRM",
        "",
        "more of them: --start 6 (30 in all)",
    ]


def test_delayed_jobs_say_when_they_are_due(control: Recorded, cli: Cli) -> None:
    """Beside those that are not; one that a worker takes at any moment is due in nothing."""
    jobs = [job(state="delayed", due_in_s=3.2, failed_reason=None), job(state="waiting", key=None)]
    control.answer("GET", JOBS, {"name": "tania-messages", "jobs": jobs, "total": 2})
    lines = cli("queue", "jobs", "inbound").output.splitlines()
    assert lines[0] == "STATE    ID    NAME     KEY     AGE      DUE  TRIES  MESSAGE"
    assert lines[1].split()[6:8] == ["in", "3.2s"]
    assert lines[2].split()[6] == "–"


def test_an_empty_page_says_so(control: Recorded, cli: Cli) -> None:
    control.answer("GET", JOBS, {"name": "tania-messages", "jobs": [], "total": 0})
    assert cli("queue", "jobs", "inbound").output == "there are none\n"
    assert cli("queue", "jobs", "inbound", "--state", "failed").output == "there are none like that\n"


def test_one_job_is_shown_whole(control: Recorded, cli: Cli) -> None:
    """What a terminal would obey is escaped, in a stack of another program too."""
    options: Json = {
        "priority": 5,
        "delay_ms": 2000,
        "attempts": 3,
        "backoff": {"type": "exponential", "delay_ms": 2000, "jitter": 0.5},
        "lifo": False,
        "deduplication": None,
        "keep_completed": {"count": 10, "age_s": 3600},
        "keep_failed": None,
        "others": {"sizeLimit": 9},
    }
    whole = job(
        options=options,
        queue="tania-messages",
        added_at=time.time(),
        processed_at=None,
        finished_at=None,
        attempts_started=3,
        stacktrace=["Error: no\n    at \x1b[31mwork.js"],
        worker="inbound@node-1",
        scheduler=None,
        parent=None,
        progress=40,
        return_value=None,
        envelope={"id": "m1"},
        data={"to": "+593"},
        logs=["sent", "refused"],
    )
    control.answer("GET", f"{JOBS}/pm-1", whole)
    ended = cli("queue", "job", "inbound", "pm-1")
    assert ended.code == 0
    assert re.search(r"^attempts +3 of 3 made$", ended.output, re.MULTILINE)
    assert re.search(r"^backoff +exponential, 2.0s, up to 50% shorter$", ended.output, re.MULTILINE)
    assert re.search(r"^keeps +completed: 10 for 1h$", ended.output, re.MULTILINE)
    assert re.search(r"^error +500 from the CRM$", ended.output, re.MULTILINE)
    assert "\nstacktrace\nError: no\n    at \\x1b[31mwork.js\n" in ended.output
    assert "\nlogs\nsent\nrefused\n" in ended.output
    assert ended.output.endswith('\ndata\n{\n  "to": "+593"\n}\n')


@pytest.mark.parametrize(("verb", "told"), [("pause", "is paused, for all that work it"), ("resume", "goes on")])
def test_a_queue_is_paused_and_resumed_with_a_reason(control: Recorded, cli: Cli, verb: str, told: str) -> None:
    document = {"name": "tania-messages", "actors": ["inbound"], "paused": verb == "pause"}
    control.answer("POST", f"{INBOUND}/{verb}", document)
    ended = cli("queue", verb, "inbound", "--why", "moving")
    assert (ended.code, ended.output) == (0, f"tania-messages {told}\n")
    assert control.asked[-1].body == {"why": "moving"}


@pytest.mark.parametrize("verb", ["retry", "promote"])
def test_some_jobs_or_all_wait_again(control: Recorded, cli: Cli, verb: str) -> None:
    control.answer("POST", f"{INBOUND}/{verb}", {"name": "tania-messages", "jobs": 2})
    ended = cli("queue", verb, "inbound", "pm-1", "pm-2")
    assert (ended.code, ended.output) == (0, "2 jobs wait for a worker now\n")
    assert control.asked[-1].body == {"ids": ["pm-1", "pm-2"], "why": ""}
    cli("queue", verb, "inbound", "--all")
    assert control.asked[-1].body == {"all": True, "why": ""}


@pytest.mark.parametrize("arguments", [(), ("pm-1", "--all")])
def test_which_jobs_has_to_be_said_in_one_way(control: Recorded, cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli("queue", "retry", "inbound", *arguments)
    assert (ended.code, control.asked) == (2, [])
    assert "that does not say which jobs" in ended.errors


def test_clearing_asks_for_the_queue_s_own_name(control: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actor's is not enough: it says nothing of what others have in there."""
    control.answer("GET", INBOUND, queue())
    control.answer("POST", f"{INBOUND}/clear", {"name": "tania-messages", "jobs": 5})
    monkeypatch.setattr("sys.stdin", Terminal("tania-messages\n"))
    ended = cli("queue", "clear", "inbound", "--state", "failed", "--state", "delayed")
    assert (ended.code, ended.output) == (0, "5 jobs deleted\n")
    assert ended.errors == "delete 5 jobs of tania-messages (failed, delayed)? The queue's name: "
    assert control.asked[-1].body == {"states": ["failed", "delayed"], "confirm": "tania-messages", "why": ""}
    asked = len(control.asked)
    monkeypatch.setattr("sys.stdin", Terminal("inbound\n"))
    refused = cli("queue", "clear", "inbound", "--state", "failed")
    assert refused.code == 1
    assert "that is not its name: nothing was deleted" in refused.errors
    assert [each.method for each in control.asked[asked:]] == ["GET"]


def test_clearing_without_a_person_needs_the_name(control: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    control.answer("GET", INBOUND, queue())
    control.answer("POST", f"{INBOUND}/clear", {"name": "tania-messages", "jobs": 1})
    monkeypatch.setattr("sys.stdin", io.StringIO("tania-messages\n"))
    refused = cli("queue", "clear", "inbound", "--state", "failed")
    assert refused.code == 1
    assert "--confirm with the queue's own name" in refused.errors
    given = cli("queue", "clear", "inbound", "--state", "failed", "--confirm", "tania-messages")
    assert (given.code, given.output) == (0, "1 job deleted\n")


def test_clearing_says_which_states(control: Recorded, cli: Cli) -> None:
    ended = cli("queue", "clear", "inbound")
    assert (ended.code, control.asked) == (2, [])
    assert "--state, which may be repeated: waiting, prioritized, delayed, completed" in ended.errors


def test_a_job_is_added_with_its_options_in_their_units(control: Recorded, cli: Cli, tmp_path: Path) -> None:
    control.answer("POST", JOBS, {"id": "j-1"})
    (tmp_path / "report.json").write_text('{"n": 1}')
    arguments = ["--name", "daily", "--id", "j-1", "--priority", "3", "--delay", "10m", "--attempts", "5"]
    ended = cli("queue", "add", "inbound", "@report.json", *arguments, "--backoff", "exponential:2s")
    assert (ended.code, ended.output) == (0, "j-1 is added\n")
    assert control.asked[-1].body == {
        "data": {"n": 1},
        "name": "daily",
        "id": "j-1",
        "options": {
            "priority": 3,
            "attempts": 5,
            "delay_ms": 600_000,
            "backoff": {"type": "exponential", "delay_ms": 2000},
        },
    }
    cli("queue", "add", "inbound", "17", "--text", "--backoff", "500ms")
    body = control.asked[-1].body
    assert (body["data"], body["options"]["backoff"]) == ("17", {"type": "fixed", "delay_ms": 500})
    assert cli("queue", "add", "inbound", "--delay", "soon").code == 2


def test_one_job_is_deleted(control: Recorded, cli: Cli) -> None:
    control.answer("POST", f"{JOBS}/pm-1/remove", {"id": "pm-1"})
    assert cli("queue", "remove", "inbound", "pm-1").output == "pm-1 is deleted\n"


def test_an_unknown_queue_comes_with_a_suggestion(control: Recorded, cli: Cli) -> None:
    problem = {"status": 404, "detail": "there is no queue 'inbund'", "suggestion": "did you mean 'inbound'?"}
    control.answer("GET", f"{LIST}/inbund", problem, status=404)
    ended = cli("queue", "stats", "inbund")
    assert ended.code == 1
    assert "there is no queue 'inbund'" in ended.errors
    assert "did you mean 'inbound'?" in ended.errors


def test_the_help_tells_a_queue_s_pause_from_an_actor_s(cli: Cli) -> None:
    """Each names the other."""
    assert "router pause ACTOR" in " ".join(cli("queue", "pause", "--help").output.split())
    assert "router queue pause" in " ".join(cli("pause", "--help").output.split())


def test_ps_tells_that_a_queue_is_paused_while_its_actor_is_ready(control: Recorded, cli: Cli) -> None:
    """Which is not the actor's own pause; where no actor has a queue, none is asked for."""
    inbound: Json = {"name": "inbound", "kind": "actor", "type": "queue", "state": "ready", "about": {"queue": "jobs"}}
    control.answer("GET", "/v1/router", {"name": "shop", "uptime_s": 1.0})
    control.answer("GET", "/v1/actors", {"actors": [inbound], "routes": []})
    control.answer("GET", LIST, {"queues": [queue(paused=True), queue(name="open", actors=["other"])]})
    last = cli("ps").output.splitlines()[-1]
    assert last == (
        "inbound has the queue tania-messages, which is paused for all that work it: "
        "`router queue resume inbound` ends that"
    )
    control.answer("GET", "/v1/actors", {"actors": [{**inbound, "about": {}}], "routes": []})
    asked = len(control.asked)
    assert "paused" not in cli("ps").output
    assert len(control.asked) == asked + 2


def test_ps_tells_that_a_store_is_away_while_its_actor_is_ready(control: Recorded, cli: Cli) -> None:
    """As one is that keeps jobs meanwhile, or fails; one that is unavailable for it has said so."""
    control.answer("GET", "/v1/router", {"name": "shop"})
    actor: Json = {"name": "inbound", "type": "queue", "state": "ready", "about": {"queue": "tania-messages"}}
    control.answer("GET", "/v1/actors", {"actors": [{**actor, "available": True}], "routes": []})
    control.answer("GET", "/v1/queues", {"queues": [queue(**AWAY)]})
    assert cli("ps").output.splitlines()[-1] == (
        "the store of queue tania-messages is away: 127.0.0.1:6379 refuses; 17 jobs wait in the state directory for it"
    )
    control.answer("GET", "/v1/actors", {"actors": [{**actor, "available": False}], "routes": []})
    assert "the store of" not in cli("ps").output
