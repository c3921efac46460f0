"""What all commands share: the layout of their help, their failures, and options that cost little to read."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from router.cli.failure import Failure
from router.cli.terminal import styled

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter, Parameter

APP: Final[dict[str, Any]] = {
    "rich_markup_mode": None,  # its help takes 100 ms more, and draws boxes
    "pretty_exceptions_enable": False,
    "add_completion": False,
}
"""What every `typer.Typer` of the command line is made with."""


class Command(TyperCommand):
    """One command. Its docstring is its help, and its epilog holds its examples, one a line."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        return _lightened(_with_access(super().get_params(ctx)))

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        return [usage(self.get_params(ctx))]

    def format_help_text(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_text(self.help, formatter)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_parameters(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_examples(self.epilog, formatter)

    def invoke(self, ctx: Context) -> Any:
        """Run it; a `Failure` is shown, and a reader who went away is no failure."""
        try:
            return super().invoke(ctx)
        except Failure as failure:
            failure.show(as_json=bool(ctx.params.get("as_json")))
            raise typer.Exit(failure.code) from None
        except BrokenPipeError:
            discard_output()
            raise typer.Exit from None


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is imported when it is asked for."""

    section: str
    """The heading it stands under."""
    name: str
    module: str
    summary: str


class Group(TyperGroup):
    """A command with commands below it."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        return _lightened(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        return ["COMMAND", "..."]

    def format_help_text(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_text(self.help, formatter)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        sections = self.sections(ctx)
        width = max((len(name) for rows in sections.values() for name, _ in rows), default=0)
        for section, rows in sections.items():
            with formatter.section(_heading(section)):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])
        _write_parameters(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_examples(self.epilog, formatter)

    def sections(self, ctx: Context) -> dict[str, list[tuple[str, str]]]:
        """The commands with a summary each, under their headings."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, summary(command.help)) for name, command in commands if command and not command.hidden]
        return {"Commands": rows}


class LazyGroup(Group):
    """A group that knows its commands' names and summaries, and imports each when it is called."""

    entries: Mapping[str, Entry] = {}

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # typer looks here for what a mistyped name may have meant.
        self.commands = dict.fromkeys(self.entries)  # type: ignore[assignment]  # only its keys are read

    def get_command(self, ctx: Context, cmd_name: str) -> Any:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        loaded = get_command(importlib.import_module(entry.module).app)
        if isinstance(loaded, TyperGroup) and cmd_name in loaded.commands:
            return loaded.commands[cmd_name]
        return loaded

    def sections(self, ctx: Context) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for entry in self.entries.values():
            found.setdefault(entry.section, []).append((entry.name, entry.summary))
        return found


def summary(text: str | None) -> str:
    """The first sentence of a command's help, as lists show it."""
    return inspect.cleandoc(text or "").partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")


def examples(text: str | None) -> list[str]:
    """The lines of a command's epilog."""
    return inspect.cleandoc(text or "").splitlines()


def discard_output() -> None:
    """Let what is still to be printed go nowhere: who read standard output has gone."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)


# Help

_RANGE: Final = re.compile(r"(-?[\d.]+)<=x<=(-?[\d.]+)")
_FROM: Final = re.compile(r"x>=(-?[\d.]+)")
_DEFAULT: Final = re.compile(r"default: \(([^)]*)\)")


def _heading(text: str) -> str:
    return styled(text, "bold", sys.stdout)


def usage(parameters: list[Parameter]) -> str:
    """What stands behind a command's name: `ACTOR [DATA] [OPTIONS]`."""
    pieces = []
    for parameter in parameters:
        if isinstance(parameter, TyperArgument):
            shown = parameter.display_name_raw
            shown = shown if parameter.required else f"[{shown}]"
            pieces.append(shown if parameter.nargs == 1 else f"{shown}...")
    return " ".join([*pieces, "[OPTIONS]"])


def parameter_rows(parameters: list[Parameter], ctx: Context) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Arguments and options: each as it is written, and what it is for."""
    arguments, options = [], []
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is not None:
            text = _RANGE.sub(r"\1 to \2", record[1]).removesuffix("[required]").rstrip()
            text = _FROM.sub(r"at least \1", text)
            text = _DEFAULT.sub(r"default: \1", text)
            if isinstance(parameter, TyperArgument):
                arguments.append((parameter.display_name_raw, text))
            else:
                options.append((record[0], text))
    return arguments, options


def _write_text(text: str | None, formatter: HelpFormatter) -> None:
    if text:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(inspect.cleandoc(text))


def _write_parameters(parameters: list[Parameter], ctx: Context, formatter: HelpFormatter) -> None:
    for title, rows in zip(("Arguments", "Options"), parameter_rows(parameters, ctx), strict=True):
        if rows:
            with formatter.section(_heading(title)):
                formatter.write_dl(rows, col_max=24)


def _write_examples(epilog: str | None, formatter: HelpFormatter) -> None:
    lines = examples(epilog)
    if lines:
        with formatter.section(_heading("Example" if len(lines) == 1 else "Examples")):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


# Parameters


_ACCESS: Final = (
    (
        "--token-file",
        "ROUTER_TOKEN_FILE",
        "A file with the token for https://; else ROUTER_TOKEN_FILE, else ROUTER_TOKEN.",
    ),
    ("--ca", "ROUTER_CA", "A file with the certificates to trust in place of the system's; else ROUTER_CA."),
)


def _with_access(parameters: list[Parameter]) -> list[Parameter]:
    """The same, and behind `--control` the options of asking by TCP, which every command has that has that one.

    They stand in for environment variables, and set them: no command has to hand them on.
    """
    for index, parameter in enumerate(parameters, 1):
        if parameter.name == "control" and isinstance(parameter, TyperOption):
            access = [_standing_in(parameter, *each) for each in _ACCESS]
            return [*parameters[:index], *access, *parameters[index:]]
    return parameters


def _standing_in(control: TyperOption, name: str, variable: str, text: str) -> TyperOption:
    def stand_in(ctx: Context, parameter: Parameter, value: Any) -> None:
        if value is not None:
            os.environ[variable] = str(value)

    return TyperOption(
        param_decls=[name],
        type_descriptor=control.type_descriptor,
        metavar="FILE",
        help=text,
        expose_value=False,
        callback=stand_in,
    )


class _Coercion:
    """Reads a parameter's text in place of typer's own, which imports pydantic (80 ms) even for plain text."""

    def __init__(self, parameter: TyperArgument | TyperOption, kind: type) -> None:
        self._kind = kind
        self._choices = tuple(str(choice) for choice in parameter.type_descriptor.choices or ())

    def itself(self) -> _Coercion:
        return self

    def coerce(self, value: Any, param: TyperArgument | TyperOption, ctx: Context) -> Any:
        if param.multiple or param.nargs == -1:
            return tuple(self._one(part, param, ctx) for part in value or ())
        return None if value is None else self._one(value, param, ctx)

    def _one(self, value: Any, param: TyperArgument | TyperOption, ctx: Context) -> Any:
        if self._choices and value not in self._choices:
            message = f"{value!r} is none of {', '.join(self._choices)}"
            raise typer.BadParameter(message, ctx=ctx, param=param)
        if self._kind is not int:
            return value if self._kind is bool else self._kind(value)
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is no whole number", ctx=ctx, param=param) from None
        if (param.min is not None and number < param.min) or (param.max is not None and number > param.max):
            message = f"{number} is not {_wanted(param)}"
            raise typer.BadParameter(message, ctx=ctx, param=param)
        return number


def _wanted(param: TyperArgument | TyperOption) -> str:
    """The range of a number, of which either end may be open."""
    if param.max is None:
        return f"{param.min} or more"
    return f"{param.max} or less" if param.min is None else f"between {param.min} and {param.max}"


_KINDS: Final[dict[Any, type]] = {str: str, int: int, bool: bool, Path: Path, list[str]: str}


def _lightened(parameters: list[Parameter]) -> list[Parameter]:
    """The same, with coercion of ours where it is simple; where typer changes, its own comes back."""
    for parameter in parameters:
        if isinstance(parameter, TyperArgument | TyperOption):
            descriptor = parameter.type_descriptor
            kind = str if descriptor.choices else _KINDS.get(descriptor.annotation)
            if kind is not None and "get_runtime_param" not in vars(parameter):
                coercion = _Coercion(parameter, kind)
                parameter.get_runtime_param = coercion.itself  # type: ignore[assignment,method-assign]  # duck-typed
    return parameters
