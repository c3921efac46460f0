"""`router tap`: live copies of messages, until they are enough."""

from __future__ import annotations

import re
import sys
import time
from typing import Annotated, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import Failure
from router.cli.figures import count as counted
from router.cli.figures import plural
from router.cli.options import AsJson, Control, names
from router.cli.table import terminal_width
from router.cli.terminal import Style, cut, print_data, print_json_line, printable, styled, width

app = typer.Typer(**APP)

_RATE: Final = re.compile(r"([0-9]+)/(s|m|h)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
LIMIT: Final = "100/s"
QUIET_S: Final = 30.0
"""The router says something every few seconds; without that for so long it is gone."""

NAME_WIDTH: Final = 16
"""Of the names that were given, at most."""
ID_WIDTH: Final = 20
NARROW: Final = 100
"""In a terminal of fewer columns ids have less room, so that something is left for the message."""
NARROW_ID_WIDTH: Final = 16
OUTCOME_WIDTH: Final = 13

_OUTCOMES: Final[dict[str, Style]] = {
    "delivered": "green",
    "dead_lettered": "red",
    "dropped": "red",
    "expired": "red",
    "returned": "yellow",
}


@app.command(
    cls=Command,
    epilog="router tap clientes-in\nrouter tap to-mqtt --where \"data.kind == 'alarm'\" --count 10\n"
    "router tap door to-mqtt notify --sample 10% --limit 20/s\nrouter tap to-mqtt --json | jq 'select(.id)'",
)
def tap(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Sources, routes and targets.", autocompletion=names)
    ],
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="Only messages for which this holds, as in `when`.")
    ] = None,
    sample: Annotated[
        str, typer.Option("--sample", metavar="PERCENT", help="The share of messages that is looked at.")
    ] = "100%",
    limit: Annotated[
        str, typer.Option("--limit", metavar="RATE", help="Show at most so many, such as 20/s or 5/m.")
    ] = LIMIT,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End behind so many.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Show headers and data, in place of a preview.")] = False,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Show live copies of messages, as they come in, end or are handed over.

    A source shows what comes in there, a route how its messages end, a target what is handed to it.

    It never slows the flow: what is too much is left out, and a line says how much that was. It goes on over swaps,
    until Ctrl-C. Fields that the topology's `settings.redact` names are masked. With --json each line is a document.
    """
    client = Client(control_socket(control), timeout_s=QUIET_S)
    lines = client.lines(
        "taps",
        name=",".join(names),
        where=where,
        sample=_share(sample),
        limit=_per_s(limit),
        count=count,
        whole="true" if whole else None,
    )
    shown = 0
    for line in lines:
        shown += "id" in line
        if as_json:
            print_json_line(line)
        elif "id" in line:
            _print_message(line, min(NAME_WIDTH, max(map(width, names))))
        else:
            _print_remark(line)
        sys.stdout.flush()
    if count is None or shown < count:
        raise Failure("the router ended it, since it stops")


def _share(given: str) -> float:
    from actors.kit.units import parse_percentage

    try:
        share = parse_percentage(given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sample") from None
    if not share:
        raise typer.BadParameter("a sample of 0% shows nothing", param_hint="--sample")
    return share


def _per_s(given: str) -> float:
    match = _RATE.fullmatch(given)
    if match is None or not int(match[1]):
        raise typer.BadParameter(f"expected a rate such as {LIMIT} or 5/m, not {given!r}", param_hint="--limit")
    return int(match[1]) / _SECONDS[match[2]]


def _print_message(line: Json, name_width: int) -> None:
    at = float(line.get("at") or 0.0)
    clock = f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at * 1000) % 1000:03}"
    outcome = str(line.get("outcome") or _way(line)).replace("_", "-")
    style = _OUTCOMES.get(str(line.get("outcome")))
    told = _fitted(outcome, OUTCOME_WIDTH)
    begin = f"{_fitted(str(line.get('name')), name_width)}  "
    room = terminal_width()
    id_width = ID_WIDTH if room is None or room >= NARROW else NARROW_ID_WIDTH
    message = line.get("message")
    if room is None or isinstance(message, dict):
        id_width = max(id_width, width(printable(str(line.get("id")))))
    id_ = _fitted(str(line.get("id")), id_width)
    text = printable(": ".join(filter(None, (str(line.get("reason") or ""), str(line.get("preview") or "")))))
    if room is not None:
        text = cut(text, max(10, room - len(clock) - name_width - id_width - OUTCOME_WIDTH - 8))
    told = styled(told, style, sys.stdout) if style else told
    print(f"{styled(clock, 'dim', sys.stdout)}  {begin}{told}  {id_}  {text}".rstrip())
    if isinstance(message, dict):
        for name, value in (message.get("headers") or {}).items():
            print(styled(f"    {printable(str(name))}: {printable(str(value))}", "dim", sys.stdout))
        print_data(message.get("data", message.get("data_base64")))


def _way(line: Json) -> str:
    """What a message does there that does not end."""
    if line.get("place") == "source":
        return "in"
    attempt = line.get("attempt") or 1
    return f"out, try {attempt}" if attempt > 1 else "out"


def _fitted(text: str, room: int) -> str:
    text = cut(printable(text), room)
    return text + " " * (room - width(text))


def _print_remark(line: Json) -> None:
    """On standard error, so that messages alone are on standard output."""
    parts = []
    if "listening" in line:
        parts.append(f"listening to {', '.join(line['listening'])}; Ctrl-C ends it")
    if line.get("left_out"):
        parts.append(f"{counted(line['left_out'])} left out: more than the limit, or than could be looked at")
    if line.get("failed"):
        parts.append(f"--where failed on {plural(line['failed'], 'message')}: {line.get('error')}")
    if line.get("revision") is not None:
        parts.append(f"revision {line['revision']} runs from here on")
    if line.get("gone"):
        parts.append(f"not there any more: {', '.join(line['gone'])}")
    for part in parts:
        print(styled(f"– {printable(part)}", "dim", sys.stderr), file=sys.stderr)
