"""`router trace`: one message's way, as a timeline."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.figures import moment, span
from router.cli.options import AsJson, Control
from router.cli.table import GAP, print_note, terminal_width
from router.cli.terminal import Style, cut, print_json, printable, styled, width

app = typer.Typer(**APP)

LEAST_TEXT: Final = 30
"""Columns for what happened; names are cut for them."""

_STATES: Final = {
    "queued": "waits in its mailbox",
    "attempting": "is at the target",
    "marking": "is being marked in the journal",
    "dead_lettering": "becomes a dead letter",
    "retrying": "waits for its next attempt",
    "suspended": "waits for a target that is away",
    "limited": "waits for the target's limit",
    "ready": "goes on next",
    "held": "is with a step",
    "ordered": "waits for the one before it",
    "on_hold": "is held by an operator",
}

_STYLES: Final[dict[str, Style]] = {
    "delivered": "green",
    "dead_lettered": "red",
    "dropped": "red",
    "expired": "red",
    "returned": "yellow",
    "attempt_failed": "yellow",
    "suspended": "yellow",
    "lost": "red",
    "reply_lost": "yellow",
}


@app.command(cls=Command, epilog="router trace 6720aa3f01d2-17\nrouter trace order-17 --json")
def trace(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A message's id, or that of a part of one, such as ID-2.")],
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Show one message's way: times, steps, attempts and outcomes.

    That is its way through all routes and actors. Times count from when the first route accepted it; parts that a step
    has made of it are shown with it. The router remembers what ended last, in memory, as `settings.trace` says; dead
    letters are kept longer.
    """
    view = Client(control_socket(control)).get("traces", id_)
    if as_json:
        print_json(view)
        return
    happenings: list[Json] = view.get("happenings", [])
    _print_headline(view, happenings)
    print()
    _print_timeline(str(view.get("id")), happenings)


def _print_headline(view: Json, happenings: Sequence[Json]) -> None:
    began = happenings[0] if happenings else {}
    ends = [one for one in happenings if one.get("what") == "ended"]
    text = f"accepted {moment(began.get('at'))}"
    if view.get("under_way"):
        text += ", still under way"
    elif ends:
        text += f", {_word(ends[-1].get('outcome'))} {_after(ends[-1].get('after_s'))} later"
    print_note(str(view.get("id")), text)


def _print_timeline(wanted: str, happenings: Sequence[Json]) -> None:
    parted = any(one.get("id") not in (None, wanted) for one in happenings)
    titles = ["after", "route", *(["id"] if parted else [])]
    rows = [
        [_after(one.get("after_s")), str(one.get("route") or ""), *([str(one.get("id") or "")] if parted else [])]
        for one in happenings
    ]
    rows = [[printable(text) for text in row] for row in rows]
    widths = [max(width(row[place]) for row in [titles, *rows]) for place in range(len(titles))]
    room = terminal_width()
    if room is not None:
        while sum(widths) + GAP * len(widths) + LEAST_TEXT > room and max(widths[1:]) > 8:
            widest = max(range(1, len(widths)), key=widths.__getitem__)
            widths[widest] -= 1
    before = sum(widths) + GAP * len(widths)
    print(styled(_columns([title.upper() for title in titles], widths) + "WHAT", "dim", sys.stdout))
    for row, one in zip(rows, happenings, strict=True):
        text = printable(_text(one))
        lines = textwrap.wrap(text, max(room - before, LEAST_TEXT)) if room is not None else [text]
        style = _STYLES.get(str(one.get("outcome") or one.get("what")))
        for number, line in enumerate(lines):
            begin = _columns(row, widths) if not number else " " * before
            print(begin + (styled(line, style, sys.stdout) if style else line))


def _columns(texts: Sequence[str], widths: Sequence[int]) -> str:
    shown = [cut(text, room) for text, room in zip(texts, widths, strict=True)]
    blanks = [" " * (room - width(text)) for text, room in zip(shown, widths, strict=True)]
    # The first is a number.
    cells = [blanks[0] + shown[0], *(text + blank for text, blank in zip(shown[1:], blanks[1:], strict=True))]
    return "".join(cell + " " * GAP for cell in cells)


def _text(one: Json) -> str:
    target, attempt = one.get("target"), one.get("attempt") or 1
    through = f", behind {', '.join(one['steps'])}" if one.get("steps") else ""
    match one.get("what"):
        case "accepted":
            replay = f", as a replay of {one['letter']}" if one.get("letter") else ""
            return f"accepted from {one.get('source')}{replay}"
        case "handed_over":
            return f"handed to {target}{f', attempt {attempt}' if attempt > 1 else ''}{through}"
        case "attempt_failed":
            retry = one.get("retry_in_s")
            then = f"; again in {span(retry)}" if retry is not None else ""
            return f"attempt {attempt} at {target} failed ({one.get('reason')}): {one.get('error')}{then}"
        case "ended":
            return _end(one, through)
        case "under_way":
            where = f" (for {target}, attempt {attempt})" if target else ""
            due = f" in {span(one.get('retry_in_s'))}" if one.get("retry_in_s") is not None else ""
            return f"now: {_STATES.get(str(one.get('state')), one.get('state'))}{due}{where}"
        case "suspended":
            return f"the route waits for {target}: {one.get('error')}"
        case "resumed":
            return "the route goes on"
        case "switched":
            return f"revision {one.get('revision')} runs from here on"
        case "reply_lost":
            return "its reply reached nobody: whoever asked had given up"
        case "lost":
            return "lost, which is a defect of the router"
        case other:
            return str(other)


def _end(one: Json, through: str) -> str:
    outcome = _word(one.get("outcome"))
    reason = f": {one['reason']}" if one.get("reason") else ""
    if one.get("whole"):
        return f"split by {one.get('step') or 'a step'}, and all parts have ended; the whole is {outcome}{reason}"
    if one.get("targets"):
        to = ", ".join(one["targets"])
        return f"delivered to {to}" if outcome == "delivered" else f"the whole, to {to}, is {outcome}{reason}"
    if one.get("step"):
        return f"{outcome} by the step {one['step']}{through}{reason}"
    if one.get("outcome") == "filtered" and not one.get("steps"):
        return (
            f"{outcome} by the route's `when`, or by a split into nothing{reason}" if not reason else outcome + reason
        )
    to = f" on its way to {one['target']}" if one.get("target") and outcome != "delivered" else ""
    return f"{outcome}{to}{through}{reason}"


def _word(outcome: object) -> str:
    return str(outcome).replace("_", "-")


def _after(seconds: float | None) -> str:
    """Since the beginning: most of it takes less than a millisecond."""
    if seconds is None or seconds >= 1.0:
        return span(seconds)
    return f"{seconds * 1000:.1f}ms"
