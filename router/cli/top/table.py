"""A table of which only the rows in sight are drawn, so that thousands cost no more than twenty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from router.cli.figures import NOTHING
from router.cli.table import Cell
from router.cli.terminal import Style, cut, printable, width
from router.cli.top.columns import GAP, Column, Layout, fill, fit, shown_columns
from router.cli.top.entry import Entry
from router.cli.top.listing import Listing

MARGIN: Final = 1
HEAD: Final = 1
LONGEST_NAME: Final = 32
WHEEL: Final = 3

_PLAIN: Final = RichStyle()
_CURSOR: Final = RichStyle(reverse=True)
_TITLE: Final = RichStyle(dim=True)
_CHOSEN: Final = RichStyle(bold=True)
_NAMES: Final[tuple[Style, ...]] = ("bold", "dim", "red", "green", "yellow")
_STYLES: Final[dict[Style | None, RichStyle]] = {None: _PLAIN, **{name: RichStyle.parse(name) for name in _NAMES}}


class Table(Widget, can_focus=True):
    """Actors, routes or queues, under titles that stay."""

    DEFAULT_CSS = "Table { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("home,g", "go(False)", "First", show=False),
        Binding("end,G", "go(True)", "Last", show=False),
        Binding("enter", "choose", "Detail", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row."""

    class Chosen(Message):
        """A row is to be looked at."""

    def __init__(self, columns: Sequence[Column], *, id: str) -> None:
        super().__init__(id=id)
        self.listing = Listing()
        self.all_columns = columns
        self.columns: tuple[Column, ...] = tuple(columns)
        self._layout_now: Layout | None = None
        self._names = 0
        self.stale = False
        """Whether what is shown may be so no longer."""

    @property
    def needs(self) -> int:
        """Lines that it takes to show all its rows."""
        return HEAD + max(1, len(self.listing.rows))

    @property
    def room(self) -> int:
        """Rows that are in sight."""
        return max(1, self.size.height - HEAD)

    def show(self, entries: Sequence[Entry], names: int) -> None:
        """Show these from now on; `names` is as wide as the longest name of them and of what stands beside them."""
        self.columns = shown_columns(self.all_columns, entries)
        self._names = min(names, LONGEST_NAME)
        self.listing.show(entries)
        self._changed()

    def filter(self, text: str) -> None:
        self.listing.filter(text)
        self._changed()

    def sort_by_next(self) -> None:
        """By the next column, and behind the last one in the order of the topology."""
        columns = self._fitted().columns
        order = [None, *columns]
        now = self.listing.sorted_by
        place = order.index(now) if now in order else 0
        self.listing.sort(order[(place + 1) % len(order)])
        self._changed()

    def turn(self) -> None:
        """Sort the other way round."""
        self.listing.turn()
        self._changed()

    def mark_stale(self, stale: bool) -> None:
        """Show whether this is how things are, or how they were."""
        if stale != self.stale:
            self.stale = stale
            self.refresh()

    # What the keyboard and the mouse do

    def action_move(self, rows: int) -> None:
        self.listing.move(rows)
        self._moved()

    def action_page(self, pages: int) -> None:
        self.listing.move(pages * self.room)
        self._moved()

    def action_go(self, last: bool) -> None:
        self.listing.go(len(self.listing.rows) if last else 0)
        self._moved()

    def action_choose(self) -> None:
        if self.listing.current is not None:
            self.post_message(self.Chosen())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.listing.scroll(WHEEL, self.room)
        self._moved()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.listing.scroll(-WHEEL, self.room)
        self._moved()

    def on_click(self, event: events.Click) -> None:
        if event.y < HEAD:
            column = self._fitted().at(event.x - MARGIN)
            if column is not None and column is self.listing.sorted_by:
                self.listing.turn()
            else:
                self.listing.sort(column)
            self._changed()
            return
        place = self.listing.first + event.y - HEAD
        if place < len(self.listing.rows):
            self.listing.go(place)
            self._moved()
            if event.chain == 2:
                self.action_choose()

    def on_resize(self) -> None:
        self._changed()

    def on_focus(self) -> None:
        self._moved()

    def on_blur(self) -> None:
        self.refresh()

    def _changed(self) -> None:
        self._layout_now = None
        self._moved()

    def _moved(self) -> None:
        self.listing.reveal(self.room)
        self.refresh()
        self.post_message(self.Moved())

    # What is drawn

    def render_line(self, y: int) -> Strip:
        columns = self.size.width
        if y < HEAD:
            return self._titles().adjust_cell_length(columns)
        place = self.listing.first + y - HEAD
        if place >= len(self.listing.rows):
            empty = " nothing matches" if y == HEAD and self.listing.words else ""
            return Strip([Segment(empty, _TITLE)]).adjust_cell_length(columns)
        entry = self.listing.rows[place]
        segments = [Segment(" " * MARGIN, _PLAIN)]
        layout = self._fitted()
        for index, (column, room) in enumerate(zip(layout.columns, layout.widths, strict=True)):
            if index:
                segments.append(Segment(" " * GAP, _PLAIN))
            segments += _segments(_cells(column, entry, room))
        strip = Strip(segments).adjust_cell_length(columns - 1)
        if self.has_focus and place == self.listing.place:
            # One style for all of it: colours turned round would be a patchwork.
            strip = Strip([Segment(strip.text, _CURSOR)])
        elif self.stale:
            strip = Strip([Segment(strip.text, _TITLE)])
        return Strip([*strip, Segment(self._position(y - HEAD), _TITLE)])

    def _titles(self) -> Strip:
        layout, listing = self._fitted(), self.listing
        segments = [Segment(" " * MARGIN, _PLAIN)]
        for index, (column, room) in enumerate(zip(layout.columns, layout.widths, strict=True)):
            chosen = column is listing.sorted_by
            title = column.title if index else self._counted(column.title)
            arrow = ("▾" if listing.falling else "▴") if chosen else ""
            # The arrow of a title on the right may stand in the gap before it.
            text = f"{arrow}{title}".rjust(room) if column.right else cut(f"{title}{arrow}", room).ljust(room)
            gap = GAP - (len(text) - room) if index else 0
            segments.append(Segment(" " * gap, _PLAIN))
            segments.append(Segment(text, _CHOSEN if chosen or not index else _TITLE))
        return Strip(segments)

    def _counted(self, title: str) -> str:
        total, shown = len(self.listing.entries), len(self.listing.rows)
        return f"{title} {shown}/{total}" if self.listing.words else f"{title} {total}"

    def _position(self, row: int) -> str:
        """Of the scrollbar, which is there where there is more than fits."""
        total, room = len(self.listing.rows), self.room
        if total <= room:
            return " "
        length = max(1, room * room // total)
        top = round(self.listing.first / (total - room) * (room - length))
        return "┃" if top <= row < top + length else "│"

    def _fitted(self) -> Layout:
        if self._layout_now is None:
            self._layout_now = fit(self.columns, self.size.width - MARGIN - 1, self._names)
        return self._layout_now


def _cells(column: Column, entry: Entry, room: int) -> Iterable[Cell]:
    if column.title == "MAILBOX":
        return fill(entry, room)
    found = column.cell(entry)
    cell = found if isinstance(found, Cell) else Cell(found, "dim" if found in (NOTHING, "0") else None)
    text = cut(printable(cell.text), room)
    blank = " " * (room - width(text))
    return (Cell(blank + text if column.right else text + blank, cell.style),)


def _segments(cells: Iterable[Cell]) -> list[Segment]:
    return [Segment(cell.text, _STYLES[cell.style]) for cell in cells if cell.text]
