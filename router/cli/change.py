"""`router plan`, `apply`, `swap` and `rollback`: change a router while it runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import FAILED, TOPOLOGY_PROBLEMS, WRONG_USAGE, Failure
from router.cli.options import AsJson, Control, TopologyFile, names
from router.cli.terminal import print_json, styled

app = typer.Typer(**APP)

CHANGE_TIMEOUT_S: Final = 3700.0
"""A change waits for what is no longer used to be empty, for `settings.drain_timeout` at most, which is up to 1h."""
PLAN_TIMEOUT_S: Final = 60.0
PATIENCE_S: Final = 2.0
"""A change that takes longer says what it waits for."""
_WAITS: Final = (
    "waiting until new actors are ready and old ones empty (settings.drain_timeout)\n"
    "Ctrl-C ends the waiting, and not the change"
)
_GOES_ON: Final = "the change goes on: `router history` says what became of it"

WaitConnected = Annotated[
    bool, typer.Option("--wait-connected", help="Do it only when the remote ends of new actors are there.")
]
More = Annotated[list[str], typer.Argument(metavar="ACTOR=WEIGHT", help="More targets.", show_default=False)]
Route = Annotated[str, typer.Argument(metavar="ROUTE", help="Its name.", autocompletion=names)]


@app.command(
    cls=Command,
    epilog="router plan topology.yaml\nrouter plan topology.yaml --against deployed.yaml\n"
    "router plan topology.yaml --json | jq '.plan.promises'",
)
def plan(
    file: TopologyFile = Path("topology.yaml"),
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no router: against what the state directory says ran last.")
    ] = False,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="Ask no router: against another file.")
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", metavar="DIR", help="With --offline, in place of `settings.state_dir`."),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Show what `apply` would do, and do nothing.

    An actor that changes starts beside the old one, takes over from it, or has to wait for its end, which is a gap.
    WAITING and QUEUED are messages that go on with the successor; IN HAND and IN FLIGHT end where they are. Below
    stands what the topology promises no longer, such as order by key, and which settings need a restart.
    """
    if offline or against is not None:
        from router.cli.change_offline import planned

        answer = planned(file, against=against, state_dir=state_dir)
    else:
        client = Client(control_socket(control))
        with _shown(file, as_json=as_json):
            answer = client.post("plan", body=_written(file, client), timeout_s=PLAN_TIMEOUT_S)
    if as_json:
        print_json(answer)
        return
    from router.cli.change_screens import print_plan

    _show_warnings(answer, file)
    print_plan(answer.get("plan", {}))


