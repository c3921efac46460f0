"""Tables without lines: in a terminal as wide as it is, elsewhere as wide as what they hold."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from router.cli.figures import NOTHING
from router.cli.terminal import Style, cut, printable, styled, width

GAP: Final = 2
_NAUGHT: Final = ("", "0", NOTHING)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Numbers stand on the right."""
    least: int | None = None
    """Where the terminal is too narrow, texts are cut down to this many columns; None: never."""
    spare: int = 0
    """Where that is not enough, a spare column is left out; the highest first, and before them those that hold
    nothing but zeros."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in a style."""

    text: str
    style: Style | None = None


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell | str]]) -> None:
    """Print rows under the columns' titles."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    shown = [[Cell(printable(cell.text), cell.style) for cell in row] for row in cells]
    texts = [[cell.text for cell in row] for row in shown]
    places, widths = layout(columns, texts, terminal_width())
    titles = [Cell(column.title.upper(), "dim") for column in columns]
    for row in (titles, *shown):
        print(_line(columns, row, places, widths))


def layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None
) -> tuple[list[int], dict[int, int]]:
    """Which columns fit into `room` (None: any), and how wide each is."""
    natural = {
        place: max(width(column.title), *(width(row[place]) for row in rows), 0) for place, column in enumerate(columns)
    }
    least = {
        place: natural[place] if column.least is None else min(natural[place], max(column.least, width(column.title)))
        for place, column in enumerate(columns)
    }
    places = list(natural)
    if room is None:
        return places, natural

    def empty(place: int) -> bool:
        return all(row[place] in _NAUGHT for row in rows)

    while sum(least[place] + GAP for place in places) - GAP > room:
        spare = [place for place in places if columns[place].spare]
        if not spare:
            break
        places.remove(max(spare, key=lambda place: (empty(place), columns[place].spare)))
    widths = {place: natural[place] for place in places}
    while sum(widths.values()) + GAP * (len(places) - 1) > room:
        widest = max(places, key=lambda place: widths[place] if widths[place] > least[place] else -1)
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    return places, widths


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one a line, the values under each other; those without a value are left out."""
    shown = [(printable(name), printable(value)) for name, value in facts if value]
    widest = max((width(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name}{' ' * (widest - width(name) + GAP)}{value}")


def print_note(subject: str, text: str, style: Style | None = None) -> None:
    """Print a sentence about `subject`, which stands out, wrapped where the terminal ends."""
    subject, whole = printable(subject), printable(f"{subject} {text}")
    room = terminal_width()
    lines = [whole] if room is None else textwrap.wrap(whole, max(room, 20), subsequent_indent="  ")
    rest = lines[0].removeprefix(subject)
    if rest != lines[0]:
        lines[0] = styled(subject, "bold", sys.stdout) + (styled(rest, style, sys.stdout) if style else rest)
    print(*lines, sep="\n")


def terminal_width() -> int | None:
    """Columns of the terminal; None where standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _line(columns: Sequence[Column], row: Sequence[Cell], places: Sequence[int], widths: dict[int, int]) -> str:
    line, pending = "", 0  # spaces are due when something follows them
    for place in places:
        text = cut(row[place].text, widths[place])
        blank = widths[place] - width(text)
        before, after = (blank, 0) if columns[place].right else (0, blank)
        style = row[place].style
        if text:
            line += " " * (pending + before) + (styled(text, style, sys.stdout) if style else text)
            pending = after + GAP
        else:
            pending += blank + GAP
    return line
