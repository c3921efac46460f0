"""`router validate` and `router schema`: what can be said of a topology without running it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from router.cli.command import APP, Command
from router.cli.failure import TOPOLOGY_PROBLEMS, Failure
from router.cli.figures import plural
from router.cli.options import AsJson, TopologyFile

app = typer.Typer(**APP)


@app.command(cls=Command, epilog="router validate topology.yaml\nrouter validate --strict --json topology.yaml")
def validate(
    file: TopologyFile = Path("topology.yaml"),
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail it too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all problems of a topology, and open nothing.

    Each has its place in the file and, where there is one, a suggestion. Exits with 78 where there are problems;
    warnings are shown, and are no problems unless --strict says so.
    """
    from router.cli import problems

    topology, found = problems.read(file)
    valid = topology is not None and not (strict and found)
    if as_json:
        answer = {"valid": valid, "file": str(file), "problems": [problem.as_dict() for problem in found]}
        print(json.dumps(answer, indent=2))
    else:
        problems.show(found)
        if valid and topology is not None:
            counts = f"{plural(len(topology.actors), 'actor')}, {plural(len(topology.routes), 'route')}"
            print(f"{file} is valid: {counts}")
    if not valid:
        raise typer.Exit(TOPOLOGY_PROBLEMS)


@app.command(cls=Command, epilog="router schema --output topology.schema.json")
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it into a file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Accepted as everywhere: a schema is JSON.")] = False,
) -> None:
    """Print the JSON Schema of the topology language, for editors.

    It knows the actor types and steps that are installed here, with their options.
    """
    from router.catalog import Catalog
    from router.topology.schema import json_schema

    text = json.dumps(json_schema(Catalog.installed()), indent=2, ensure_ascii=False)
    if output is None:
        print(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror or error}") from None
    print(f"{output} is written", file=sys.stderr)
