"""`router dead-letters`, against recorded answers."""

import io
import json
import time
from typing import Any

import pytest

from tests.router.cli.conftest import Cli, Json, Recorded

LIST = "/v1/dead-letters"
REPLAY = "/v1/dead-letters/replay"
DROP = "/v1/dead-letters/drop"


def letter(number: int, **more: Any) -> Json:
    return {
        "id": f"d{number}",
        "at": time.time() - 7300,
        "route": "to-crm",
        "target": "crm",
        "reason": "refused",
        "error": "404 Not Found",
        "attempts": 1,
        "preview": "{}",
        **more,
    }


@pytest.fixture
def letters(control: Recorded) -> Recorded:
    """Two dead letters."""
    page = {"dead_letters": [letter(2), letter(1, route="", target=None, reason="undecodable")], "total": 2}
    control.answer("GET", LIST, page)
    control.answer("POST", REPLAY, {"replayed": 2, "failed": [], "left": 0, "more": False})
    control.answer("POST", DROP, {"dropped": 2})
    return control


class Terminal(io.StringIO):
    """Standard input with a person behind it."""

    def isatty(self) -> bool:
        return True


def test_the_list_says_where_from_and_why(letters: Recorded, cli: Cli) -> None:
    """The youngest first, as the router sends them."""
    assert cli("dead-letters", "list").output.splitlines() == [
        "ID    AGE  ROUTE   TARGET  REASON       TRIES  ERROR",
        "d2  2h 1m  to-crm  crm     refused          1  404 Not Found",
        "d1  2h 1m  –       –       undecodable      1  404 Not Found",
    ]


def test_filters_go_to_the_router_as_they_are(letters: Recorded, cli: Cli) -> None:
    """It reads moments as it reads those of all its clients."""
    options = ["--route", "to-crm", "--target", "crm", "--reason", "refused", "--since", "1h", "--until", "10m"]
    cli("dead-letters", "list", *options, "--before", "d9", "--limit", "5")
    assert letters.asked[-1].query == {
        "route": "to-crm",
        "target": "crm",
        "reason": "refused",
        "since": "1h",
        "until": "10m",
        "before": "d9",
        "limit": "5",
    }


def test_a_full_page_says_how_to_go_on(letters: Recorded, cli: Cli) -> None:
    """With the id that the next page begins behind."""
    assert cli("dead-letters", "list", "--limit", "2").output.endswith("\nolder ones: --before d1\n")


def test_none_are_good_news(control: Recorded, cli: Cli) -> None:
    """With a filter it may just be that none match."""
    control.answer("GET", LIST, {"dead_letters": [], "total": 0})
    assert cli("dead-letters", "list").output == "there are none\n"
    assert cli("dead-letters", "list", "--route", "r").output == "there are none like that\n"


def test_one_is_shown_whole(control: Recorded, cli: Cli) -> None:
    """Why it is one, and then the message."""
    whole = letter(2, at=1.7e9, message_id="m-1", source="orders", data="hola")
    control.answer("GET", f"{LIST}/d2", whole)
    output = cli("dead-letters", "show", "d2").output
    assert "\nreason      refused\nerror       404 Not Found\n" in output
    assert output.endswith("\nmessage id  m-1\nsource      orders\n\ndata\nhola\n")
    assert cli("dead-letters", "show", "d2", "--json").json == whole


def test_named_ones_are_replayed_to_where_they_failed(letters: Recorded, cli: Cli) -> None:
    """Without a question: whoever names them means them."""
    ended = cli("dead-letters", "replay", "d1", "d2")
    assert (ended.code, ended.output) == (0, "2 replayed\n")
    assert letters.asked[-1].body == {"ids": ["d1", "d2"], "as": "original"}


def test_a_replay_through_the_route_is_asked_for(letters: Recorded, cli: Cli) -> None:
    """`current` runs the steps again."""
    cli("dead-letters", "replay", "d1", "--as", "current")
    assert letters.asked[-1].body == {"ids": ["d1"], "as": "current"}


def test_what_failed_again_is_told_and_fails_the_command(letters: Recorded, cli: Cli) -> None:
    """Each with its reason."""
    letters.answer("POST", REPLAY, {"replayed": 1, "failed": [{"id": "d2", "why": "still 404"}], "left": 0})
    ended = cli("dead-letters", "replay", "d1", "d2")
    assert (ended.code, ended.output, ended.errors) == (1, "1 replayed, 1 failed\n", "  d2: still 404\n")
    assert cli("dead-letters", "replay", "d1", "--json").code == 1


