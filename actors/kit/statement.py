"""An SQL statement for many rows, and the order in which a batch of statements is run.

Each step of SQLite from Python gives the interpreter's lock away and has to win it back from the loop's
thread, which costs `sys.getswitchinterval()` and more under load. So many rows travel in one step: what is
repeated for each row is written into the text as often as there are rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import Final

Parameters = tuple[object, ...]

ROWS_A_STEP: Final = 128
"""More rows than this are split into several steps."""
EXACT_UP_TO: Final = 64
"""Between this and ROWS_A_STEP rows are split too, or every count of rows would have a prepared text."""


class Place(Enum):
    """Where a batch may run a statement. A wrong promise corrupts data; without one, order is kept."""

    FIRST = "first"
    """Nothing that was submitted earlier can concern its row: the insertion of a row that is new."""
    ORDERED = "ordered"
    """In the order of submission."""
    LAST = "last"
    """Nothing that is submitted later can concern its row: the deletion of a row that is done with."""


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """SQL with a part that is repeated for each row, compared by identity: keep it in a constant.

    `Statement("INSERT INTO t (a) VALUES ", "(?)")` and `Statement("DELETE FROM t WHERE a IN (", "?", ")")`.
    Without `each` the whole is run once for each row. Rows of one step are applied in their order, as SQLite
    does for VALUES with ON CONFLICT; a `tail` that counts or aggregates over rows has no place here.
    """

    head: str
    each: str = ""
    tail: str = ""
    place: Place = Place.ORDERED
    _texts: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    def text(self, rows: int) -> str:
        """The SQL for `rows` rows."""
        text = self._texts.get(rows)
        if text is None:
            text = self._texts[rows] = f"{self.head}{', '.join([self.each] * rows)}{self.tail}"
        return text

    def steps(self, rows: Sequence[Parameters]) -> Iterable[Step]:
        """What to run, in this order, for all of `rows`."""
        if not self.each:
            yield self.head, rows
            return
        start, left = 0, len(rows)
        while left:
            if left >= ROWS_A_STEP:
                count = ROWS_A_STEP
            else:
                count = EXACT_UP_TO if left > EXACT_UP_TO else left
            yield self.text(count), (tuple(chain.from_iterable(rows[start : start + count])),)
            start, left = start + count, left - count


Step = tuple[str, Sequence[Parameters]]
"""SQL, and the parameters to run it with, one run each."""


@dataclass(frozen=True, slots=True, eq=False)
class Several:
    """Statements that are kept together or not at all, in their order."""

    steps: tuple[tuple[Statement, Parameters], ...]


Job = tuple[Statement | Several, Parameters, Callable[[Exception | None], None] | None, bool]
"""What is run, with which parameters (none for `Several`), who is told, and whether it is lazy. A bare tuple:
it is made for every message."""


def plan(jobs: Iterable[Job]) -> list[Step]:
    """The steps of a batch: FIRST ones, the others as submitted, LAST ones; neighbours become one step."""
    first: dict[Statement, list[Parameters]] = {}
    last: dict[Statement, list[Parameters]] = {}
    ordered: list[tuple[Statement, list[Parameters]]] = []
    previous: Statement | None = None
    run: list[Parameters] = []
    for work, parameters, _, _ in jobs:
        # Statements of `Several` keep their order: they may concern one another's rows.
        singles = work.steps if isinstance(work, Several) else ((work, parameters),)
        for statement, row in singles:
            place = statement.place if work is statement else Place.ORDERED
            if place is Place.FIRST:
                first.setdefault(statement, []).append(row)
            elif place is Place.LAST:
                last.setdefault(statement, []).append(row)
            elif statement is previous:
                run.append(row)
            else:
                previous, run = statement, [row]
                ordered.append((statement, run))
    return [step for statement, rows in chain(first.items(), ordered, last.items()) for step in statement.steps(rows)]
