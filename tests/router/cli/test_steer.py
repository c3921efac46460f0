"""`router pause`, `resume`, `drain` and `restart`, against recorded answers."""

import pytest

from tests.router.cli.conftest import Cli, Json, Recorded

HELD_BACK: Json = {"sources": ["orders"], "routes": ["to-crm", "to-fax"], "fall_back": ["to-sms"]}
NOTHING: Json = {"sources": [], "routes": [], "fall_back": []}


def path(verb: str) -> str:
    return f"/v1/actors/to-crm/{verb}"


def test_a_pause_says_what_it_holds_back(control: Recorded, cli: Cli) -> None:
    control.answer("POST", path("pause"), {"name": "to-crm", "kind": "route", "held_back": HELD_BACK})
    ended = cli("pause", "to-crm", "--why", "the provider asked for it")
    assert (ended.code, control.asked[-1].body) == (0, {"why": "the provider asked for it"})
    assert ended.output.splitlines() == [
        "to-crm is paused",
        "orders takes nothing in meanwhile",
        "to-crm, to-fax get nothing, or wait meanwhile",
        "to-sms goes on with its fallback meanwhile",
    ]
    assert cli("pause", "to-crm", "--json").json["held_back"] == HELD_BACK


@pytest.mark.parametrize(("resumed", "told"), [(True, "goes on"), (False, "was neither paused nor drained")])
def test_a_resume_says_whether_there_was_anything_to_end(control: Recorded, cli: Cli, resumed: bool, told: str) -> None:
    control.answer("POST", path("resume"), {"name": "to-crm", "kind": "route", "resumed": resumed})
    ended = cli("resume", "to-crm")
    assert (ended.code, ended.output) == (0, f"to-crm {told}\n")


def test_a_drain_that_is_not_over_in_time_fails_the_command(control: Recorded, cli: Cli) -> None:
    """It takes nothing in all the same."""
    answer = {"name": "to-crm", "kind": "route", "held_back": NOTHING, "left": 3}
    control.answer("POST", path("drain"), answer)
    ended = cli("drain", "to-crm", "--timeout", "2m")
    assert (ended.code, ended.output) == (1, "to-crm takes nothing in; 3 messages left\n")
    assert control.asked[-1].body == {"why": "", "timeout_s": 120.0}
    control.answer("POST", path("drain"), {**answer, "left": 0})
    ended = cli("drain", "to-crm")
    assert (ended.code, ended.output) == (0, "to-crm is drained, and empty\n")


def test_a_restart_that_ends_badly_says_why_and_fails_the_command(control: Recorded, cli: Cli) -> None:
    answer = {"name": "to-crm", "kind": "route", "state": "ready", "why": ""}
    control.answer("POST", path("restart"), answer)
    ended = cli("restart", "to-crm")
    assert (ended.code, ended.output) == (0, "to-crm is ready\n")
    control.answer("POST", path("restart"), {**answer, "state": "restarting", "why": "OSError: \x1b[31mno"})
    ended = cli("restart", "to-crm")
    assert (ended.code, ended.output) == (1, "to-crm is restarting: OSError: \\x1b[31mno\n")
