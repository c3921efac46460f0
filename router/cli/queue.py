"""`router queue`: durable mailboxes, and what is done to them and to their jobs."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Final

import typer

from router.cli import queue_jobs
from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command, Group
from router.cli.failure import FAILED
from router.cli.figures import count
from router.cli.options import AsJson, Control, Limit
from router.cli.queue_jobs import Id, Queue, States, Why
from router.cli.queue_screens import print_jobs, print_queues, show_job, show_queue
from router.cli.table import print_note
from router.cli.terminal import print_json, styled

app = typer.Typer(
    **APP,
    cls=Group,
    no_args_is_help=True,
    help="""Look at queues and their jobs; pause, resume, retry, clear, add.

QUEUE is an actor that has a queue, or the queue's own name. What is done here is done to the queue itself, in its
store, and so for all that work it, other processes and Node workers too; `router pause ACTOR` is about this router's
actor alone.""",
    epilog="""router queue list
router queue jobs inbound --state failed
router queue retry inbound --all""",
)

LOOK_AGAIN_S: Final = 1.1
"""A rate is taken over a second at least."""


@app.command("list", cls=Command, epilog="router queue list\nrouter queue list --json")
def list_(as_json: AsJson = False, control: Control = None) -> None:
    """List all queues: where they are kept, how many jobs are in which state, and how fast they come and go.

    Rates are of this router's actors, over the last minute at most. Exits with 1 where a queue's store does not answer.
    """
    client = Client(control_socket(control))
    answer = client.get("queues")
    if as_json:
        print_json(answer)
    else:
        if any(_rate_is_missing(queue) for queue in answer.get("queues", ())):
            time.sleep(LOOK_AGAIN_S)
            answer = client.get("queues")
        print_queues(answer.get("queues", []))
    if not all(queue.get("available") for queue in answer.get("queues", ())):
        raise typer.Exit(FAILED)


@app.command(cls=Command, epilog="router queue stats inbound\nrouter queue stats tania-messages --json")
def stats(queue: Queue, as_json: AsJson = False, control: Control = None) -> None:
    """Show how one queue stands.

    Rates are of this router's actors, over the last minute at most. Exits with 1 where its store does not answer.
    """
    client = Client(control_socket(control))
    answer = client.get("queues", queue)
    if as_json:
        print_json(answer)
    else:
        if _rate_is_missing(answer):
            time.sleep(LOOK_AGAIN_S)
            answer = client.get("queues", queue)
        show_queue(answer)
    if not answer.get("available"):
        raise typer.Exit(FAILED)


@app.command(cls=Command, epilog="router queue jobs inbound\nrouter queue jobs inbound --state failed --state delayed")
def jobs(
    queue: Queue,
    state: States = [],  # noqa: B006  # typer copies it
    start: Annotated[
        int, typer.Option("--start", metavar="N", min=0, help="Leave out the first N.", show_default=False)
    ] = 0,
    limit: Limit = 50,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """List a queue's jobs.

    Those that come first to the front, finished ones the newest first. Fields that the topology's `settings.redact`
    names are masked.
    """
    states = ",".join(state) or None
    answer = Client(control_socket(control)).get(
        "queues", queue, "jobs", state=states, start=start or None, limit=limit
    )
    if as_json:
        print_json(answer)
        return
    found: list[Json] = answer.get("jobs", [])
    if not found:
        print("there are none" if not state and not start else "there are none like that")
        return
    print_jobs(found)
    end, total = start + len(found), answer.get("total") or 0
    if total > end:
        print(styled(f"\nmore of them: --start {end} ({count(total)} in all)", "dim", sys.stdout))


@app.command(cls=Command, epilog="router queue job inbound pm-3f9a02")
def job(queue: Queue, id_: Id, as_json: AsJson = False, control: Control = None) -> None:
    """Show a job whole: its payload, options and attempts, why it failed, its log and its progress.

    Fields that the topology's `settings.redact` names are masked.
    """
    answer = Client(control_socket(control)).get("queues", queue, "jobs", id_)
    print_json(answer) if as_json else show_job(answer)


@app.command(cls=Command, epilog='router queue pause inbound --why "the CRM is being moved"')
def pause(queue: Queue, why: Why = "", as_json: AsJson = False, control: Control = None) -> None:
    """Let nobody begin a job of a queue until it is resumed.

    Its store keeps that, for all that work the queue, other processes and Node workers too, and over restarts. Jobs are
    added all the same, and those at work end. `router pause ACTOR` has this router's actor alone stand still, adding
    included.
    """
    answer = Client(control_socket(control)).post("queues", queue, "pause", body={"why": why})
    if as_json:
        print_json(answer)
    else:
        print_note(str(answer.get("name", queue)), "is paused, for all that work it")


@app.command(cls=Command, epilog="router queue resume inbound")
def resume(queue: Queue, why: Why = "", as_json: AsJson = False, control: Control = None) -> None:
    """Let the jobs of a queue that was paused be worked again, whoever paused it."""
    answer = Client(control_socket(control)).post("queues", queue, "resume", body={"why": why})
    if as_json:
        print_json(answer)
    else:
        print_note(str(answer.get("name", queue)), "goes on")


app.add_typer(queue_jobs.app)


def _rate_is_missing(queue: Json) -> bool:
    """Nobody has looked at it in the last minute."""
    return queue.get("added_per_s") is None
