"""`router top`: shows a running router in the terminal, and goes on doing so."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from router.cli.client import Client, control_socket
from router.cli.command import APP, Command
from router.cli.failure import WRONG_USAGE, Failure
from router.cli.options import Control, duration

app = typer.Typer(**APP)

EVERY: Final = "1s"
LEAST_S: Final = 0.1


@app.command(cls=Command, epilog="router top\nrouter top --every 5s --control /var/lib/shop")
def top(
    every: Annotated[
        str,
        typer.Option("--every", metavar="DURATION", help="How often the router is asked; less often where it is slow."),
    ] = EVERY,
    control: Control = None,
) -> None:
    """Show actors and routes live: rates, mailboxes, latency, restarts.

    Sorts, filters, shows one of them with all its counters and what waits in it, and pauses and resumes; `?` says
    which keys do what. It needs a terminal: `router ps` prints the same once, and with --json for machines.
    """
    every_s = duration(every, "--every")
    if every_s < LEAST_S:
        raise typer.BadParameter(f"should be at least {LEAST_S:g}s", param_hint="--every")
    # Textual reads the keys from standard input and draws on standard error.
    if os.environ.get("TERM") == "dumb" or not all(s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)):
        raise Failure(
            "this is no terminal that `router top` could draw on",
            hint="`router ps` prints once what it shows, and `router ps --json` for machines",
            code=WRONG_USAGE,
        )
    from router.cli.top.feed import TIMEOUT_S, Feed

    feed = Feed(Client(control_socket(control), timeout_s=TIMEOUT_S), every_s=every_s)
    first = feed.read()
    from router.cli.top.app import Top

    screen = Top(feed, first)
    screen.run()
    if screen.return_code:
        raise typer.Exit(screen.return_code)