@app.command(cls=Command, epilog="router plan topology.yaml && router apply topology.yaml\nrouter apply --base 7")
def apply(
    file: TopologyFile = Path("topology.yaml"),
    base: Annotated[
        int | None,
        typer.Option("--base", metavar="REV", help="Do nothing where another revision than this one runs by now."),
    ] = None,
    wait_connected: WaitConnected = False,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Change the running router to a topology.

    `router plan` shows first what that does. It is all or nothing: new actors start beside the old ones, all routes
    switch at once, and what is no longer used ends when it is empty. Then comes the report: for each route that was
    touched, what came in and what became of it, before and after. Exits with 1 where nothing was changed, or where
    the two sides do not agree.
    """
    client = Client(control_socket(control))
    body = {**_written(file, client), "wait_connected": wait_connected, **({} if base is None else {"base": base})}
    _carry_out(client, "apply", body=body, done="applied", file=file, as_json=as_json)


@app.command(
    cls=Command,
    epilog="router swap notify-clientes --to whatsapp\nrouter swap notify-clientes --to whatsapp=90 sms=10 --write",
)
def swap(
    route: Route,
    more: More = [],  # noqa: B006  # typer copies it
    to: Annotated[
        list[str], typer.Option("--to", metavar="ACTOR[=WEIGHT]", help="Where to; several need weights: A=90 B=10.")
    ] = [],  # noqa: B006  # typer copies it
    write: Annotated[
        bool, typer.Option("--write", help="Edit the topology's file as well; comments and layout stay.")
    ] = False,
    wait_connected: WaitConnected = False,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Lead one route of the running router to other actors.

    Messages that wait, and those that wait for a retry, go there too, in their order; an attempt that runs ends where
    it is. It survives a restart also without --write, until the file is edited.
    """
    targets = [*to, *more]
    if not targets:
        raise Failure("that does not say where to", hint="--to ACTOR, or --to A=90 B=10", code=WRONG_USAGE)
    body = {"to": targets, "write": write, "wait_connected": wait_connected}
    client = Client(control_socket(control))
    _carry_out(client, "routes", route, "swap", body=body, done="swapped", as_json=as_json)


@app.command(cls=Command, epilog="router rollback\nrouter rollback --to 3")
def rollback(
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="REV", help="The revision; else the one before the one that runs."),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Go back to an earlier revision.

    `router history` lists them. It becomes a new revision with the old one's text, in which `${…}` is filled in anew.
    The file stays as it is, and a second rollback takes back the first.
    """
    body = {} if to is None else {"to": to}
    _carry_out(Client(control_socket(control)), "rollback", body=body, done="rolled back", as_json=as_json)


def _carry_out(client: Client, *parts: str, body: Json, done: str, as_json: bool, file: Path | None = None) -> None:
    """Ask for a change, wait for its end, and show what it did."""
    with _shown(file, as_json=as_json), _telling_what_takes_long():
        answer = client.post(*parts, body=body, timeout_s=CHANGE_TIMEOUT_S)
    lost = (answer.get("report") or {}).get("difference", 0)
    if as_json:
        print_json(answer)
    else:
        from router.cli.change_screens import print_changed

        _show_warnings(answer, file)
        print_changed(answer, done=done)
    if lost:
        hint = "this is a defect of the router: please report it, with `router history --json` and its log"
        raise Failure(f"the two sides differ by {lost:,} messages", hint=hint, code=FAILED)


def _written(file: Path, client: Client) -> Json:
    """The part of a request that is a topology's text, and where it is from: a router elsewhere has no such file."""
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror or error}", code=TOPOLOGY_PROBLEMS) from None
    except UnicodeDecodeError:
        raise Failure(f"{file} is not UTF-8", code=TOPOLOGY_PROBLEMS) from None
    return {"text": text, "path": os.path.abspath(file)} if isinstance(client.place, Path) else {"text": text}


@contextmanager
def _shown(file: Path | None, *, as_json: bool) -> Iterator[None]:
    """Show the problems of a topology as `validate` does; the exit code is the same then."""
    try:
        yield
    except Failure as failure:
        found = (failure.problem or {}).get("problems")
        if not found:
            raise
        if not as_json:
            _show_problems(found, file)
            raise typer.Exit(TOPOLOGY_PROBLEMS) from None
        raise Failure(str(failure), code=TOPOLOGY_PROBLEMS, problem=failure.problem) from None


def _show_warnings(answer: Json, file: Path | None) -> None:
    if found := answer.get("warnings"):
        _show_problems(found, file)
        print(file=sys.stderr)


def _show_problems(found: list[dict[str, Any]], file: Path | None) -> None:
    from router.cli import problems
    from router.topology.problems import Problem

    # Under the name by which it was given.
    named = {} if file is None else {"file": str(file)}
    problems.show([Problem(**{**one, **named}) for one in found])


@contextmanager
def _telling_what_takes_long() -> Iterator[None]:
    """Say after a while what is waited for, and to who interrupts it that the change is not."""

    def tell() -> None:
        print(styled(_WAITS, "dim", sys.stderr), file=sys.stderr, flush=True)

    timer = threading.Timer(PATIENCE_S, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        print(f"\n{styled(_GOES_ON, 'dim', sys.stderr)}", file=sys.stderr)
        raise
    finally:
        timer.cancel()
