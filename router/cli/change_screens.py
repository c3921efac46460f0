"""What a change would do, and what it did, for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from router.cli.client import Json
from router.cli.figures import NOTHING, count, plural, span
from router.cli.table import Cell, Column, print_note, print_table
from router.cli.terminal import Style, styled

_ACTOR_FATES: Final[Mapping[str, tuple[str, Style | None]]] = {
    "started": ("starts", "green"),
    "stopped": ("stops once it is empty", "red"),
    "beside": ("new one beside the old", None),
    "handed_over": ("new one takes over", None),
    "break": ("new one after a gap", "yellow"),
}
_ROUTE_FATES: Final[Mapping[str, tuple[str, Style | None]]] = {
    "started": ("starts", "green"),
    "stopped": ("ends once it is empty", "red"),
    "rewired": ("goes on, changed", None),
}
_ACTOR_COLUMNS: Final = (
    Column("actor", least=16),
    Column("becomes"),
    Column("changes", least=12),
    Column("waiting", right=True),
    Column("in hand", right=True, spare=1),
)
_ROUTE_COLUMNS: Final = (
    Column("route", least=16),
    Column("becomes"),
    Column("changes", least=12),
    Column("queued", right=True),
    Column("in flight", right=True, spare=1),
)
_LEDGER_COLUMNS: Final = (
    Column("route", least=12),
    Column("when"),
    Column("came in", right=True),
    Column("ended", right=True),
    Column("queued", right=True),
    Column("in flight", right=True),
    Column("difference", right=True),
)
_CAME_IN: Final = ("accepted", "split_out")
_ENDED: Final = (
    *("delivered", "filtered", "deduplicated", "merged"),
    *("dropped", "expired", "dead_lettered", "returned"),
)
_GAP: Final = (
    "can start: what is sent there meanwhile waits, and clients of HTTP are answered 503; mostly that is well under a "
    "second"
)


def print_plan(plan: Json) -> None:
    """Print what changes; what stays as it is takes one line."""
    actors, routes = _changed(plan, "actors"), _changed(plan, "routes")
    if plan.get("empty"):
        print("nothing changes: all actors and routes stay as they are")
    if actors:
        print_table(_ACTOR_COLUMNS, (_row(one, _ACTOR_FATES, "waiting", "in_hand") for one in actors))
    if routes:
        if actors:
            print()
        print_table(_ROUTE_COLUMNS, (_row(one, _ROUTE_FATES, "queued", "in_flight") for one in routes))
    kept = [
        plural(number, what)
        for what, all_, some in (("actor", plan.get("actors", []), actors), ("route", plan.get("routes", []), routes))
        if (number := len(all_) - len(some))
    ]
    if kept and not plan.get("empty"):
        stays = "stays as it is" if kept in (["1 actor"], ["1 route"]) else "stay as they are"
        print(styled(f"\n{' and '.join(kept)} {stays}", "dim", sys.stdout))
    if connections := plan.get("connections", []):
        print()
        print_note("opened anew:", ", ".join(f"connection {name}" for name in connections))
    for title, key in (("Promised no longer:", "promises"), ("Left behind:", "left_behind")):
        texts: list[str] = plan.get(key, [])
        if texts:
            print(f"\n{styled(title, 'yellow', sys.stdout)}")
        for text in texts:
            print_note("  -", text)
    gaps = [str(one.get("name")) for one in actors if one.get("gap")]
    if gaps:
        print()
        end = "has to end before its successor" if len(gaps) == 1 else "have to end before their successors"
        print_note(", ".join(gaps), f"{end} {_GAP}", "yellow")
    settings: list[str] = plan.get("settings", [])
    if settings:
        print()
        takes = "takes" if len(settings) == 1 else "take"
        named = ", ".join(f"settings.{name}" for name in settings)
        print_note(named, f"cannot change while it runs, and {takes} effect at the next start")


def print_changed(answer: Json, *, done: str) -> None:
    """Print what a change did; `done` says it in a word."""
    report: Json | None = answer.get("report")
    revision = answer.get("revision")
    if revision is None:
        print("nothing changes: this is what runs")
    else:
        took = f", and what it replaced ended within {span(report.get('seconds'))}" if report else ""
        print(f"{done}: revision {revision} runs{took}")
    for remark in answer.get("remarks", []):
        print_note("note:", str(remark))
    if report is not None:
        print_report(report)


def print_report(report: Json) -> None:
    """Print the ledgers before and after a change, and how long actors were not there."""
    routes: list[Json] = report.get("routes", [])
    if routes:
        print()
        print_table(_LEDGER_COLUMNS, (row for route in routes for row in _ledger_rows(route)))
    for gap in report.get("gaps", []):
        print_note(str(gap.get("actor")), f"was not there for {span(gap.get('seconds'))}", "yellow")
    if not report.get("difference"):
        why = f"both sides agree on {plural(len(routes), 'route')}" if routes else "no route was touched"
        print(f"\n{styled(f'nothing was lost: {why}', 'green', sys.stdout)}")


def _changed(plan: Json, kind: str) -> list[Json]:
    return [one for one in plan.get(kind, []) if one.get("fate") != "kept"]


def _row(one: Json, fates: Mapping[str, tuple[str, Style | None]], waiting: str, running: str) -> Sequence[Cell | str]:
    fate = str(one.get("fate"))
    text, style = fates.get(fate, (fate, None))
    why = ", ".join(map(str, one.get("why", []))) or NOTHING
    return [str(one.get("name")), Cell(text, style), why, count(one.get(waiting)), count(one.get(running))]


def _ledger_rows(route: Json) -> Iterable[Sequence[Cell | str]]:
    for name, when in ((str(route.get("route")), "before"), ("", "after")):
        side: Json = route.get(when, {})
        difference = side.get("difference", 0)
        yield [
            name,
            when,
            count(sum(side.get(key, 0) for key in _CAME_IN)),
            count(sum(side.get(key, 0) for key in _ENDED)),
            count(side.get("queued", 0)),
            count(side.get("in_flight", 0)),
            Cell(count(difference), "red" if difference else None),
        ]
