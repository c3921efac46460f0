"""Row numbers that carry whose row it is, so that a name's rows lie side by side without an index.

The upper bits of a number are the name's, the lower ones rise by one for each of its rows. An index on
(name, row) would be written with every row and again with every deletion.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from actors.kit.statement import Parameters, Statement

_SHIFT: Final = 44
"""Leaves 524,288 names, and 10,000 rows a second for 55 years."""


@dataclass(slots=True, eq=False)
class Range:
    """The numbers of one name."""

    id: int
    name: str
    next: int
    saved: bool
    """Whether the name is committed; until then whatever uses its numbers writes it again."""
    count: int = 0
    """Its rows, where the owner of the table counts them."""

    @property
    def first(self) -> int:
        return self.id << _SHIFT

    @property
    def last(self) -> int:
        return ((self.id + 1) << _SHIFT) - 1

    def take(self) -> int:
        number = self.next
        self.next = number + 1
        return number


class Numbering:
    """The names of a table's ranges, kept in a table of their own with the columns `id` and `name`."""

    def __init__(self, names_table: str) -> None:
        self._names_table = names_table
        self._save = Statement(f"INSERT OR IGNORE INTO {names_table} (id, name) VALUES ", "(?, ?)")
        self._by_name: dict[str, Range] = {}
        self._by_id: dict[int, Range] = {}

    def load(self, connection: sqlite3.Connection, table: str, column: str) -> None:
        """Learn names and next numbers; `column` of `table` holds the numbers."""
        for id_, name in connection.execute(f"SELECT id, name FROM {self._names_table}").fetchall():
            found = self._add(id_, name, saved=True)
            (last,) = connection.execute(
                f"SELECT max({column}) FROM {table} WHERE {column} BETWEEN ? AND ?", (found.first, found.last)
            ).fetchone()
            if last is not None:
                found.next = last + 1

    def of(self, name: str) -> Range:
        """Its range; a new one where the name is new."""
        found = self._by_name.get(name)
        return found if found is not None else self._add(max(self._by_id, default=0) + 1, name, saved=False)

    def find(self, name: str) -> Range | None:
        return self._by_name.get(name)

    def holding(self, number: int) -> Range:
        """The range that a number belongs to."""
        return self._by_id[number >> _SHIFT]

    def ranges(self) -> list[Range]:
        return list(self._by_id.values())

    def saving(self, unsaved: Range) -> tuple[Statement, Parameters]:
        """What keeps its name; harmless where it is kept already."""
        return self._save, (unsaved.id, unsaved.name)

    def _add(self, id_: int, name: str, *, saved: bool) -> Range:
        # Counting from 1 keeps row number 0 out of use.
        added = Range(id_, name, (id_ << _SHIFT) + 1, saved)
        self._by_name[name] = self._by_id[id_] = added
        return added
