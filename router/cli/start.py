"""`router start`: a router in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from router.cli.command import APP, Command
from router.cli.failure import TOPOLOGY_PROBLEMS, WRONG_USAGE, Failure
from router.cli.options import TopologyFile

app = typer.Typer(**APP)


@app.command(
    cls=Command,
    epilog="router start\nrouter start topology.yaml --watch\n"
    "router start topology.yaml --state-dir /var/lib/router --log-format json\n"
    "router start topology.yaml --only inbound-worker,reply",
)
def start(
    file: TopologyFile = Path("topology.yaml"),
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", metavar="DIR", help="In place of the topology's `settings.state_dir`."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME,…", help="Run just these actors and routes, and what they need."),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NAME", help="Keep the state in a folder of that name; else named by --only."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Apply the file whenever it changes and is valid.")] = False,
    file_wins: Annotated[
        bool, typer.Option("--file-wins", help="Run the file, whatever revision was confirmed last.")
    ] = False,
    log_format: Annotated[
        Literal["console", "json"] | None,
        typer.Option("--log-format", metavar="console|json", help="In place of `settings.log.format`."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error; else `settings.log.level`."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say what listens and what is left as JSON, one object a line.")
    ] = False,
) -> None:
    """Run a topology in the foreground.

    Prints what listens where, and which actors are ready; the log goes to standard error. SIGTERM and Ctrl-C
    drain and stop: sources stop first, and what is in flight may settle within `settings.drain_timeout`. A second
    one stops at once. What has not settled was never acknowledged, or is in the journal.

    What was changed while it ran goes on: the revision that was confirmed last, unless the file has changed since it
    was applied. The first lines say which it is, and --file-wins takes the file in any case. With --watch the file is
    applied whenever it changes; where it has problems they are logged, and the old topology goes on.

    With --only several processes share one topology. A route brings its actors, and an actor the routes that begin at
    it; nothing else is started. Each process is a node with its own state, in a folder of the state directory that
    --node names, or the names do. What is changed later is changed in one process, which keeps to its part.
    """
    from router.cli import problems

    topology, found = problems.read(file)
    names = [name for each in only or () for name in map(str.strip, each.split(",")) if name]
    if only is not None and not names:
        raise Failure("--only names actors and routes", hint="--only inbound-worker,reply", code=WRONG_USAGE)
    if topology is not None and names:
        from router.topology.part import node_name, restricted
        from router.topology.problems import by_place

        part, more = restricted(topology, names)
        topology, found = None if part is None else topology, by_place([*found, *more])
        node = node or node_name(names)
    problems.show(found)
    if topology is None:
        raise typer.Exit(TOPOLOGY_PROBLEMS)

    from router.cli.serving import serve

    serve(
        topology,
        state_dir=state_dir,
        only=names,
        node=node,
        watch=watch,
        file_wins=file_wins,
        log_format=log_format,
        log_level=log_level,
        as_json=as_json,
    )
