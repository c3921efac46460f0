"""What `router start` prints once it runs."""

import json
from dataclasses import replace

from router.cli.banner import Banner, NotReady
from router.cli.example import Example

BANNER = Banner(
    name="shop",
    pid=4711,
    listening=[("http", "http://127.0.0.1:8080"), ("control", ".router/control.sock")],
    actors=["orders", "log"],
    routes=["to-log"],
    waiting=[NotReady("crm", "actor", "restarting", "RouterError: no\x1bway")],
    disabled=["fax"],
    examples=[Example(("curl -i http://127.0.0.1:8080/orders",), "curl asks for the password")],
)


def test_people_read_what_listens_and_what_is_ready() -> None:
    """And what is not, with why."""
    assert list(BANNER.lines()) == [
        "shop is running, process 4711",
        "",
        "  http      http://127.0.0.1:8080",
        "  control   .router/control.sock",
        "  actors    orders, log",
        "  routes    to-log",
        "  disabled  fax",
        "  not ready  actor crm is restarting",
        r"             RouterError: no\x1bway",
        "",
        "Try:",
        "  curl -i http://127.0.0.1:8080/orders",
        "  # curl asks for the password",
        "",
        "Ctrl-C drains and stops.",
    ]


def test_which_revision_goes_on_stands_first() -> None:
    """Nobody shall look for it."""
    banner = replace(BANNER, remark="revision 3 (swap by ana) goes on")
    assert list(banner.lines())[:3] == ["shop is running, process 4711", "revision 3 (swap by ana) goes on", ""]
    assert banner.as_dict()["remark"] == "revision 3 (swap by ana) goes on"


def test_one_of_several_processes_says_which() -> None:
    """For machines, too."""
    banner = replace(BANNER, node="worker-1")
    assert next(iter(banner.lines())) == "shop is running, process 4711, node worker-1"
    assert (banner.as_dict()["node"], BANNER.as_dict()["node"]) == ("worker-1", None)


def test_each_queue_is_told_with_how_well_it_is_kept() -> None:
    """For machines, too."""
    banner = replace(BANNER, queues=[("inbound", "in redis; it keeps nothing on disk")])
    assert "  queue     inbound: in redis; it keeps nothing on disk" in banner.lines()
    assert banner.as_dict()["queues"] == [{"actors": "inbound", "kept": "in redis; it keeps nothing on disk"}]


def test_a_file_that_is_watched_is_named() -> None:
    """Whoever edits it shall not be surprised."""
    banner = replace(BANNER, watching="topology.yaml")
    assert "  watching  topology.yaml" in banner.lines()


def test_machines_read_the_same() -> None:
    """As one object."""
    document = json.loads(json.dumps(BANNER.as_dict()))
    assert document["status"] == "running"
    assert document["ready"] == {"actors": ["orders", "log"], "routes": ["to-log"]}
    assert document["waiting"][0]["name"] == "crm"
    assert document["try"] == ["curl -i http://127.0.0.1:8080/orders"]


def test_of_thousands_of_actors_some_are_named() -> None:
    """A screen has its limits."""
    many = Banner("big", 1, [], [f"a{number}" for number in range(2000)], [])
    (line,) = [line for line in many.lines() if "actors" in line]
    assert line.endswith("a10, a11 and 1,988 more")