def test_what_a_request_has_left_is_asked_for_again_behind_the_last(letters: Recorded, cli: Cli) -> None:
    """A request has its bounds; what became a dead letter since the command began is not meant."""
    page = {"dead_letters": [letter(40)], "total": 40}
    letters.answer("GET", LIST, page)
    letters.answers_in_turn(
        "POST",
        REPLAY,
        {"replayed": 18, "failed": [], "left": 2, "more": True, "last": "d18"},
        {"replayed": 21, "failed": [{"id": "d39", "why": "still 404"}], "left": 0, "more": False, "last": "d40"},
    )
    ended = cli("dead-letters", "replay", "--all", "--yes", "--json")
    assert (ended.code, ended.json["replayed"], ended.json["left"]) == (1, 39, 0)
    assert [asked.body.get("after") for asked in letters.asked[1:]] == [None, "d18"]
    assert {asked.body["through"] for asked in letters.asked[1:]} == {"d40"}


def test_what_a_router_cannot_even_begin_is_left_and_fails_the_command(letters: Recorded, cli: Cli) -> None:
    """The exit code keeps a script from believing that all was done."""
    letters.answer("POST", REPLAY, {"replayed": 0, "failed": [], "left": 2, "more": False, "last": None})
    for which in (("--all", "--yes"), ("d1", "d2")):
        ended = cli("dead-letters", "replay", *which)
        assert (ended.code, ended.output) == (1, "0 replayed\n")
        assert "2 are left: the same command goes on with them" in ended.errors


def test_many_failures_are_counted_by_their_reasons(letters: Recorded, cli: Cli) -> None:
    failed = [{"id": f"d{number}", "why": f"dead letter d{number} failed again: 404"} for number in range(30)]
    letters.answer("POST", REPLAY, {"replayed": 0, "failed": failed, "left": 0, "more": False, "last": "d30"})
    assert cli("dead-letters", "replay", "--all", "--yes").errors == "    30 × dead letter failed again: 404\n"


def test_how_far_it_has_come_is_drawn_in_a_terminal(
    letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    letters.answer("GET", LIST, {"dead_letters": [letter(30)], "total": 30})
    letters.answers_in_turn(
        "POST", DROP, {"dropped": 20, "more": True, "last": "d20"}, {"dropped": 10, "more": False, "last": "d30"}
    )
    assert cli("dead-letters", "drop", "--all", "--yes").output == "30 dropped\n"
    drawn = terminal.getvalue().split("\r")
    assert drawn == [
        "",
        f"{'░' * 30} 0 of 30 dropped",
        f"{'█' * 20}{'░' * 10} 20 of 30 dropped",
        f"{'█' * 30} 30 of 30 dropped",
        "\x1b[K",
    ]


def test_all_is_done_after_a_yes(letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question says how many."""
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    ended = cli("dead-letters", "drop", "--all")
    assert (ended.code, ended.output) == (0, "2 dropped\n")
    assert "drop 2 dead letters? [y/N]" in ended.errors
    assert letters.asked[-1].body == {"filter": {}, "limit": 20, "through": "d2"}


def test_a_filter_narrows_all(letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question says that it is not all of them."""
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    ended = cli("dead-letters", "replay", "--all", "--route", "to-crm", "--since", "1d")
    assert "replay 2 dead letters that match? [y/N]" in ended.errors
    chosen = {"route": "to-crm", "since": "1d"}
    assert letters.asked[0].query == {**chosen, "limit": "1"}
    assert letters.asked[-1].body == {"filter": chosen, "limit": 20, "through": "d2", "as": "original"}


def test_nothing_is_done_after_a_no(letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor after an empty line."""
    for answer in ("n\n", "\n"):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert cli("dead-letters", "drop", "--all").code == 1
    assert all(asked.method == "GET" for asked in letters.asked)


def test_where_nobody_can_be_asked_yes_is_needed(letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script does not wait for an answer that never comes."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ended = cli("dead-letters", "drop", "--all")
    assert ended.code == 1
    assert "--yes does it without asking" in ended.errors
    assert cli("dead-letters", "drop", "--all", "--yes").output == "2 dropped\n"
    assert [asked.method for asked in letters.asked] == ["GET", "GET", "POST"]


def test_dropping_what_is_not_there_is_told(letters: Recorded, cli: Cli) -> None:
    """Whoever mistypes an id shall notice."""
    ended = cli("dead-letters", "drop", "d1", "d2", "d3", "d3")
    assert (ended.code, ended.output) == (1, "2 dropped\n")
    assert "error: 1 of those that were named is not there" in ended.errors
    ended = cli("dead-letters", "drop", "d1", "d2", "d3", "d4", "--json")
    assert (ended.code, ended.json) == (1, {"dropped": 2})
    assert json.loads(ended.errors)["detail"] == "2 of those that were named are not there"
    assert cli("dead-letters", "drop", "d1", "d2").code == 0
