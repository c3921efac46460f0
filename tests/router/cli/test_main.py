"""The command line as a whole: help, exit codes, and how it ends when others go away."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from router.cli.command import Group, examples, summary
from router.cli.main import ENTRIES, Commands, app
from tests.router.cli.conftest import Cli, Recorded

DEADLINE_S = 30.0
HEAVY = ("aiohttp", "pydantic", "jinja2", "uvloop", "ruamel", "rich", "structlog", "msgpack", "pykka", "asyncio")
"""What only a running router, or the reading of a topology, may need."""


def all_commands() -> Iterator[tuple[str, Any]]:
    """Every command by its whole name."""
    group = get_command(app)
    assert isinstance(group, Commands)
    context = typer.Context(group, info_name="router")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield name, command
        if isinstance(command, Group):
            below = typer.Context(command, info_name=name, parent=context)
            for other in command.list_commands(below):
                yield f"{name} {other}", command.get_command(below, other)


ALL = dict(all_commands())


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "router", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example(cli: Cli, name: str) -> None:
    """The example begins as the command does, so that it can be tried."""
    ended = cli(*name.split(), "--help")
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.startswith(f"Usage: router {name} ")
    lines = examples(ALL[name].epilog)
    assert lines
    assert all(f"router {name}" in line for line in lines)
    assert "Example" in ended.output
    assert all(f"  {line}\n" in f"{ended.output}\n" for line in lines)


@pytest.mark.parametrize("name", [name for name in ALL if not isinstance(ALL[name], Group)])
def test_every_command_speaks_json(cli: Cli, name: str) -> None:
    """For machines, under the same option everywhere."""
    assert "--json" in cli(*name.split(), "--help").output


@pytest.mark.parametrize("name", ALL)
def test_help_fits_eighty_columns(cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples included: they are there to be copied."""
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, cli(*name.split(), "--help").output.splitlines())) <= 80


def test_the_list_of_commands_says_what_their_help_says() -> None:
    """The list is kept apart, so that showing it imports no command."""
    assert {entry.name: entry.summary for entry in ENTRIES} == {
        entry.name: summary(ALL[entry.name].help) for entry in ENTRIES
    }
    for entry in ENTRIES:
        importlib.import_module(entry.module)


def test_the_help_of_all_lists_every_command(cli: Cli) -> None:
    """Each under its heading."""
    output = cli("--help").output
    assert output.startswith("Usage: router COMMAND ...")
    assert all(f"\n  {entry.name} " in output for entry in ENTRIES)
    assert all(f"\n{entry.section}:\n" in output for entry in ENTRIES)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ps", "--help"], ["ps"], ["send", "a", "{}"], ["mailbox", "a", "--limit", "3"]]
)
def test_what_only_a_router_needs_is_not_imported(arguments: list[str]) -> None:
    """A client of the control API, and its help, start in a tenth of a second."""
    program = (
        "import sys; from router.cli.main import main; main(sys.argv[1:]);"
        "print('modules', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, *(["--control", "/nowhere"] if "--help" not in arguments else [])],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    modules = done.stderr.splitlines()[-1].split()
    assert modules[0] == "modules"
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)


def test_without_arguments_it_shows_its_help_and_fails(cli: Cli) -> None:
    """A script that lost its arguments shall notice."""
    ended = cli()
    assert ended.code == 2
    assert ended.output == ""
    assert ended.errors.startswith("Usage: router COMMAND ...")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pss"], "error: No such command 'pss'. Did you mean 'ps'?"),
        (["dead-letters", "lits"], "error: No such command 'lits'. Did you mean 'list'?"),
        (["ps", "--jsn"], "error: No such option: --jsn"),
        (["mailbox"], "error: Missing argument 'NAME'."),
        (["mailbox", "a", "--limit", "many"], "error: Invalid value for '--limit': 'many' is no whole number"),
        (["mailbox", "a", "--limit", "0"], "error: Invalid value for '--limit': 0 is not between 1 and 1000"),
        (["tap", "a", "--count", "0"], "error: Invalid value for '--count': 0 is not 1 or more"),
        (["start", "--log-level", "loud"], "'loud' is none of debug, info, warning, error"),
        (["ask", "a", "--timeout", "5"], "write 5s or 5ms, not 5"),
        (["send", "a", "--header", "x"], "error: Invalid value for --header: 'x' should be NAME=VALUE"),
        (["dead-letters", "drop"], "error: that does not say which dead letters"),
        (["dead-letters", "drop", "d1", "--all"], "error: that does not say which dead letters"),
        (["dead-letters", "replay", "d1", "--route", "r"], "error: that does not say which dead letters"),
    ],
)
def test_wrong_usage_exits_with_two(cli: Cli, arguments: list[str], message: str) -> None:
    """With what is wrong, what was probably meant, and where to read on."""
    ended = cli(*arguments)
    assert (ended.code, ended.output) == (2, "")
    assert message in ended.errors
    assert "\n       " in ended.errors


