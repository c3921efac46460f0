"""Writes docs/reference from the code: `python -m router.cli.reference`; with `--check` it says what has drifted."""

from __future__ import annotations

import argparse
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

import actors.connections
import actors.endpoints
import actors.steps
from actors.core.spec import EndpointSpec
from router.catalog import Catalog
from router.cli.command import Command, Group, LazyGroup, examples, parameter_rows, summary, usage
from router.cli.failure import FAILED, INTERRUPTED, NOT_RUNNING, TOPOLOGY_PROBLEMS, WRONG_USAGE
from router.cli.main import app
from router.cli.markdown import table
from router.cli.option_rows import Row, rows_of, value_of
from router.cli.reference_control import control_api
from router.cli.reference_metrics import metrics
from router.topology.model import ActorOptions, GroupDefinition, RouteOptions
from router.topology.schema import json_schema
from router.topology.settings import Settings

if TYPE_CHECKING:
    from typer._click import Context

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"
COMMAND: Final = "python -m router.cli.reference"
_MARK: Final = f"<!-- Generated from the code by `{COMMAND}`: change the code, not this file. -->"

_EXIT_CODES: Final = (
    (0, "done"),
    (FAILED, "the operation failed"),
    (WRONG_USAGE, "wrong usage"),
    (NOT_RUNNING, "no router is running"),
    (TOPOLOGY_PROBLEMS, "the topology has problems"),
    (INTERRUPTED, "interrupted by Ctrl-C"),
)


def pages() -> dict[str, str]:
    """Every file of the folder, by its name. Types of other packages are left out, whatever is installed."""
    catalog = own_catalog()
    return {
        "cli.md": _page("Command line", _cli()),
        "topology.md": _page("Topology", _topology()),
        "actors.md": _page("Actor types", _actors(catalog)),
        "connections.md": _page("Connection types", _connections(catalog)),
        "steps.md": _page("Steps", _steps(catalog)),
        "control-api.md": _page("Control API", control_api()),
        "metrics.md": _page("Metrics", metrics()),
        "topology.schema.json": json.dumps(json_schema(catalog), indent=2, ensure_ascii=False) + "\n",
    }


def own_catalog() -> Catalog:
    """The types of this package alone."""
    installed = Catalog.installed()
    return Catalog(
        endpoints=[installed.endpoint(name) for name in _own(installed.endpoint_names(), actors.endpoints.__path__)],
        steps=[installed.step(name) for name in _own(installed.step_names(), actors.steps.__path__)],
        connections=[
            installed.connection(name) for name in _own(installed.connection_names(), actors.connections.__path__)
        ],
    )


def _own(names: Iterable[str], path: Iterable[str]) -> list[str]:
    own = {module.name.replace("_", "-") for module in pkgutil.iter_modules(path)}
    return [name for name in names if name in own]


def _page(title: str, lines: Iterable[str]) -> str:
    text = "\n".join([_MARK, "", f"# {title}", "", *lines])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


# The command line


def _cli() -> Iterator[str]:
    from typer.main import get_command

    group = get_command(app)
    assert isinstance(group, LazyGroup)
    context = typer.Context(group, info_name="router")
    yield cleandoc(group.help or "")
    yield ""
    yield from table(
        ("command", ""),
        [(f"[`{entry.name}`](#router-{entry.name})", entry.summary) for entry in group.entries.values()],
    )
    yield ""
    yield "Every command has `--help`, and `--json` for machines. A router is found by `--control`, then by the"
    yield "environment variable `ROUTER_CONTROL`, then at `./.router/control.sock`. `NO_COLOR` turns colours off."
    yield "`router --install-completion` installs completion for the current shell."
    yield ""
    yield from table(("exit code", ""), [(str(code), meaning) for code, meaning in _EXIT_CODES])
    for name in group.list_commands(context):
        yield from _command(group.get_command(context, name), typer.Context(group, info_name="router"), name)


def _command(command: Any, parent: Context, name: str, level: int = 2) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent)
    yield ""
    yield f"{'#' * level} {context.command_path}"
    yield ""
    yield cleandoc(command.help or "")
    if isinstance(command, Command):
        yield ""
        yield from _code([f"{context.command_path} {usage(command.get_params(context))}"])
        arguments, options = parameter_rows(command.get_params(context), context)
        for title, rows in (("argument", arguments), ("option", options)):
            yield ""
            yield from table((title, ""), [(f"`{first}`", second) for first, second in rows if first != "--help"])
    yield ""
    yield from _code(examples(command.epilog))
    if isinstance(command, Group):
        for below in command.list_commands(context):
            yield from _command(command.get_command(context, below), context, below, level + 1)


