"""`router ps` and `router mailbox`, against recorded answers."""

import time
from typing import Any

import pytest

from tests.router.cli.conftest import Cli, Json, Recorded

ROUTER: Json = {
    "name": "shop",
    "version": "0.1.0",
    "pid": 4711,
    "uptime_s": 11405.2,
    "listening": [{"what": "http", "address": "http://127.0.0.1:8080"}, {"what": "control", "address": "/x/c.sock"}],
    "dead_letters": 3,
}


def box(depth: int = 0, *, capacity: int = 1000, oldest_age_s: float | None = None, in_hand: int = 0) -> Json:
    return {"depth": depth, "capacity": capacity, "oldest_age_s": oldest_age_s, "in_hand": in_hand}


def actor(name: str, state: str = "ready", **more: Any) -> Json:
    counts = {"succeeded": 120455, "refused": 31, "unknown": 2}
    return {
        "name": name,
        "kind": "actor",
        "type": "http",
        "roles": ["target"],
        "state": state,
        "why": "",
        "mailbox": box(12, oldest_age_s=2.13, in_hand=1),
        "counts": counts,
        "restarts": 0,
        "available": True,
        "unavailable_why": "",
        **more,
    }


def route(name: str, **more: Any) -> Json:
    ledger = {"accepted": 11, "delivered": 5, "filtered": 2, "dead_lettered": 3, "in_flight": 1, "difference": 0}
    return {
        "name": name,
        "kind": "route",
        "state": "ready",
        "why": "",
        "mailbox": box(),
        "backlog": 0,
        "ledger": ledger,
        "retrying": 0,
        "suspended": 0,
        "held_back": False,
        "restarts": 0,
        "oldest_age_s": None,
        **more,
    }


@pytest.fixture
def shop(control: Recorded) -> Recorded:
    """A router with an actor of each kind of trouble."""
    control.answer("GET", "/v1/router", ROUTER)
    show(
        control,
        [
            actor("orders", type="webhook", roles=["source"]),
            actor("stock"),
            actor("crm", available=False, unavailable_why="connection refused"),
            actor("pdf", "failed", why="ValueError: \x1b[31mboom", mailbox=box(1000), restarts=5),
            actor("fax", "disabled", available=False, unavailable_why="fax is disabled"),
        ],
        [route("to-stock"), route("to-crm", suspended=2, held_back=True, backlog=1234)],
    )
    return control


def show(control: Recorded, actors: list[Json], routes: list[Json]) -> None:
    control.answer("GET", "/v1/actors", {"actors": actors, "routes": routes})


def test_ps_shows_what_runs_and_what_waits(shop: Recorded, cli: Cli) -> None:
    """A headline, actors, routes, and under them why something is not ready."""
    ended = cli("ps")
    assert ended.code == 0
    assert ended.output.splitlines() == [
        "shop  up 3h 10m · http://127.0.0.1:8080 · 3 dead letters",
        "",
        "ACTOR   TYPE     STATE          MAILBOX  IN HAND     DONE  FAILED  OLDEST  RESTARTS",
        "orders  webhook  ready                –        –        –       –    2.1s         0",
        "stock   http     ready          12/1000        1  120,455      33    2.1s         0",
        "crm     http     unavailable    12/1000        1  120,455      33    2.1s         0",
        "pdf     http     failed       1000/1000        0  120,455      33       –         5",
        "fax     http     disabled       12/1000        1  120,455      33    2.1s         0",
        "",
        "ROUTE     STATE      MAILBOX  IN FLIGHT  ACCEPTED  DELIVERED  OTHER  RETRYING  DEAD  OLDEST  RESTARTS",
        "to-stock  ready       0/1000          1        11          5      2         0     3       –         0",
        "to-crm    suspended   0/1000          1        11          5      2         0     3       –         0",
        "",
        "crm is unavailable: connection refused",
        r"pdf is failed, after 5 restarts (`router restart pdf` revives it): ValueError: \x1b[31mboom",
        "to-crm has 1,234 messages more, in its journal alone",
    ]


def test_ps_lists_children_below_their_actor(control: Recorded, cli: Cli) -> None:
    """As many as it is asked for; how many more there are stands below."""
    child = {"name": "panel/1f-7", "kind": "child", "state": "ready", "mailbox": box(3, capacity=100)}
    child |= {"counts": {"handled": 40, "failed": 1, "dropped": 2}}
    control.answer("GET", "/v1/router", ROUTER)
    show(control, [actor("panel", type="websocket", children={"count": 1205, "shown": [child]})], [])
    ended = cli("ps", "--children", "1")
    assert control.asked[-1].query == {"children": "1"}
    assert ended.output.splitlines()[2:] == [
        "ACTOR         TYPE       STATE  MAILBOX  IN HAND     DONE  FAILED  OLDEST  RESTARTS",
        "panel         websocket  ready  12/1000        1  120,455      33    2.1s         0",
        "  panel/1f-7             ready    3/100        0       40       3       –",
        "",
        "panel has 1,204 children more: --children lists up to 1000",
    ]


def test_ps_gives_machines_all_there_is(shop: Recorded, cli: Cli) -> None:
    """As the control API has it, with the router beside."""
    answer = cli("ps", "--json").json
    assert answer["router"] == ROUTER
    assert [view["name"] for view in answer["actors"]] == ["orders", "stock", "crm", "pdf", "fax"]
    assert answer["routes"][1]["backlog"] == 1234


def test_ps_is_loud_about_a_ledger_that_does_not_balance(control: Recorded, cli: Cli) -> None:
    """It is a defect of the router, whatever else goes well."""
    control.answer("GET", "/v1/router", ROUTER)
    show(control, [], [route("r", ledger={"accepted": 1, "difference": 1})])
    assert "r has a ledger that differs by 1: messages were lost, which is a defect" in cli("ps").output


