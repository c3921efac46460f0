"""`router ps` and `router mailbox`: what runs, and what waits in it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.figures import NOTHING, count, moment, plural, size, span
from router.cli.options import AsJson, Control, Limit, names
from router.cli.table import Cell, Column, print_facts, print_note, print_table
from router.cli.terminal import Style, print_data, print_json, printable, styled

app = typer.Typer(**APP)

_STATE_STYLES: Final[dict[str, Style]] = {"ready": "green", "failed": "red", "stopped": "dim", "disabled": "dim"}
"""All other states lead to one of these."""

_ACTOR_COLUMNS: Final = (
    Column("actor", least=16),
    Column("type", spare=2),
    Column("state"),
    Column("mailbox", right=True),
    Column("in hand", right=True, spare=3),
    Column("done", right=True),
    Column("failed", right=True),
    Column("oldest", right=True),
    Column("restarts", right=True, spare=1),
)
_ROUTE_COLUMNS: Final = (
    Column("route", least=16),
    Column("state"),
    Column("mailbox", right=True),
    Column("in flight", right=True, spare=2),
    Column("accepted", right=True),
    Column("delivered", right=True),
    Column("other", right=True, spare=2),
    Column("retrying", right=True, spare=3),
    Column("dead", right=True),
    Column("oldest", right=True, spare=1),
    Column("restarts", right=True, spare=4),
)
_OTHER: Final = ("filtered", "deduplicated", "merged", "dropped", "expired")
"""How a message ends besides delivered and dead: as the topology asks for it."""

_MESSAGE_COLUMNS: Final = (
    Column("state"),
    Column("id", least=12),
    Column("key", least=8),
    Column("age", right=True),
    Column("try", right=True),
    Column("size", right=True, spare=2),
    Column("target", least=10, spare=1),
    Column("message", least=20),
)
_SECTIONS: Final = ("in_flight", "retrying", "suspended", "held", "waiting")
"""Of a mailbox, in the order in which their messages will end."""


Children = Annotated[
    int, typer.Option("--children", metavar="N", min=0, max=1000, help="Children of an actor, such as its clients.")
]


@app.command(cls=Command, epilog="router ps\nrouter ps --json | jq '.routes[] | {name, ledger}'")
def ps(children: Children = 10, as_json: AsJson = False, control: Control = None) -> None:
    """Show actors and routes: state, what waits, counts, restarts.

    Below an actor stand children that it has started for itself, such as one for each client: those for whom most
    waits. Under the tables stands why an actor or a route is not ready. Counts are of this process since it started;
    OTHER is what was filtered, deduplicated, merged, dropped or expired, as the topology asks for it.
    """
    client = Client(control_socket(control))
    router, answer = client.get("router"), client.get("actors", children=children)
    actors: list[Json] = answer.get("actors", [])
    routes: list[Json] = answer.get("routes", [])
    if as_json:
        print_json({"router": router, "actors": actors, "routes": routes})
        return
    _print_headline(router)
    if actors:
        print()
        print_table(_ACTOR_COLUMNS, chain.from_iterable(map(_actor_rows, actors)))
    if routes:
        print()
        print_table(_ROUTE_COLUMNS, map(_route_row, routes))
    notes = [(str(view.get("name")), *note) for view in (*actors, *routes) for note in _notes(view)]
    if notes:
        print()
        for note in notes:
            print_note(*note)


@app.command(
    cls=Command,
    epilog="router mailbox notify-clientes\nrouter mailbox notify-clientes --message 6720aa3f01d2-17",
)
def mailbox(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An actor or a route.", autocompletion=names)],
    message: Annotated[str | None, typer.Option("--message", metavar="ID", help="Show this message whole.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Show what waits for an actor or a route, and what is in flight.

    That is also what waits for a retry, and for a target that is away. Fields that the topology's `settings.redact`
    names are masked.
    """
    client = Client(control_socket(control))
    if message is not None:
        whole = client.get("actors", name, "mailbox", message)
        print_json(whole) if as_json else show_message(whole)
        return
    view = client.get("actors", name, "mailbox", limit=limit)
    if as_json:
        print_json(view)
        return
    counts = {section: view.get("counts", {}).get(section, len(view.get(section, ()))) for section in _SECTIONS}
    shown = [(section, one) for section in _SECTIONS for one in view.get(section, ())]
    told = [f"{count(number)} {section.replace('_', ' ')}" for section, number in counts.items() if number]
    print(f"{printable(view.get('name', name))}: {', '.join(told) or 'empty'}")
    if shown:
        print()
        print_messages(shown)
    missing = sum(counts.values()) - len(shown)
    if missing > 0:
        print(styled(f"\n{plural(missing, 'message')} more: --limit shows them", "dim", sys.stdout))


def print_messages(messages: Sequence[tuple[str, Json]]) -> None:
    """Print messages of a mailbox, each with the part of the mailbox that it is in."""
    rows = [_message_row(*message) for message in messages]
    # A column in which nothing stands takes room from what the message holds.
    kept = [place for place, _ in enumerate(_MESSAGE_COLUMNS) if any(row[place] != NOTHING for row in rows)]
    print_table([_MESSAGE_COLUMNS[place] for place in kept], ([row[place] for place in kept] for row in rows))
    errors = Counter(view["last_error"] for _, view in messages if view.get("last_error"))
    if errors:
        print(styled("\nlast errors", "dim", sys.stdout))
        for error, times in errors.most_common():
            print(f"{times:>4} × {printable(error)}")


