"""`router plan`, `apply`, `swap` and `rollback`, against recorded answers."""

import os
from pathlib import Path
from typing import Any

import pytest

from router.cli import change
from tests.router.cli.conftest import Cli, Json, Recorded

TOPOLOGY = """\
router: 1
name: shop
actors:
  orders: {type: webhook, path: /orders}
  crm: {type: log}
routes:
  to-crm: {from: orders, to: crm}
"""
WARNING: Json = {
    "file": "FILE",
    "line": 5,
    "column": 3,
    "length": 3,
    "severity": "warning",
    "message": "no route uses actor 'crm'",
    "suggestion": "",
    "source": "  crm: {type: log}",
}


def actor(name: str, fate: str, *why: str, waiting: int = 0, in_hand: int = 0) -> Json:
    gap = fate == "break"
    return {"name": name, "fate": fate, "why": list(why), "waiting": waiting, "in_hand": in_hand, "gap": gap}


def plan_of(**more: Any) -> Json:
    return {
        "empty": False,
        "actors": [
            actor("orders", "break", "path", waiting=2),
            actor("crm", "beside", "url", "timeout", waiting=1200, in_hand=3),
            actor("old", "stopped"),
            actor("log", "kept"),
        ],
        "routes": [
            {"name": "to-crm", "fate": "rewired", "why": ["order_by", "to"], "queued": 7, "in_flight": 4},
            {"name": "to-log", "fate": "kept", "why": [], "queued": 0, "in_flight": 0},
        ],
        "connections": ["broker"],
        "settings": ["http", "log"],
        "promises": ["route to-crm: order by key is lost (order_by is gone)"],
        "left_behind": ["1,204 jobs stay in queue 'inbound' (sqlite): nobody here works them then"],
        **more,
    }


EMPTY = plan_of(
    empty=True,
    actors=[actor("log", "kept")],
    routes=[],
    connections=[],
    settings=[],
    promises=[],
    left_behind=[],
)


def side(**more: int) -> Json:
    ended = ("delivered", "filtered", "deduplicated", "merged", "dropped", "expired", "dead_lettered")
    return {
        "accepted": 0,
        "split_out": 0,
        "queued": 0,
        "in_flight": 0,
        "difference": 0,
        **dict.fromkeys(ended, 0),
        **more,
    }


def changed(difference: int = 0, **more: Any) -> Json:
    before = side(accepted=1200, delivered=1100, dead_lettered=90, queued=6, in_flight=4)
    after = side(accepted=1250, split_out=10, delivered=1170, dead_lettered=90 - difference, difference=difference)
    routes = [{"route": "to-crm", "before": before, "after": after, "difference": difference}]
    gaps = [{"actor": "orders", "seconds": 0.12}]
    return {
        "revision": 4,
        "plan": plan_of(),
        "report": {"difference": abs(difference), "seconds": 1.24, "routes": routes, "gaps": gaps},
        "remarks": ["settings.http takes effect at the next start"],
        "warnings": [],
        **more,
    }


@pytest.fixture
def file(control: Recorded) -> Path:
    """A topology in the folder in which the command runs."""
    path = Path("topology.yaml")
    path.write_bytes(TOPOLOGY.replace("\n", "\r\n", 1).encode())
    return path


def test_who_interrupts_the_waiting_is_told_that_the_change_goes_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also within the first seconds, when nothing was said of it yet."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("router.cli.client.Client.post", interrupt)
    ended = cli("rollback")
    assert (ended.code, ended.output) == (130, "")
    assert "the change goes on: `router history` says what became of it" in ended.errors


