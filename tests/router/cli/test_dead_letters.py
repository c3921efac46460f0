"""`router dead-letters`, against recorded answers."""

import io
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
    assert (ended.code, ended.output, ended.errors) == (1, "1 replayed, 1 failed again\n", "  d2: still 404\n")
    assert cli("dead-letters", "replay", "d1", "--json").code == 1


@pytest.mark.parametrize("rest", [{"left": 5, "more": False}, {"left": 0, "more": True}])
def test_a_replay_of_too_many_says_that_some_are_left(letters: Recorded, cli: Cli, rest: Json) -> None:
    """A request has its bounds; the exit code keeps a script from believing that all was done."""
    letters.answer("POST", REPLAY, {"replayed": 1000, "failed": [], **rest})
    ended = cli("dead-letters", "replay", "--all", "--yes")
    assert ended.code == 1
    assert "the same command goes on with them" in ended.errors


def test_all_is_done_after_a_yes(letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question says how many."""
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    ended = cli("dead-letters", "drop", "--all")
    assert (ended.code, ended.output) == (0, "2 dropped\n")
    assert "drop 2 dead letters? [y/N]" in ended.errors
    assert letters.asked[-1].body == {"filter": {}}


def test_a_filter_narrows_all(letters: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question says that it is not all of them."""
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    ended = cli("dead-letters", "replay", "--all", "--route", "to-crm", "--since", "1d")
    assert "replay those that match, of 2 dead letters? [y/N]" in ended.errors
    assert letters.asked[-1].body == {"filter": {"route": "to-crm", "since": "1d"}, "as": "original"}


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
    assert [asked.method for asked in letters.asked] == ["GET", "POST"]
