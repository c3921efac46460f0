"""All that is known of one actor or route, as lines of text; and what keeps it from its work."""

import re

import pytest

from router.cli.top.entry import Entry
from router.cli.top.facts import headline, lines
from router.cli.top.sample import Json
from tests.router.cli.top.readings import actor, box, entries, reading, route, sample


def text(entry: Entry, others: list[Entry] | None = None, mailbox: Json | None = None, room: int = 78) -> str:
    shown = [line.plain.rstrip() for line in lines(entry, others or [entry], mailbox, room)]
    assert max(map(len, shown)) <= room
    return "\n".join(shown)


def one(view: Json) -> Entry:
    (entry,) = entries(view)
    return entry


def test_a_route_is_shown_with_both_sides_of_its_ledger() -> None:
    """Each term with its rate, their sums, and the difference."""
    ledger = {"delivered": 1100, "filtered": 50, "queued": 40, "in_flight": 10}
    taken = sample(reading(1.0, route("to-crm", 1000)), reading(3.0, route("to-crm", 1200, ledger=ledger)))
    shown = text(Entry(taken.now.views["to-crm"], taken))
    assert "from orders  to crm" in shown
    assert "accepted            1,200    100/s    delivered           1,100     50/s" in shown
    assert "sum                 1,200             sum                 1,200" in shown
    assert "difference              0" in shown


def test_a_ledger_that_does_not_balance_is_loud() -> None:
    """It is a defect of the router, whatever else goes well."""
    entry = one(route("r", 5, ledger={"difference": 1}))
    assert next(entry.notes) == ("its ledger differs by 1: messages were lost, which is a defect", "red")


@pytest.mark.parametrize(
    ("view", "state", "note"),
    [
        (route("r", suspended=2), "suspended", "2 messages wait for a target that is away"),
        (route("r", held_back=True), "held back", "holds its sources back"),
        (route("r", state="restarting", why="boom"), "restarting", "restarting: boom"),
        (actor("a", state="failed", why="boom"), "failed", "failed: boom"),
        (actor("a", state="failed", why="boom", restarts=5), "failed", "failed after 5 restarts: boom"),
        (actor("a", available=False, unavailable_why="refused"), "unavailable", "unavailable: refused"),
        (actor("a", restarts=2, last_error="boom"), "ready", "2 restarts, the last for: boom"),
    ],
)
def test_a_state_says_what_keeps_it_and_a_note_why(view: Json, state: str, note: str) -> None:
    """`ready` alone would hide it."""
    entry = one(view)
    assert entry.state == state
    assert next(entry.notes)[0] == note
    assert note in text(entry)


@pytest.mark.parametrize("kind", ["paused", "drained"])
def test_who_paused_it_is_told(kind: str) -> None:
    """And that goes before what follows from it: a paused target is unavailable."""
    pause = {"state": kind, "who": "uid 1000 (ana)", "why": "new endpoint", "at": 1.7e9}
    entry = one(actor("a", available=False, unavailable_why=f"is {kind}", pause=pause))
    assert entry.state == kind
    note, _ = next(entry.notes)
    assert note.startswith(f"{kind} by uid 1000 (ana) since 2023-11-1")
    assert note.endswith(": new endpoint")


def test_an_actor_names_the_routes_to_and_from_it() -> None:
    """And what became of its deliveries."""
    shown = entries(
        actor("orders", roles=["source"], type="webhook"), actor("crm", 7, about={"topic": "a/b"}), route("r")
    )
    assert "into routes r" in text(shown[0], shown)
    told = text(shown[1], shown)
    assert "from routes r" in told
    assert "succeeded               7" in told
    assert "topic              a/b" in told
    assert headline(shown[0]).plain == "orders  webhook actor  ready"


def test_what_waits_is_listed_with_what_it_failed_of() -> None:
    """Those first that end first; cut where the terminal ends, and nothing in it that a terminal obeys."""
    message = {"id": "m-1", "key": "k", "age_s": 2.0, "attempt": 3, "size": 312, "preview": "x" * 200 + "\x1b[2J"}
    retrying = {**message, "state": "retrying", "retry_in_s": 3.2, "last_error": "connect: \x1b[31mrefused"}
    mailbox = {"waiting": [message], "retrying": [retrying], "counts": {"waiting": 70, "retrying": 1}}
    shown = text(one(route("r", mailbox=box(70))), mailbox=mailbox)
    assert "MESSAGES  1 retrying, 70 waiting" in shown
    assert re.search(r"^retrying in 3.2s +2.0s +3. +312B  m-1 k x+…\n +connect: .*\nwaiting ", shown, re.MULTILINE)
    assert "    connect: \\x1b[31mrefused" in shown
    assert "\x1b" not in shown


def test_why_the_messages_cannot_be_shown_is_told() -> None:
    """A viewer may see figures, and no messages."""
    assert text(one(route("r")), mailbox={"why": "this needs the role operator"}).endswith("the role operator")


def test_children_are_shown_those_with_most_first() -> None:
    """Such as the clients of a WebSocket endpoint."""
    child = {"name": "ws/1", "state": "ready", "mailbox": box(3, capacity=6), "counts": {"handled": 9, "dropped": 1}}
    assert "ws/1  ready     ▇▇▇▇▁▁▁▁ 3/6  9 handled, 1 dropped" in text(one(actor("a")), mailbox={"children": [child]})
