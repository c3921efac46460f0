"""The `router` command: which commands there are, and how the process ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from router.cli.command import APP, Entry, LazyGroup, discard_output
from router.cli.failure import INTERRUPTED, WRONG_USAGE, Failure

ENTRIES: Final = (
    Entry("Begin", "init", "router.cli.init", "Write a commented topology to start from"),
    Entry("Begin", "graph", "router.cli.graph", "Draw a topology: Mermaid, Graphviz or SVG"),
    Entry("Begin", "doctor", "router.cli.doctor", "Reach every broker and URL of a topology, and say what to fix"),
    Entry("Run", "start", "router.cli.start", "Run a topology in the foreground"),
    Entry("Run", "validate", "router.cli.topology", "Show all problems of a topology, and open nothing"),
    Entry("Run", "schema", "router.cli.topology", "Print the JSON Schema of the topology language, for editors"),
    Entry("Look", "ps", "router.cli.actors", "Show actors and routes: state, what waits, counts, restarts"),
    Entry(
        "Look",
        "mailbox",
        "router.cli.mailbox",
        "Show what waits and is in flight; hold, release and drop messages",
    ),
    Entry("Look", "top", "router.cli.top.command", "Show actors and routes live: rates, mailboxes, latency, restarts"),
    Entry("Look", "tap", "router.cli.tap", "Show live copies of messages, as they come in, end or are handed over"),
    Entry("Look", "trace", "router.cli.trace", "Show one message's way: times, steps, attempts and outcomes"),
    Entry("Change", "plan", "router.cli.change", "Show what `apply` would do, and do nothing"),
    Entry("Change", "apply", "router.cli.change", "Change the running router to a topology"),
    Entry("Change", "swap", "router.cli.change", "Lead one route of the running router to other actors"),
    Entry("Change", "rollback", "router.cli.change", "Go back to an earlier revision"),
    Entry("Change", "history", "router.cli.history", "List revisions, or who changed what"),
    Entry("Steer", "pause", "router.cli.steer", "Let an actor or a route stand still"),
    Entry("Steer", "resume", "router.cli.steer", "Let what was paused or drained go on"),
    Entry(
        "Steer", "drain", "router.cli.steer", "Let an actor or a route take nothing more in, and wait until it is empty"
    ),
    Entry("Steer", "restart", "router.cli.steer", "End an actor, or a route's actor, and start it anew"),
    Entry("Act", "send", "router.cli.messages", "Send a message to an actor"),
    Entry("Act", "ask", "router.cli.messages", "Send a message to an actor and wait for what becomes of it"),
    Entry("Act", "load", "router.cli.load", "Send many messages and prove that they arrived"),
    Entry("Act", "queue", "router.cli.queue", "Look at queues and their jobs; pause, resume, retry, clear, add"),
    Entry("Act", "dead-letters", "router.cli.dead_letters", "List, show, replay and drop dead letters"),
)


class Commands(LazyGroup):
    """All commands of the router."""

    entries: Mapping[str, Entry] = {entry.name: entry for entry in ENTRIES}


app = typer.Typer(**{**APP, "add_completion": True}, cls=Commands, no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        from router import __version__

        print(f"pointsman {__version__}")
        raise typer.Exit


@app.callback(epilog="router start topology.yaml\nrouter ps\nrouter COMMAND --help")
def router(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Routes messages between webhooks, queues, brokers and services, as one YAML file says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (by default the process's own), and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(arguments: list[str]) -> int:
    try:
        result: Any = get_command(app)(arguments, prog_name=_program(), standalone_mode=False)
    except typer.TyperException as error:
        # Who mistypes an option has no parsed ones: it is enough that --json stands there.
        _show_usage_error(error, as_json="--json" in arguments)
        return error.exit_code
    except typer.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _program() -> str:
    """The name that this was called by: `router` or `pointsman`."""
    name = os.path.basename(sys.argv[0])
    return "python -m router" if name == "__main__.py" else name or "router"


def _show_usage_error(error: typer.TyperException, *, as_json: bool) -> None:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():
        print(message, file=sys.stderr)
        return
    hint = f"`{context.command_path} --help` says what it takes" if context is not None else ""
    Failure(message, hint=hint, code=WRONG_USAGE).show(as_json=as_json)