def _message_row(section: str, view: Json) -> list[str]:
    state = str(view.get("state") or section).replace("_", " ")
    due = view.get("retry_in_s")
    return [
        state if due is None else f"{state} in {span(due)}",
        view.get("id") or NOTHING,
        str(view["key"]) if view.get("key") is not None else NOTHING,
        span(view.get("age_s")),
        count(view.get("attempt")),
        size(view.get("size")),
        view.get("target") or NOTHING,
        view.get("preview") or "",
    ]


def show_message(view: Json) -> None:
    """Print a message whole: what is known of it, its headers, and its data."""
    facts = dict(view)
    headers = facts.pop("headers", None) or {}
    data, encoded = facts.pop("data", None), facts.pop("data_base64", None)
    print_facts(_facts(name, value) for name, value in facts.items())
    if headers:
        print(styled("\nheaders", "dim", sys.stdout))
        print_facts(headers.items())
    print(styled("\ndata" if encoded is None else "\ndata (bytes, in base64)", "dim", sys.stdout))
    print_data(data if encoded is None else encoded)


def _facts(name: str, value: Any) -> tuple[str, str]:
    words = name.removesuffix("_s").replace("_", " ")
    if value is None:
        return words, ""
    if isinstance(value, bool):
        return words, "yes" if value else "no"
    if isinstance(value, int | float):
        if name.endswith("_s"):
            return words, span(value)
        if name in ("time", "at", "expirytime"):
            return words, moment(value)
        if name == "size":
            return words, size(int(value))
    return words, str(value)


def _print_headline(router: Json) -> None:
    parts = [f"up {span(router.get('uptime_s'))}"]
    parts += [str(item["address"]) for item in router.get("listening", ()) if item.get("what") == "http"]
    if letters := router.get("dead_letters"):
        parts.append(plural(letters, "dead letter"))
    print_note(str(router.get("name")), f" {' · '.join(parts)}")


def _state(view: Json) -> Cell:
    state = str(view.get("state"))
    if state == "ready" and view.get("available") is False:
        return Cell("unavailable", "yellow")
    if state == "ready" and view.get("kind") == "route":
        if view.get("suspended"):
            return Cell("suspended", "yellow")
        if view.get("held_back"):
            return Cell("held back", "yellow")
    return Cell(state, _STATE_STYLES.get(state, "yellow"))


def _fill(box: Json) -> Cell:
    depth, capacity = box.get("depth") or 0, box.get("capacity")
    return Cell(f"{depth}/{capacity}", "yellow" if capacity and depth >= capacity else None)


def _bad(number: int | None, style: Style) -> Cell:
    return Cell(count(number), style if number else None)


def _actor_row(view: Json) -> Sequence[Cell | str]:
    box, counts = view.get("mailbox") or {}, view.get("counts") or {}
    # What is only a source is delivered nothing.
    is_target = "target" in view.get("roles", ())
    return (
        str(view.get("name")),
        str(view.get("type")),
        _state(view),
        _fill(box) if is_target else NOTHING,
        count(box.get("in_hand")) if is_target else NOTHING,
        count(counts.get("succeeded")) if is_target else NOTHING,
        _bad((counts.get("refused") or 0) + (counts.get("unknown") or 0), "yellow") if is_target else NOTHING,
        span(box.get("oldest_age_s")),
        _bad(view.get("restarts"), "yellow"),
    )


def _actor_rows(view: Json) -> Iterable[Sequence[Cell | str]]:
    yield _actor_row(view)
    for child in (view.get("children") or {}).get("shown", ()):
        box, counts = child.get("mailbox") or {}, child.get("counts") or {}
        yield (
            f"  {child.get('name')}",
            "",
            _state(child),
            _fill(box),
            count(box.get("in_hand")),
            count(counts.get("handled")),
            _bad((counts.get("failed") or 0) + (counts.get("dropped") or 0), "yellow"),
            span(box.get("oldest_age_s")),
            "",
        )


def _route_row(view: Json) -> Sequence[Cell | str]:
    ledger = view.get("ledger") or {}
    return (
        str(view.get("name")),
        _state(view),
        _fill(view.get("mailbox") or {}),
        count(ledger.get("in_flight")),
        count(ledger.get("accepted")),
        count(ledger.get("delivered")),
        count(sum(ledger.get(outcome) or 0 for outcome in _OTHER)),
        _bad(view.get("retrying"), "yellow"),
        _bad(ledger.get("dead_lettered"), "red"),
        span(view.get("oldest_age_s")),
        _bad(view.get("restarts"), "yellow"),
    )


def _notes(view: Json) -> Iterable[tuple[str, Style | None]]:
    """What a person should know of an actor or a route besides its figures."""
    if backlog := view.get("backlog"):
        yield f"has {plural(backlog, 'message')} more, in its journal alone", None
    if family := view.get("children"):
        if (more := (family.get("count") or 0) - len(family.get("shown", ()))) > 0:
            yield f"has {plural(more, 'child', 'children')} more: --children lists up to 1000", None
    state = _state(view).text
    why = view.get("why") or view.get("unavailable_why")
    if why and state not in ("ready", "stopped", "disabled"):
        yield f"is {state}: {why}", None
    if difference := (view.get("ledger") or {}).get("difference"):
        told = "lost" if difference > 0 else "made up"
        yield f"has a ledger that differs by {difference}: messages were {told}, which is a defect", "red"
