"""`router ps`: what runs, and why something does not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence, Set
from itertools import chain
from typing import Annotated, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.figures import NOTHING, count, plural, span
from router.cli.options import AsJson, Control
from router.cli.table import Cell, Column, print_note, print_table
from router.cli.terminal import Style, print_json

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
_OTHER: Final = ("filtered", "deduplicated", "merged", "dropped", "expired", "returned")
"""How a message ends besides delivered and dead: as the topology asks for it."""


Children = Annotated[
    int, typer.Option("--children", metavar="N", min=0, max=1000, help="Children of an actor, such as its clients.")
]


@app.command(cls=Command, epilog="router ps\nrouter ps --json | jq '.routes[] | {name, ledger}'")
def ps(children: Children = 10, as_json: AsJson = False, control: Control = None) -> None:
    """Show actors and routes: state, what waits, counts, restarts.

    Below an actor stand children that it has started for itself, such as one for each client: those for whom most
    waits. Under the tables stands why an actor or a route is not ready, who paused it, and what it was restarted for.
    Counts are of this process since it started; OTHER is what was filtered, deduplicated, merged, dropped or expired,
    as the topology or an operator asked for it, or went back to its queue for another attempt.
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
    if any("queue" in (view.get("about") or {}) for view in actors):
        told = {str(view.get("name")) for view in actors if view.get("available") is False}
        notes += _queue_notes(client.get("queues").get("queues", ()), told)
    if notes:
        print()
        for note in notes:
            print_note(*note)


def _print_headline(router: Json) -> None:
    parts = [f"up {span(router.get('uptime_s'))}"]
    parts += [str(item["address"]) for item in router.get("listening", ()) if item.get("what") == "http"]
    if letters := router.get("dead_letters"):
        parts.append(plural(letters, "dead letter"))
    if node := router.get("node"):
        parts.insert(0, f"node {node}")
    print_note(str(router.get("name")), f" {' · '.join(parts)}")


def _state(view: Json) -> Cell:
    state = str(view.get("state"))
    if state == "ready" and (pause := view.get("pause")):
        return Cell(str(pause.get("state")), "yellow")
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
    if held := view.get("on_hold"):
        yield f"has {plural(held, 'message')} on hold: `router mailbox` shows which, --release lets them go", None
    state, pause, restarts = _state(view).text, view.get("pause"), view.get("restarts")
    if pause:
        lasting = span(time.time() - pause["at"]) if isinstance(pause.get("at"), int | float) else NOTHING
        told = f"is {pause.get('state')} by {pause.get('who')}, for {lasting}"
        yield f"{told}: {pause['why']}" if pause.get("why") else told, None
    why = view.get("why") or ("" if pause else view.get("unavailable_why"))
    if why and state not in ("ready", "stopped", "disabled"):
        again = f", after {plural(restarts, 'restart')}" if restarts else ""
        revived = f" (`router restart {view.get('name')}` revives it)" if state == "failed" else ""
        yield f"is {state}{again}{revived}: {why}", None
    elif restarts and view.get("last_error"):
        yield f"was restarted {plural(restarts, 'time')}, the last time for: {view['last_error']}", None
    if difference := (view.get("ledger") or {}).get("difference"):
        told = "lost" if difference > 0 else "made up"
        yield f"has a ledger that differs by {difference}: messages were {told}, which is a defect", "red"


def _queue_notes(queues: Iterable[Json], unavailable: Set[str]) -> Iterable[tuple[str, str, Style | None]]:
    """That a queue is paused, or its store away: its actors are not, and are ready, but for those `unavailable`."""
    for queue in queues:
        names = list(map(str, queue.get("actors", ())))
        if queue.get("available") is False and not unavailable >= set(names):
            spilled = queue.get("spilled")
            kept = f"; {plural(spilled, 'job waits', 'jobs wait')} in the state directory for it" if spilled else ""
            yield f"the store of queue {queue.get('name')}", f"is away: {queue.get('unavailable_why')}{kept}", "yellow"
        if queue.get("paused"):
            told = f"{'has' if len(names) == 1 else 'have'} the queue {queue.get('name')}, which is paused"
            yield ", ".join(names), f"{told} for all that work it: `router queue resume {names[0]}` ends that", None
