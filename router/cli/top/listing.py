"""Which rows are shown, in which order, and where the cursor is: on the same row, wherever that moves to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.cli.top.columns import Column
from router.cli.top.entry import Entry


@dataclass(slots=True)
class Listing:
    """The rows of one table. It knows nothing of a screen but how many rows that has room for."""

    entries: Sequence[Entry] = ()
    """All there are, in the order of the topology."""
    rows: list[Entry] = field(default_factory=list)
    """Those that match the filter, as sorted."""
    words: tuple[str, ...] = ()
    """What a row must have, each in its name, its type or its state."""
    sorted_by: Column | None = None
    """None: in the order of the topology."""
    falling: bool = False
    cursor: str | None = None
    """The key of the row it is on."""
    first: int = 0
    """The place of the row that stands on top."""
    _place: int = 0

    @property
    def current(self) -> Entry | None:
        """The row that the cursor is on."""
        return self.rows[self._place] if self.rows else None

    @property
    def place(self) -> int:
        """The cursor's, from 0."""
        return self._place

    def show(self, entries: Sequence[Entry]) -> None:
        """Show these from now on."""
        self.entries = entries
        self._arrange()

    def filter(self, text: str) -> None:
        """Show only what has each of these words."""
        self.words = tuple(text.lower().split())
        self._arrange()

    def sort(self, column: Column | None, *, falling: bool | None = None) -> None:
        """Sort by a column, or not at all."""
        self.sorted_by = column
        self.falling = falling if falling is not None else column is not None and column.falling
        self._arrange()

    def turn(self) -> None:
        """The other way round."""
        self.sort(self.sorted_by, falling=not self.falling)

    def move(self, rows: int) -> None:
        """Move the cursor down, or up."""
        self.go(self._place + rows)

    def go(self, place: int) -> None:
        """Put the cursor there, or as near as there are rows."""
        self._place = min(max(place, 0), max(len(self.rows) - 1, 0))
        self.cursor = self.rows[self._place].key if self.rows else None

    def reveal(self, height: int) -> None:
        """Scroll as little as it takes for the cursor to be seen, and for no room to be wasted."""
        lowest = max(0, len(self.rows) - height)
        self.first = max(min(self.first, self._place, lowest), self._place - height + 1, 0)

    def scroll(self, rows: int, height: int) -> None:
        """Scroll, and take the cursor along where it would go out of sight."""
        self.first = min(max(self.first + rows, 0), max(0, len(self.rows) - height))
        self.go(min(max(self._place, self.first), self.first + max(height, 1) - 1))

    def _arrange(self) -> None:
        rows = [entry for entry in self.entries if self._matches(entry)]
        if self.sorted_by is not None:
            rows = _sorted(rows, self.sorted_by.value, falling=self.falling)
        elif self.falling:
            rows.reverse()
        self.rows = rows
        place = next((place for place, entry in enumerate(rows) if entry.key == self.cursor), None)
        self.go(self._place if place is None else place)

    def _matches(self, entry: Entry) -> bool:
        if not self.words:
            return True
        text = f"{entry.name} {entry.view.get('type', '')} {entry.state}".lower()
        return all(word in text for word in self.words)


def _sorted(rows: list[Entry], value: Callable[[Entry], str | float | None], *, falling: bool) -> list[Entry]:
    """Those without a value stand last either way, and equal ones as they stood."""
    keyed = [(value(entry), entry) for entry in rows]
    told = [(key, entry) for key, entry in keyed if key is not None]
    told.sort(key=lambda pair: pair[0], reverse=falling)  # of one column, so of one type
    return [entry for _, entry in told] + [entry for key, entry in keyed if key is None]
