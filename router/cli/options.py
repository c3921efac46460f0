"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.cli.client import Client, control_socket

COMPLETION_TIMEOUT_S = 1.0


def names(ctx: typer.Context) -> list[str]:
    """Names of actors and routes for the shell's completion; none where no router can be asked."""
    from router.cli.failure import Failure

    try:
        answer = _client(ctx).get("actors")
    except Failure:
        return []
    return [view["name"] for kind in ("actors", "routes") for view in answer.get(kind, ())]


def actor_names(ctx: typer.Context) -> list[str]:
    """Names of actors alone."""
    from router.cli.failure import Failure

    try:
        return [view["name"] for view in _client(ctx).get("actors").get("actors", ())]
    except Failure:
        return []


def queue_names(ctx: typer.Context) -> list[str]:
    """Names of actors that have a queue, and of these queues."""
    from router.cli.failure import Failure

    try:
        queues = _client(ctx).get("queues").get("queues", ())
    except Failure:
        return []
    return list(dict.fromkeys(name for queue in queues for name in (*queue["actors"], queue["name"])))


def _client(ctx: typer.Context) -> Client:
    return Client(control_socket(ctx.params.get("control")), timeout_s=COMPLETION_TIMEOUT_S)


def duration(value: str, option: str) -> float:
    """Seconds of a duration that is written as in a topology; `option` is where it was given."""
    from actors.kit.units import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Control = Annotated[
    str | None,
    typer.Option(
        "--control",
        metavar="WHERE",
        help="The router's state directory, its socket, or https://HOST:PORT; else ROUTER_CONTROL, else ./.router.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Show at most this many.")]
TopologyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The topology.", show_default=True)]
