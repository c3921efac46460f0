"""Shows what is wrong with a topology, as docs of the language write it, in colour where there is any."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from router.cli.figures import plural
from router.cli.terminal import Style, styled

if TYPE_CHECKING:
    from router.topology.model import Topology
    from router.topology.problems import Problem


def read(file: Path) -> tuple[Topology | None, list[Problem]]:
    """The topology in a file, or None, and all problems; nothing is opened or imported that it does not name."""
    import os

    from router.catalog import Catalog
    from router.topology.check import check_file

    return check_file(file, catalog=Catalog.installed(), environ=os.environ)


def show(problems: Sequence[Problem]) -> None:
    """Print all of them on standard error, and how many there are."""
    for problem in problems:
        print(_coloured(problem), file=sys.stderr)
    if problems:
        print(total(problems), file=sys.stderr)


def total(problems: Sequence[Problem]) -> str:
    """`3 problems, 1 warning`."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    counts = [plural(errors, "problem")] if errors else []
    return ", ".join(counts + ([plural(warnings, "warning")] if warnings else []))


def _coloured(problem: Problem) -> str:
    from router.topology.problems import render

    colour: Style = "red" if problem.severity == "error" else "yellow"
    head, *lines = render(problem).split("\n")
    mark = f"{problem.severity}:"
    place, _, message = head.partition(mark)
    shown = [f"{styled(place, 'bold', sys.stderr)}{styled(mark, colour, sys.stderr)}{message}"]
    if len(lines) == 2:  # the source line, and what stands under it
        bar, _, under = lines[1].partition("|")
        blank = under[: len(under) - len(under.lstrip())]
        shown += [
            styled(lines[0][:7], "dim", sys.stderr) + lines[0][7:],
            styled(f"{bar}|", "dim", sys.stderr) + blank + styled(under.lstrip(), colour, sys.stderr),
        ]
    else:
        shown += lines
    return "\n".join(shown)
