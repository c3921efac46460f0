"""`router doctor`: reaches what a topology leads to, and says what to fix."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from router.cli.command import APP, Command
from router.cli.failure import FAILED, TOPOLOGY_PROBLEMS
from router.cli.figures import plural
from router.cli.options import AsJson, TopologyFile
from router.cli.table import terminal_width
from router.cli.terminal import Style, cut, print_json, printable, styled, width

if TYPE_CHECKING:
    from actors.core.examination import Finding, Level
    from router.cli.checkup import Checked

LEVEL_WIDTH: Final = 9
LONGEST_SUBJECT: Final = 28
LEAST_ROOM: Final = 30

_STYLES: Final[dict[Level, Style]] = {"ok": "green", "warning": "yellow", "problem": "red"}

app = typer.Typer(**APP)


@app.command(cls=Command, epilog="router doctor topology.yaml\nrouter doctor --json topology.yaml")
def doctor(
    file: TopologyFile = Path("topology.yaml"),
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", metavar="DIR", help="In place of the topology's `settings.state_dir`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Reach every broker and URL of a topology, and say what to fix.

    It resolves names, connects, shakes hands where TLS is spoken, and logs in to brokers; it subscribes as the
    actors would, as a client of its own without a session. It publishes nothing and sends no HTTP request,
    since any might have an effect. It looks at ports, certificates, the state directory and secret files, and
    may run beside a router. Exits with 1 where there are problems; warnings are none.
    """
    from router.cli import problems

    topology, found = problems.read(file)
    if topology is None:
        problems.show(found)
        raise typer.Exit(TOPOLOGY_PROBLEMS)
    import asyncio

    from router.cli.checkup import check_up, count
    from router.cli.open_files import allow_files

    allow_files()  # as `start` does
    checked = asyncio.run(check_up(topology, state_dir or topology.directory / topology.settings.state_dir))
    wrong, warnings = count(checked, "problem"), count(checked, "warning")
    if as_json:
        findings = [finding for each in checked for finding in each.as_dicts()]
        print_json({"file": str(file), "problems": wrong, "warnings": warnings, "findings": findings})
    else:
        _show(checked)
        print(_total(wrong, warnings))
    if wrong:
        raise typer.Exit(FAILED)


def _show(checked: Sequence[Checked]) -> None:
    subjects = [printable(each.subject) for each in checked if each.findings]
    widest = min(max(map(width, subjects), default=0), LONGEST_SUBJECT)
    for each in checked:
        subject = cut(printable(each.subject), widest)
        for finding in each.findings:
            print(*_lines(finding, subject, widest), sep="\n")
            subject = ""


def _lines(finding: Finding, subject: str, widest: int) -> list[str]:
    """One finding: its level, its subject and its text, wrapped under itself, with what to do below."""
    before = LEVEL_WIDTH + widest + 2
    columns = terminal_width()
    room = 10_000 if columns is None else max(columns - before, LEAST_ROOM)
    wrapped = [*_wrapped(finding.text, room)] or [""]
    level = finding.level
    head = styled(level, _STYLES[level], sys.stdout) + " " * (LEVEL_WIDTH - len(level))
    lines = [f"{head}{subject}{' ' * (widest - width(subject) + 2)}{wrapped[0]}"]
    lines += [f"{'':{before}}{line}" for line in wrapped[1:]]
    advice = _wrapped(finding.advice, room - 2)
    lines += [f"{'':{before}}{'› ' if not place else '  '}{line}" for place, line in enumerate(advice)]
    return lines


def _wrapped(text: str, room: int) -> list[str]:
    # Paths and addresses that fit are kept whole, so that they can be copied.
    return textwrap.wrap(printable(text), room, break_on_hyphens=False)


def _total(wrong: int, warnings: int) -> str:
    counts = [plural(wrong, "problem")] if wrong else ["no problems"]
    return f"\n{', '.join(counts + ([plural(warnings, 'warning')] if warnings else []))}"