def test_a_plan_is_what_changes_and_what_is_lost_by_it(file: Path, control: Recorded, cli: Cli) -> None:
    control.answer("POST", "/v1/plan", {"revision": 3, "plan": plan_of(), "warnings": []})
    ended = cli("plan")
    assert ended.code == 0
    assert ended.output.splitlines() == [
        "ACTOR   BECOMES                 CHANGES       WAITING  IN HAND",
        "orders  new one after a gap     path                2        0",
        "crm     new one beside the old  url, timeout    1,200        3",
        "old     stops once it is empty  –                   0        0",
        "",
        "ROUTE   BECOMES           CHANGES       QUEUED  IN FLIGHT",
        "to-crm  goes on, changed  order_by, to       7          4",
        "",
        "1 actor and 1 route stay as they are",
        "",
        "opened anew: connection broker",
        "",
        "Promised no longer:",
        "  - route to-crm: order by key is lost (order_by is gone)",
        "",
        "Left behind:",
        "  - 1,204 jobs stay in queue 'inbound' (sqlite): nobody here works them then",
        "",
        "orders has to end before its successor can start: what is sent there meanwhile waits, and clients of HTTP are "
        "answered 503; mostly that is well under a second",
        "",
        "settings.http, settings.log cannot change while it runs, and take effect at the next start",
    ]


def test_the_file_is_sent_byte_for_byte_with_its_place(file: Path, control: Recorded, cli: Cli) -> None:
    control.answer("POST", "/v1/plan", {"revision": 3, "plan": EMPTY, "warnings": []})
    assert cli("plan").output == "nothing changes: all actors and routes stay as they are\n"
    assert control.asked[-1].body == {
        "text": TOPOLOGY.replace("\n", "\r\n", 1),
        "path": os.path.abspath("topology.yaml"),
    }


def test_problems_are_shown_as_validate_shows_them(file: Path, control: Recorded, cli: Cli) -> None:
    """Under the name by which the file was given, with the same exit code."""
    found = [
        {**WARNING, "file": os.path.abspath("topology.yaml"), "severity": "error", "message": "no", "suggestion": "?"}
    ]
    control.answer("POST", "/v1/apply", {"detail": "the topology has 1 problem", "problems": found}, 422)
    ended = cli("apply")
    assert (ended.code, ended.output) == (78, "")
    assert ended.errors.splitlines() == [
        "topology.yaml:5:3: error: no",
        "    5 |   crm: {type: log}",
        "      |   ^^^ ?",
        "1 problem",
    ]
    ended = cli("apply", "--json")
    assert ended.code == 78
    assert '"problems"' in ended.errors


def test_warnings_stand_before_what_was_done(file: Path, control: Recorded, cli: Cli) -> None:
    control.answer("POST", "/v1/apply", changed(warnings=[{**WARNING, "file": os.path.abspath("topology.yaml")}]))
    ended = cli("apply", "topology.yaml")
    assert ended.code == 0
    assert ended.errors.startswith("topology.yaml:5:3: warning: no route uses actor 'crm'\n")


def test_the_report_has_both_sides_of_the_ledger(file: Path, control: Recorded, cli: Cli) -> None:
    control.answer("POST", "/v1/apply", changed())
    ended = cli("apply", "--base", "3", "--wait-connected")
    assert ended.code == 0
    assert ended.output.splitlines() == [
        "applied: revision 4 runs, and what it replaced ended within 1.2s",
        "note: settings.http takes effect at the next start",
        "",
        "ROUTE   WHEN    CAME IN  ENDED  QUEUED  IN FLIGHT  DIFFERENCE",
        "to-crm  before    1,200  1,190       6          4           0",
        "        after     1,260  1,260       0          0           0",
        "orders was not there for 120ms",
        "",
        "nothing was lost: both sides agree on 1 route",
    ]
    body = control.asked[-1].body
    assert (body["base"], body["wait_connected"]) == (3, True)


def test_a_difference_is_an_error(file: Path, control: Recorded, cli: Cli) -> None:
    """For people and for scripts."""
    control.answer("POST", "/v1/apply", changed(difference=2))
    ended = cli("apply")
    assert ended.code == 1
    assert "nothing was lost" not in ended.output
    assert "error: the two sides differ by 2 messages" in ended.errors
    ended = cli("apply", "--json")
    assert ended.code == 1
    assert ended.json["report"]["difference"] == 2