# The topology


def _topology() -> Iterator[str]:
    yield "The options of everything in a topology file that is not of one [actor type](actors.md), one"
    yield "[connection type](connections.md) or one [step](steps.md). Options below others are written with dots:"
    yield "`retry.delay` is `delay` in `retry`. Durations are written `250ms`, `5s`, `10m`, `1h`, `1d`, and sizes"
    yield "`64KiB`, `1MiB`."
    for title, model, intro in (
        ("settings", Settings, "What concerns the router as a whole."),
        ("actors", ActorOptions, "What every actor has, besides `type` and the options of that type."),
        ("routes", RouteOptions, "What a route has, besides `steps`, a list of [steps](steps.md)."),
        ("groups", GroupDefinition, "Actors that are supervised together."),
    ):
        yield ""
        yield f"## {title}"
        yield ""
        yield intro
        yield ""
        yield from _options(rows_of(model))


def _actors(catalog: Catalog) -> Iterator[str]:
    specs = [catalog.endpoint(name) for name in catalog.endpoint_names()]
    yield "Besides these options every actor has [those of all actors](topology.md#actors)."
    yield ""
    yield from table(
        ("type", "as", ""),
        [(f"[`{spec.name}`](#{spec.name})", _roles(spec), summary(spec.documentation)) for spec in specs],
    )
    for spec in specs:
        yield ""
        yield f"## {spec.name}"
        yield ""
        yield f"*{_roles(spec)}*"
        yield ""
        yield cleandoc(spec.documentation)
        yield ""
        yield from _options(rows_of(spec.options))


def _roles(spec: EndpointSpec) -> str:
    asked: tuple[tuple[str, Callable[[Any], bool]], ...] = (
        ("source", spec.source),
        ("target", spec.target),
        ("replies", spec.replies),
    )
    found = []
    for role, fits in asked:
        try:
            has: bool | None = fits(None)
        except Exception:
            has = None  # it wants to see the options
        if has is not False:
            found.append(role if has else f"{role} (as its options say)")
    return ", ".join(found)


def _connections(catalog: Catalog) -> Iterator[str]:
    specs = [catalog.connection(name) for name in catalog.connection_names()]
    yield "Transports that several actors share, by their names under `connections:`. One that no actor names is not"
    yield "opened."
    for spec in specs:
        yield ""
        yield f"## {spec.name}"
        yield ""
        yield cleandoc(spec.documentation)
        yield ""
        yield from _options(rows_of(spec.options))


def _steps(catalog: Catalog) -> Iterator[str]:
    specs = [catalog.step(name) for name in catalog.step_names()]
    yield "Steps run inside a route, in their order. Each is a mapping with one key, the step's name."
    yield ""
    yield from table(("step", ""), [(f"[`{spec.name}`](#{spec.name})", summary(spec.documentation)) for spec in specs])
    for spec in specs:
        yield ""
        yield f"## {spec.name}"
        yield ""
        yield cleandoc(spec.documentation)
        yield ""
        rows, value = rows_of(spec.options), value_of(spec.options)
        if value:
            yield f"`{spec.name}:` takes a value ({value}){', or a mapping:' if rows else '.'}"
            yield ""
        if rows or not value:
            yield from _options(rows)


# Markdown


def _options(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "It has no options of its own."
        return
    yield from table(
        ("option", "type", "default", ""),
        [(f"`{row.name}`", row.type, "**required**" if row.required else row.default, row.description) for row in rows],
    )


def _code(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield "```sh"
        yield from lines
        yield "```"


# Writing and checking


def drift(wanted: dict[str, str], folder: Path) -> list[str]:
    """What is different in the folder, a sentence each."""
    found = []
    for name, text in wanted.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{name} is not what the code says")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return found + [f"{name} is not generated" for name in there if name not in wanted]


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the pages, or with `--check` only say what has drifted; returns the exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where something has drifted")
    only_check = parser.parse_args(arguments).check
    wanted = pages()
    if only_check:
        found = drift(wanted, folder)
        for sentence in found:
            print(f"docs/reference: {sentence}", file=sys.stderr)
        if found:
            print(f"{COMMAND} writes it anew", file=sys.stderr)
        return 1 if found else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
