"""`router pause`, `resume`, `drain` and `restart`: what is done to one actor or route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import FAILED
from router.cli.figures import plural
from router.cli.options import AsJson, Control, duration, names
from router.cli.table import print_note
from router.cli.terminal import print_json

app = typer.Typer(**APP)

MARGIN_S: Final = 15.0
"""How much longer than the router we wait for its answer: an actor may take its time to stop."""
DRAIN_S: Final = 30.0
RESTART_S: Final = 10.0

Name = Annotated[str, typer.Argument(metavar="NAME", help="An actor or a route.", autocompletion=names)]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="For whoever looks later, here and in the audit log.")]


@app.command(cls=Command, epilog='router pause notify-clientes --why "the provider asked for it"')
def pause(name: Name, why: Why = "", as_json: AsJson = False, control: Control = None) -> None:
    """Let an actor or a route stand still.

    It does so until `router resume`, over restarts and swaps too; the answer says what that holds back. A route begins
    nothing more, and refuses its sources, unless its `on_pause: journal` lets it go on taking in. A source takes
    nothing in: HTTP answers 503, MQTT waits. Routes to a target use their fallback, or wait. What is in hand ends.

    An actor that has a queue neither adds to it nor works it then; others that have the same queue do. `router queue
    pause` lets nobody work the queue, while adding goes on.
    """
    answer = _asked(name, "pause", {"why": why}, control=control)
    if as_json:
        print_json(answer)
        return
    print_note(name, "is paused")
    _print_held_back(answer)


@app.command(cls=Command, epilog="router drain notify-clientes && router restart notify-clientes")
def drain(
    name: Name,
    why: Why = "",
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="How long to wait until it is empty.", show_default="30s"),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Let an actor or a route take nothing more in, and wait until it is empty.

    It stays so until `router resume`, over restarts and swaps too. Exits with 1 where it was not empty in time; what is
    left goes on all the same, and what an operator holds stays where it is.
    """
    timeout_s = DRAIN_S if timeout is None else duration(timeout, "--timeout")
    answer = _asked(name, "drain", {"why": why}, control=control, timeout_s=timeout_s)
    left = answer.get("left") or 0
    if as_json:
        print_json(answer)
    else:
        print_note(name, "is drained, and empty" if not left else f"takes nothing in; {plural(left, 'message')} left")
        _print_held_back(answer)
    if left:
        raise typer.Exit(FAILED)


@app.command(cls=Command, epilog="router resume notify-clientes")
def resume(name: Name, why: Why = "", as_json: AsJson = False, control: Control = None) -> None:
    """Let what was paused or drained go on."""
    answer = _asked(name, "resume", {"why": why}, control=control)
    if as_json:
        print_json(answer)
    else:
        print_note(name, "goes on" if answer.get("resumed") else "was neither paused nor drained")


@app.command(cls=Command, epilog="router restart clientes-http")
def restart(
    name: Name,
    why: Why = "",
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="How long to wait until it is ready.", show_default="10s"),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """End an actor, or a route's actor, and start it anew.

    This revives one that has failed; its earlier restarts are forgotten. Its mailbox stays, and a pause goes on. Exits
    with 1 where it is not ready in time.
    """
    timeout_s = RESTART_S if timeout is None else duration(timeout, "--timeout")
    answer = _asked(name, "restart", {"why": why}, control=control, timeout_s=timeout_s)
    state, reason = answer.get("state"), answer.get("why")
    if as_json:
        print_json(answer)
    else:
        print_note(name, f"is {state}: {reason}" if reason else f"is {state}")
    if state != "ready":
        raise typer.Exit(FAILED)


def _asked(name: str, verb: str, body: Json, *, control: str | None, timeout_s: float | None = None) -> Json:
    client = Client(control_socket(control))
    if timeout_s is None:
        return client.post("actors", name, verb, body=body)
    return client.post("actors", name, verb, body={**body, "timeout_s": timeout_s}, timeout_s=timeout_s + MARGIN_S)


def _print_held_back(answer: Json) -> None:
    for subject, text in _held_back(answer.get("held_back") or {}):
        print_note(subject, text)


def _held_back(held: Json) -> Iterator[tuple[str, str]]:
    """What else stands still: whom it is about, and how that takes it."""
    for kind, one, many in (
        ("sources", "takes nothing in", "take nothing in"),
        ("routes", "gets nothing, or waits", "get nothing, or wait"),
        ("fall_back", "goes on with its fallback", "go on with their fallbacks"),
    ):
        if found := held.get(kind):
            yield ", ".join(map(str, found)), f"{one if len(found) == 1 else many} meanwhile"
