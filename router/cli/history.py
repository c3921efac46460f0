"""`router history`: which topologies ran, who changed what, and why."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import WRONG_USAGE, Failure
from router.cli.figures import NOTHING, moment
from router.cli.options import AsJson, Control, Limit
from router.cli.table import Cell, Column, print_facts, print_table
from router.cli.terminal import Style, print_data, print_json, styled

app = typer.Typer(**APP)

_STATUS_STYLES: Final[dict[str, Style]] = {"running": "green", "failed": "red", "refused": "yellow"}
_REVISION_COLUMNS: Final = (
    Column("rev", right=True),
    Column("at"),
    Column("status"),
    Column("action"),
    Column("who", least=12),
    Column("from", right=True, spare=2),
    Column("file", least=16, spare=3),
    Column("why", least=12, spare=1),
)
_AUDIT_COLUMNS: Final = (
    Column("at"),
    Column("outcome"),
    Column("action"),
    Column("object", least=12),
    Column("who", least=12),
    Column("role", spare=3),
    Column("origin", least=6, spare=2),
    Column("rev", right=True, spare=1),
    Column("why", least=16),
)


@app.command(
    cls=Command,
    epilog="router history\nrouter history --audit\nrouter history --revision 3 --text > topology-3.yaml",
)
def history(
    audit: Annotated[
        bool, typer.Option("--audit", help="All that operators changed or were refused, not topologies alone.")
    ] = False,
    revision: Annotated[
        int | None, typer.Option("--revision", metavar="REV", help="Show one, with the report of its change.")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="With --revision: its topology as it was written, and nothing else.")
    ] = False,
    before: Annotated[
        int | None, typer.Option("--before", metavar="N", help="Go on behind this one, the last that was shown.")
    ] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """List revisions, or who changed what.

    A revision is a topology that ran or was to run: with who made it, from which one (FROM) and from which file. One
    that was never confirmed has failed, and nothing of it runs. --audit shows pauses, replays and all else too.
    """
    if text and revision is None:
        raise Failure("--text is of one revision", hint="add --revision REV", code=WRONG_USAGE)
    client = Client(control_socket(control))
    if revision is not None:
        _show_one(client.get("revisions", str(revision)), text=text, as_json=as_json)
        return
    kind = "audit" if audit else "revisions"
    answer = client.get(kind, limit=limit, before=before)
    if as_json:
        print_json(answer)
        return
    found: list[Json] = answer.get("entries" if audit else "revisions", [])
    if not found:
        print("there are none")
        return
    if audit:
        print_table(_AUDIT_COLUMNS, map(_audit_row, found))
    else:
        print_table(_REVISION_COLUMNS, (_revision_row(one, answer.get("running")) for one in found))
        if under_way := answer.get("under_way"):
            print(f"\nunder way: {under_way}")
    if len(found) >= limit:
        print(styled(f"\nolder ones: --before {found[-1].get('number')}", "dim", sys.stdout))


def _show_one(answer: Json, *, text: bool, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    written = answer.get("text")
    if text:
        if written is None:
            raise Failure("a topology's text is for admins alone: secrets may be written in it")
        print_data(str(written).removesuffix("\n"))
        return
    print_facts(
        (
            ("revision", str(answer.get("number"))),
            ("at", moment(answer.get("at"))),
            ("status", str(answer.get("status"))),
            ("why", str(answer.get("why") or "")),
            ("action", str(answer.get("action"))),
            ("who", str(answer.get("who"))),
            ("from", str(answer.get("base") or "")),
            ("file", _file(answer)),
        )
    )
    if report := answer.get("report"):
        from router.cli.change_screens import print_report

        print_report(report)


def _file(revision: Json) -> str:
    path = revision.get("path")
    if path is None:
        return ""
    # A rollback has the text of the revision that stands under FROM: nobody has edited it.
    as_it_was = revision.get("from_file") or revision.get("action") == "rollback"
    return str(path) if as_it_was else f"{path}, edited"


def _revision_row(one: Json, running: int | None) -> list[Cell | str]:
    status = "running" if one.get("number") == running else str(one.get("status"))
    return [
        str(one.get("number")),
        moment(one.get("at")),
        Cell(status, _STATUS_STYLES.get(status)),
        str(one.get("action")),
        str(one.get("who")),
        str(one.get("base") or NOTHING),
        _file(one),
        str(one.get("why") or ""),
    ]


def _audit_row(one: Json) -> list[Cell | str]:
    outcome = str(one.get("outcome"))
    return [
        moment(one.get("at")),
        Cell(outcome, _STATUS_STYLES.get(outcome)),
        str(one.get("action")),
        str(one.get("object")),
        str(one.get("who")),
        str(one.get("role")),
        str(one.get("origin")),
        str(one.get("revision") or NOTHING),
        str(one.get("why") or ""),
    ]
