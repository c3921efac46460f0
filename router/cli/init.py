"""`router init`: a commented topology to start from."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Final

import typer

from router.cli.command import APP, Command
from router.cli.failure import WRONG_USAGE, Failure
from router.cli.options import AsJson
from router.cli.table import print_facts
from router.cli.terminal import print_json

DEFAULT: Final = "webhook"
FILE: Final = Path("topology.yaml")

app = typer.Typer(**APP)


def template_names() -> list[str]:
    """Of all templates; the one that is taken where none is named comes first."""
    names = sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))
    return sorted(names, key=lambda name: name != DEFAULT)


def template(name: str) -> str:
    """The text of a template; raises `Failure` for a name that is none."""
    if name not in template_names():
        from router.topology.problems import did_you_mean

        hint = did_you_mean(name, template_names()) or f"there are: {', '.join(template_names())}"
        raise Failure(f"there is no template {name!r}", hint=hint, code=WRONG_USAGE)
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def purpose(text: str) -> str:
    """What a template is for: its first line."""
    return text.partition("\n")[0].removeprefix("# ")


def _folder() -> Traversable:
    return files("router.cli") / "templates"


@app.command(cls=Command, epilog="router init\nrouter init mqtt --output conf/topology.yaml\nrouter init --list")
def init(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TEMPLATE", help="What to begin with; --list shows them.", autocompletion=template_names
        ),
    ] = DEFAULT,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = FILE,
    show_list: Annotated[bool, typer.Option("--list", help="Show the templates, and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented topology to start from.

    It runs as it is, with nothing installed besides the router. A file that is there is never overwritten.
    """
    if show_list:
        purposes = {each: purpose(template(each)) for each in template_names()}
        if as_json:
            print_json({"templates": [{"name": each, "purpose": text} for each, text in purposes.items()]})
        else:
            print_facts(purposes.items())
        return
    text = template(name)
    _write(output, text)
    next_steps = [f"router {verb}{'' if output == FILE else f' {_quoted(output)}'}" for verb in ("validate", "start")]
    if as_json:
        print_json({"template": name, "file": str(output), "next": next_steps})
        return
    print(f"{output} is written: {purpose(text)}", "", "Next:", *(f"  {line}" for line in next_steps), sep="\n")


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        hint = "choose another file with --output, or move that one away"
        raise Failure(f"{path} is there already, and is not overwritten", hint=hint) from None
    except FileNotFoundError:
        raise Failure(f"{path} cannot be written: there is no folder {path.parent}", hint="make it first") from None
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror or error}") from None


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
