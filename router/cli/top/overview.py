"""The first screen: all actors and all routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from router.cli.figures import plural, span
from router.cli.terminal import printable, width
from router.cli.top.columns import ACTORS, ROUTES
from router.cli.top.detail import Detail
from router.cli.top.entry import Entry
from router.cli.top.gauge import compact
from router.cli.top.steering import SteeringScreen, shown_keys
from router.cli.top.table import HEAD, Table

LEAST_ROWS: Final = 4
"""Of the table where the keys do not go, when there is not room for both."""
_KEYS: Final = (
    *(("↵", "detail"), ("s", "sort"), ("/", "filter"), ("p", "pause"), ("r", "resume")),
    *(("Tab", "other table"), ("?", "help"), ("q", "quit")),
)


class Overview(SteeringScreen):
    """Two tables, as high as what is in them, or as there is room for."""

    DEFAULT_CSS = """
    Overview { layout: vertical; }
    Overview #headline { margin-bottom: 1; }
    Overview #actors { margin-bottom: 1; }
    Overview Vertical { height: 1fr; overflow: hidden; }
    Overview #search { height: 1; border: none; padding: 0 1; display: none; background: $background; }
    Overview.-searching #search { display: block; }
    Overview.-searching #status { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,shift+tab", "other", "Other table", show=False, priority=True),
        Binding("s", "sort", "Sort", show=False),
        Binding("S", "turn", "Turn round", show=False),
        Binding("slash", "search", "Filter", show=False),
        Binding("escape", "clear", "Show all", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._headline = Static(id="headline")
        self.actors = Table(ACTORS, id="actors")
        self.routes = Table(ROUTES, id="routes")
        self._search = Input(id="search", placeholder="words in name, type or state", select_on_focus=False)
        self.active = self.actors

    @property
    def tables(self) -> tuple[Table, Table]:
        return self.actors, self.routes

    @property
    def current(self) -> Entry | None:
        return self.active.listing.current

    def compose(self) -> ComposeResult:
        yield self._headline
        with Vertical():
            yield from self.tables
        yield self.status
        yield self._search
        yield Static(shown_keys(_KEYS), id="keys")

    def on_mount(self) -> None:
        self.take()
        self.active.focus()

    def take(self) -> None:
        entries = self.top.entries
        actors = [entry for entry in entries if not entry.is_route]
        routes = [entry for entry in entries if entry.is_route]
        names = max((width(printable(entry.name)) for entry in entries), default=0)
        for table, shown in ((self.actors, actors), (self.routes, routes)):
            table.show(shown, names)
            table.mark_stale(bool(self.top.lost))
        self._headline.update(self._headline_text(routes), layout=False)
        self._share_room()
        self.show_status()

    def _headline_text(self, routes: Sequence[Entry]) -> Text:
        top = self.top
        router = top.sample.now.router
        name = printable(str(router.get("name")))
        if top.lost:
            return Text.assemble((name, "bold"), (f"  silent for {span(top.silence_s)}: {printable(top.lost)}", "red"))
        parts = [f"up {span(router.get('uptime_s'))}"]
        if letters := router.get("dead_letters"):
            parts.append(plural(letters, "dead letter"))
        parts += [str(each["address"]) for each in router.get("listening", ()) if each.get("what") == "http"]
        if router.get("stopping"):
            parts.insert(0, "stopping")
        left = Text.assemble((name, "bold"), f"  {printable(' · '.join(parts))}")
        flows = [
            sum(rate for entry in routes if (rate := entry.sample.rate(entry.name, "ledger", term)) is not None)
            for term in ("accepted", "delivered")
        ]
        right = Text.assemble(("in ", "dim"), f"{compact(flows[0])}/s", ("  out ", "dim"), f"{compact(flows[1])}/s")
        left.truncate(max(0, self.size.width - 4 - right.cell_len), overflow="ellipsis", pad=True)
        return Text.assemble(left, "  ", right)

    def _share_room(self) -> None:
        """The one where the keys go gets what it needs, as long as something is left for the other one."""
        # Headline, status, keys, and an empty line before each table.
        room = self.size.height - 5
        other = self._other
        least = min(other.needs, max(HEAD + LEAST_ROWS, room - self.active.needs))
        heights = {self.active: max(2, min(self.active.needs, room - least)), other: max(2, least)}
        for table, height in heights.items():
            if table.size.height != height:
                table.styles.height = height

    def on_resize(self, event: events.Resize) -> None:
        self.take()

    def on_table_moved(self) -> None:
        self.show_status()

    def on_table_chosen(self) -> None:
        if (entry := self.current) is not None:
            self.app.push_screen(Detail(entry.name))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Table) and event.widget is not self.active:
            self.active = event.widget
            self._share_room()
            self.show_status()

    @property
    def _other(self) -> Table:
        """The one where the keys do not go."""
        return self.routes if self.active is self.actors else self.actors

    def action_other(self) -> None:
        if not self.has_class("-searching"):
            self._other.focus()

    def action_sort(self) -> None:
        self.active.sort_by_next()

    def action_turn(self) -> None:
        self.active.turn()

    # The filter is both tables'.

    def action_search(self) -> None:
        self.add_class("-searching")
        self._search.focus()

    def action_clear(self) -> None:
        self._search.value = ""
        self._leave_search()

    def _leave_search(self) -> None:
        self.remove_class("-searching")
        self.active.focus()

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        for table in self.tables:
            table.filter(event.value)
        self._share_room()

    @on(Input.Submitted)
    def _search_done(self) -> None:
        other = self._other
        if self.current is None and other.listing.rows:
            self.active = other
        self._leave_search()
