"""`router graph`: a topology as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from router.cli.command import APP, Command
from router.cli.failure import TOPOLOGY_PROBLEMS, Failure
from router.cli.options import AsJson, TopologyFile

if TYPE_CHECKING:
    from router.topology.graph import Graph
    from router.topology.model import Topology

Format = Literal["mermaid", "dot", "svg"]

app = typer.Typer(**APP)


@app.command(
    cls=Command,
    epilog="router graph topology.yaml\nrouter graph --format svg --output topology.svg\n"
    "router graph --format dot | dot -Tpng > topology.png",
)
def graph(
    file: TopologyFile = Path("topology.yaml"),
    format: Annotated[
        Format,
        typer.Option("--format", "-f", metavar="mermaid|dot|svg", help="dot is Graphviz's; svg needs nothing else."),
    ] = "mermaid",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it into a file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a topology: Mermaid, Graphviz or SVG.

    It shows which messages go from where to where: actors are boxes, routes are pointed, with their steps. A
    fallback is dashed, a dead letter dotted. What variables and files put into the topology is shown as the
    reference that stands there. Nothing is opened.
    """
    from router.cli import problems

    topology, found = problems.read(file)
    if topology is None:
        problems.show(found)
        raise typer.Exit(TOPOLOGY_PROBLEMS)
    text = _text(_graph(topology), format, as_json=as_json)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror or error}") from None
    print(f"{output} is written", file=sys.stderr)


def _graph(topology: Topology) -> Graph:
    import os

    from router.topology.graph import graph_of
    from router.topology.variables import Variables

    return graph_of(topology, put_in=Variables(os.environ, topology.directory).put_in(topology.text))


def _text(drawn: Graph, format: Format, *, as_json: bool) -> str:
    if as_json:
        import json

        return json.dumps(drawn.as_dict(), indent=2) + "\n"
    if format == "svg":
        from router.cli.graph_svg import svg

        return svg(drawn)
    from router.cli.graph_text import dot, mermaid

    return dot(drawn) if format == "dot" else mermaid(drawn)