def test_what_runs_already_is_said_to(file: Path, control: Recorded, cli: Cli) -> None:
    control.answer("POST", "/v1/apply", changed(revision=None, report=None, remarks=[], plan=EMPTY))
    assert cli("apply").output == "nothing changes: this is what runs\n"


def test_a_second_operator_hears_who_the_first_is(file: Path, control: Recorded, cli: Cli) -> None:
    text = "another change is under way: swap by uid 7 (ana)"
    control.answer("POST", "/v1/apply", {"detail": text, "holder": "swap by uid 7 (ana)"}, 409)
    ended = cli("apply")
    assert (ended.code, ended.errors) == (1, f"error: {text}\n")


def test_a_file_that_is_not_there_is_an_error(control: Recorded, cli: Cli) -> None:
    ended = cli("apply", "other.yaml")
    assert (ended.code, ended.errors) == (78, "error: other.yaml cannot be read: No such file or directory\n")
    assert control.asked == []


@pytest.mark.parametrize(
    ("arguments", "to"),
    [
        (["--to", "a"], ["a"]),
        (["--to", "a=90", "b=10"], ["a=90", "b=10"]),
        (["--to", "a=90", "--to", "b=10"], ["a=90", "b=10"]),
    ],
)
def test_a_swap_takes_its_targets_either_way(control: Recorded, cli: Cli, arguments: list[str], to: list[str]) -> None:
    control.answer("POST", "/v1/routes/to-crm/swap", changed())
    ended = cli("swap", "to-crm", *arguments, "--write")
    assert ended.code == 0
    assert ended.output.startswith("swapped: revision 4 runs")
    assert control.asked[-1].body == {"to": to, "write": True, "wait_connected": False}


def test_a_swap_needs_a_target(control: Recorded, cli: Cli) -> None:
    assert cli("swap", "to-crm").code == 2
    assert control.asked == []


def test_a_rollback_names_the_revision_or_takes_the_one_before(control: Recorded, cli: Cli) -> None:
    control.answer("POST", "/v1/rollback", changed(remarks=["this is revision 3 again"]))
    assert "note: this is revision 3 again" in cli("rollback").output
    assert control.asked[-1].body == {}
    cli("rollback", "--to", "3")
    assert control.asked[-1].body == {"to": 3}


def test_who_waits_long_reads_what_for(control: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error: what comes on standard output is the answer."""
    monkeypatch.setattr(change, "PATIENCE_S", 0.0)
    control.answer("POST", "/v1/rollback", changed())
    ended = cli("rollback", "--json")
    assert "waiting until new actors are ready" in ended.errors
    assert ended.json["revision"] == 4


# Without a router


def test_two_files_are_compared_without_a_router(file: Path, cli: Cli, control: Recorded) -> None:
    other = Path("other.yaml")
    other.write_text(TOPOLOGY.replace("to-crm: {", "to-crm: {order_by: '{{ data.id }}', "))
    ended = cli("plan", "topology.yaml", "--against", "other.yaml")
    assert ended.code == 0
    assert "route to-crm: order by key is lost" in ended.output
    assert control.asked == []


def test_where_nothing_ever_ran_all_is_new(file: Path, cli: Cli) -> None:
    document = cli("plan", "--offline", "--state-dir", "nowhere", "--json").json
    assert {one["fate"] for one in document["plan"]["actors"]} == {"started"}
    assert document["revision"] is None


def test_a_broken_file_is_told_without_a_router_too(file: Path, cli: Cli) -> None:
    file.write_text(TOPOLOGY.replace("to: crm", "to: cmr"))
    ended = cli("plan", "--offline")
    assert ended.code == 78
    assert "did you mean 'crm'?" in ended.errors