@pytest.mark.parametrize("arguments", [["pss"], ["ps", "--jsn"], ["mailbox"], ["tap", "a", "--limit", "5"]])
def test_wrong_usage_is_an_object_for_machines(cli: Cli, arguments: list[str]) -> None:
    """Also where the command line could not be read as far as --json."""
    ended = cli(*arguments, "--json")
    assert (ended.code, ended.output) == (2, "")
    assert json.loads(ended.errors).keys() == {"detail", "suggestion"}


def test_a_range_with_an_open_end_is_words(cli: Cli) -> None:
    """In help, too."""
    assert "End behind so many.  [at least 1]" in cli("tap", "--help").output


def test_the_version_is_the_package_s(cli: Cli) -> None:
    from router import __version__

    assert cli("--version").output == f"pointsman {__version__}\n"


def test_a_reader_that_goes_away_is_no_error(control: Recorded) -> None:
    """`router ps | head -1` ends quietly, however much there was to say."""
    views = [{"name": f"actor-{number}", "kind": "actor", "state": "ready"} for number in range(5000)]
    control.answer("GET", "/v1/router", {"name": "r"})
    control.answer("GET", "/v1/actors", {"actors": views, "routes": []})
    for arguments in (["ps"], ["ps", "--json"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "router", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        assert (process.wait(DEADLINE_S), errors) == (0, b"")


def test_ctrl_c_ends_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback; the exit code is the shell's for an interrupt."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("router.cli.actors.control_socket", interrupt)
    assert (cli("ps").code, cli("ps").errors) == (130, "")


def test_output_that_the_terminal_cannot_write_is_replaced(control: Recorded) -> None:
    """A locale of the last century is no reason for a traceback."""
    control.answer("GET", "/v1/router", {"name": "señal"})
    control.answer("GET", "/v1/actors", {"actors": [], "routes": []})
    done = run("ps", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"se\xf1al" in done.stdout


def test_completion_knows_commands_options_and_names(control: Recorded) -> None:
    """Names are asked of the running router; without one there are none, and no error."""
    control.answer("GET", "/v1/actors", {"actors": [{"name": "orders"}], "routes": [{"name": "to-log"}]})

    control.answer("GET", "/v1/queues", {"queues": [{"name": "jobs", "actors": ["inbound"]}]})

    def complete(line: str, word: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.argv[0] = 'router'; from router.cli.main import main; main()"],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            env={**os.environ, "_ROUTER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(word)},
        )
        assert done.stderr == ""
        return done.stdout.split()

    assert complete("router m", 1) == ["mailbox"]
    assert complete("router mailbox ", 2) == ["orders", "to-log"]
    assert complete("router send ", 2) == ["orders"]
    assert complete("router queue stats ", 3) == ["inbound", "jobs"]
    assert complete("router queue jobs inbound --state ", 5)[:2] == ["waiting", "prioritized"]
    assert complete("router dead-letters replay --as ", 4) == ["original", "current"]
    assert complete("router mailbox --control /nowhere ", 4) == []


def test_completion_is_installed_for_the_shell(tmp_path: Path) -> None:
    """Into the caller's home, which here is an empty one."""
    program = (
        "import sys, shellingham; shellingham.detect_shell = lambda: ('bash', 'bash'); sys.argv[0] = 'router';"
        "from router.cli.main import main; sys.exit(main(['--install-completion']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "_router_completion" in (tmp_path / ".bash_completions" / "router.sh").read_text()
