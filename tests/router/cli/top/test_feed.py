"""What is asked of a router, and how often."""

import pytest

from router.cli.client import Client
from router.cli.failure import Failure
from router.cli.top.feed import Feed
from tests.router.cli.conftest import Cli, Recorded
from tests.router.cli.top.readings import ROUTER, actor, answer, route


def feed(control: Recorded) -> Feed:
    return Feed(Client(control.path), every_s=1.0)


def test_a_reading_has_the_router_and_all_that_runs_in_it(control: Recorded) -> None:
    """Actors first, and both in the order of the topology."""
    control.answer("GET", "/v1/router", ROUTER)
    control.answer("GET", "/v1/actors", answer([actor("b"), actor("a"), route("r")]))
    taken = feed(control).read()
    assert list(taken.views) == ["b", "a", "r"]
    assert taken.process == (4711, 1.7e9)


def test_a_router_that_is_not_there_is_a_failure(control: Recorded) -> None:
    """Also one that answers something else."""
    with pytest.raises(Failure):
        feed(control).read()


def test_a_mailbox_is_read_with_the_children_where_there_are_any(control: Recorded) -> None:
    """Those cost another request."""
    control.answer("GET", "/v1/actors/ws/mailbox", {"name": "ws", "counts": {}})
    control.answer("GET", "/v1/actors/ws", actor("ws", children={"count": 1, "shown": [{"name": "ws/1"}]}))
    assert "children" not in feed(control).look_into("ws", children=False)
    assert len(control.asked) == 1
    assert feed(control).look_into("ws", children=True)["children"] == [{"name": "ws/1"}]


def test_a_pause_is_the_router_s_own(control: Recorded) -> None:
    """And so is its answer."""
    held_back = {"sources": ["orders"], "routes": [], "fall_back": []}
    control.answer("POST", "/v1/actors/r/pause", {"name": "r", "kind": "route", "held_back": held_back})
    assert feed(control).steer("pause", "actors", "r")["held_back"] == held_back
    assert control.asked[-1].body == {}


def test_a_slow_router_is_asked_less_often(control: Recorded) -> None:
    """Whoever looks on may cost it a tenth of its time."""
    assert feed(control).pause_s(0.01) == 1.0
    assert feed(control).pause_s(0.5) == 5.0


def test_without_a_terminal_there_is_no_screen(control: Recorded, cli: Cli) -> None:
    """But a hint what to do instead; nothing is asked."""
    ended = cli("top")
    assert (ended.code, ended.output) == (2, "")
    assert "`router ps` prints once what it shows" in ended.errors
    assert control.asked == []


@pytest.mark.parametrize("every", ["50ms", "often"])
def test_how_often_is_checked(cli: Cli, every: str) -> None:
    """A router is no toy."""
    ended = cli("top", "--every", every)
    assert ended.code == 2
    assert "--every" in ended.errors
