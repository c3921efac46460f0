"""`router queue retry`, `promote`, `clear`, `remove` and `add`: what is done to the jobs of a queue."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import WRONG_USAGE, Failure
from router.cli.figures import plural
from router.cli.messages import Data, read_data
from router.cli.options import AsJson, Control, duration, queue_names
from router.cli.table import print_note
from router.cli.terminal import confirmed_by, print_json, printable

app = typer.Typer(**APP)

BULK_S: Final = 315.0
"""The router gives up after 300 s."""

_STATES: Final = ("waiting", "prioritized", "delayed", "active", "completed", "failed", "waiting-children")

Queue = Annotated[
    str,
    typer.Argument(metavar="QUEUE", help="An actor that has a queue, or the queue's name.", autocompletion=queue_names),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="Which job, as `jobs` shows it.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Which jobs, as `jobs` shows them.", show_default=False)]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="For whoever looks later, in the audit log.")]


def _states(_: typer.Context) -> list[str]:
    return list(_STATES)


States = Annotated[
    list[str],
    typer.Option(
        "--state",
        metavar="STATE",
        help=f"In this state; may be repeated: {', '.join(_STATES)}.",
        autocompletion=_states,
        show_default=False,
    ),
]


@app.command(cls=Command, epilog="router queue retry inbound pm-3f9a02\nrouter queue retry inbound --all")
def retry(
    queue: Queue,
    ids: Ids = [],  # noqa: B006  # typer copies it
    all_: Annotated[bool, typer.Option("--all", help="All that have failed until now.")] = False,
    why: Why = "",
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Let failed jobs wait again, with all their attempts.

    Exits with 1, and changes nothing, where one of those that are named has not failed.
    """
    _done(queue, "retry", ids, all_=all_, why=why, as_json=as_json, control=control)


@app.command(cls=Command, epilog="router queue promote inbound pm-3f9a02\nrouter queue promote inbound --all")
def promote(
    queue: Queue,
    ids: Ids = [],  # noqa: B006  # typer copies it
    all_: Annotated[bool, typer.Option("--all", help="All that are delayed until now.")] = False,
    why: Why = "",
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Let delayed jobs wait for a worker now; those that wait for their next attempt are delayed, too.

    Exits with 1, and changes nothing, where one of those that are named is not delayed.
    """
    _done(queue, "promote", ids, all_=all_, why=why, as_json=as_json, control=control)


@app.command(
    cls=Command,
    epilog="router queue clear inbound --state completed\n"
    "router queue clear inbound --state failed --state delayed --confirm inbound",
)
def clear(
    queue: Queue,
    state: States = [],  # noqa: B006  # typer copies it
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="NAME", help="The queue's own name: do not ask for it.")
    ] = None,
    why: Why = "",
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Delete all jobs of some states for good.

    Asks for the queue's own name before. Active jobs are not deleted: their workers have them in hand.
    """
    if not state:
        hint = f"--state, which may be repeated: {', '.join(one for one in _STATES if one != 'active')}"
        raise Failure("that does not say which jobs", hint=hint, code=WRONG_USAGE)
    client = Client(control_socket(control))
    if confirm is None:
        confirm = _confirmed(client.get("queues", queue), state)
    body = {"states": state, "confirm": confirm, "why": why}
    answer = client.post("queues", queue, "clear", body=body, timeout_s=BULK_S)
    print_json(answer) if as_json else print(f"{plural(answer.get('jobs') or 0, 'job')} deleted")


@app.command(cls=Command, epilog="router queue remove inbound pm-3f9a02")
def remove(queue: Queue, id_: Id, why: Why = "", as_json: AsJson = False, control: Control = None) -> None:
    """Delete one job that is not at work."""
    answer = Client(control_socket(control)).post("queues", queue, "jobs", id_, "remove", body={"why": why})
    print_json(answer) if as_json else print_note(str(answer.get("id")), "is deleted")


@app.command(
    cls=Command,
    epilog="""router queue add inbound '{"to": "+593987654321"}' --priority 1
router queue add reports @report.json --name daily --delay 10m
router queue add reports - --attempts 5 --backoff exponential:2s""",
)
def add(
    queue: Queue,
    data: Data = None,
    text: Annotated[bool, typer.Option("--text", help="DATA is text, even where it parses as JSON.")] = False,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What workers know it by.", show_default=True)
    ] = "message",
    id_: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="No number, and without a colon; else one is made.")
    ] = None,
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", min=0, help="0 comes first, then 1.", show_default=False)
    ] = 0,
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="DURATION", help="How long it waits before it may be worked.")
    ] = None,
    attempts: Annotated[int, typer.Option("--attempts", metavar="N", min=1, help="All, the first included.")] = 1,
    backoff: Annotated[
        str | None,
        typer.Option("--backoff", metavar="[KIND:]DURATION", help="The wait between attempts: 5s, or exponential:2s."),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Add a job, as any producer of the queue might.

    It has the options that are given here, and none of the actor's. `router send ACTOR` sends a message, which becomes
    a job with these.
    """
    options: Json = {"priority": priority, "attempts": attempts}
    if delay is not None:
        options["delay_ms"] = _milliseconds(delay, "--delay")
    if backoff is not None:
        kind, _, wait = backoff.rpartition(":")
        options["backoff"] = {"type": kind or "fixed", "delay_ms": _milliseconds(wait, "--backoff")}
    body: dict[str, Any] = {"data": read_data(data, text=text), "name": name, "options": options}
    if id_ is not None:
        body["id"] = id_
    answer = Client(control_socket(control)).post("queues", queue, "jobs", body=body)
    print_json(answer) if as_json else print_note(str(answer.get("id")), "is added")


def _done(queue: str, verb: str, ids: list[str], *, all_: bool, why: str, as_json: bool, control: str | None) -> None:
    """Do something to the jobs that are named, or to all of them, and say to how many."""
    if bool(ids) == all_:
        raise Failure("that does not say which jobs", hint=f"either their ids to {verb}, or --all", code=WRONG_USAGE)
    body: Json = {"why": why} | ({"all": True} if all_ else {"ids": ids})
    answer = Client(control_socket(control)).post("queues", queue, verb, body=body, timeout_s=BULK_S)
    if as_json:
        print_json(answer)
    else:
        number = answer.get("jobs") or 0
        print(f"{plural(number, 'job')} {'waits' if number == 1 else 'wait'} for a worker now")


def _confirmed(queue: Json, states: list[str]) -> str:
    """The queue's own name, which a person was asked for."""
    name, counts = str(queue.get("name")), queue.get("counts") or {}
    number = sum(counts.get(state, 0) for state in states)
    which = f"{plural(number, 'job')} of {printable(name)} ({', '.join(map(printable, states))})"
    if not sys.stdin.isatty():
        raise Failure(f"nobody is here to say whether to delete {which}", hint="--confirm with the queue's own name")
    if not confirmed_by(f"delete {which}? The queue's name:", name):
        raise Failure("that is not its name: nothing was deleted")
    return name


def _milliseconds(value: str, option: str) -> int:
    return round(duration(value, option) * 1000)