def test_ps_says_who_paused_what_and_what_was_restarted_and_why(control: Recorded, cli: Cli) -> None:
    control.answer("GET", "/v1/router", ROUTER)
    pause = {"state": "paused", "who": "uid 1000 (anna)", "why": "the provider asked for it", "at": time.time() - 125}
    show(
        control,
        [
            actor("crm", pause=pause, available=False, unavailable_why="crm is paused"),
            actor("fax", restarts=2, last_error="OSError: no line"),
            actor("sms", "restarting", restarts=1, why="OSError: no line", last_error="OSError: no line"),
        ],
        [route("r", pause={**pause, "state": "drained", "why": ""}, on_hold=1)],
    )
    output = cli("ps").output.splitlines()
    assert [line.split()[2] for line in output[3:6]] == ["paused", "ready", "restarting"]
    assert output[8].split()[1] == "drained"
    assert output[10:] == [
        "crm is paused by uid 1000 (anna), for 2m 5s: the provider asked for it",
        "fax was restarted 2 times, the last time for: OSError: no line",
        "sms is restarting, after 1 restart: OSError: no line",
        "r has 1 message on hold: `router mailbox` shows which, --release lets them go",
        "r is drained by uid 1000 (anna), for 2m 5s",
    ]


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"held_back": True}, "held back"),
        ({"suspended": 1, "held_back": True}, "suspended"),
        ({"state": "restarting", "why": "boom"}, "restarting"),
    ],
)
def test_a_route_s_state_says_what_keeps_it(control: Recorded, cli: Cli, more: Json, state: str) -> None:
    """`ready` alone would hide it."""
    control.answer("GET", "/v1/router", ROUTER)
    show(control, [], [route("r", **more)])
    assert state in cli("ps").output


def message(number: int, state: str, **more: Any) -> Json:
    return {
        "id": f"m-{number}",
        "key": None,
        "age_s": 2.0 * number,
        "attempt": 1,
        "size": 312,
        "preview": '{"to": "***"}',
        "target": None,
        "state": state,
        "retry_in_s": None,
        "last_error": None,
        **more,
    }


def mailbox(**lanes: list[Json]) -> Json:
    every = {"waiting": [], "in_flight": [], "retrying": [], "suspended": [], "held": [], **lanes}
    return {"name": "to-crm", **every, "counts": {lane: len(messages) for lane, messages in every.items()}}


def test_a_mailbox_shows_what_ends_first_first(control: Recorded, cli: Cli) -> None:
    """Columns in which nothing stands are left out; errors are told once, with how often."""
    lost = "connect: connection refused"
    view = mailbox(
        waiting=[message(3, "queued"), message(4, "queued")],
        in_flight=[message(1, "attempting", target="crm", attempt=2, last_error=lost)],
        retrying=[message(2, "retrying", target="crm", retry_in_s=3.2, last_error=lost)],
    )
    view["counts"]["waiting"] = 12
    control.answer("GET", "/v1/actors/to-crm/mailbox", view)
    ended = cli("mailbox", "to-crm")
    assert ended.output.splitlines() == [
        "to-crm: 1 in flight, 1 retrying, 12 waiting",
        "",
        "STATE             ID    AGE  TRY  SIZE  TARGET  MESSAGE",
        'attempting        m-1  2.0s    2  312B  crm     {"to": "***"}',
        'retrying in 3.2s  m-2  4.0s    1  312B  crm     {"to": "***"}',
        'queued            m-3  6.0s    1  312B  –       {"to": "***"}',
        'queued            m-4  8.0s    1  312B  –       {"to": "***"}',
        "",
        "last errors",
        "   2 × connect: connection refused",
        "",
        "10 messages more: --limit shows them",
    ]


def test_an_empty_mailbox_says_so(control: Recorded, cli: Cli) -> None:
    """And nothing else."""
    control.answer("GET", "/v1/actors/to-crm/mailbox", mailbox())
    assert cli("mailbox", "to-crm", "--limit", "7").output == "to-crm: empty\n"
    assert control.asked[-1].query == {"limit": "7"}


def whole(**more: Any) -> Json:
    """A message with all there is."""
    view = {"id": "m-2", "source": "orders", "time": 1.7e9, **message(2, "retrying", retry_in_s=3.2), **more}
    del view["preview"]
    return view


def test_one_message_is_shown_whole(control: Recorded, cli: Cli) -> None:
    """What is known of it, its headers, and its data; nothing a terminal would obey."""
    view = whole(headers={"x-request-id": "a\nb"}, data={"to": "***", "text": "señal\x9b2J"})
    control.answer("GET", "/v1/actors/to-crm/mailbox/m-2", view)
    output = cli("mailbox", "to-crm", "--message", "m-2").output
    assert output.startswith("id        m-2\nsource    orders\ntime      2023-11-1")
    assert "\nretry in  3.2s\n" in output
    assert "\nheaders\nx-request-id  a\\nb\n" in output
    assert output.endswith('\ndata\n{\n  "to": "***",\n  "text": "señal\\u009b2J"\n}\n')
    assert cli("mailbox", "to-crm", "--message", "m-2", "--json").json == view


def test_bytes_are_shown_in_base64(control: Recorded, cli: Cli) -> None:
    """JSON has no other form for them."""
    control.answer("GET", "/v1/actors/to-crm/mailbox/m-2", whole(data_base64="gAE="))
    assert cli("mailbox", "to-crm", "--message", "m-2").output.endswith("\ndata (bytes, in base64)\ngAE=\n")
