"""The first screen: all actors, all routes, and all queues where there are any."""

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
from router.cli.top.columns import ACTORS, QUEUES, ROUTES
from router.cli.top.detail import Detail
from router.cli.top.entry import Entry
from router.cli.top.gauge import compact
from router.cli.top.steering import SteeringScreen, shown_keys
from router.cli.top.table import HEAD, Table

LEAST_ROWS: Final = 4
"""Of a table where the keys do not go, when there is not room for all."""
_KEYS: Final = (
    *(("↵", "detail"), ("s", "sort"), ("/", "filter"), ("p", "pause"), ("r", "resume")),
    *(("Tab", "next table"), ("?", "help"), ("q", "quit")),
)


class Overview(SteeringScreen):
    """Tables, as high as what is in them, or as there is room for."""

    DEFAULT_CSS = """
    Overview { layout: vertical; }
    Overview #headline { margin-bottom: 1; }
    Overview #actors { margin-bottom: 1; }
    Overview #queues { margin-top: 1; display: none; }
    Overview.-queues #queues { display: block; }
    Overview Vertical { height: 1fr; overflow: hidden; }
    Overview #search { height: 1; border: none; padding: 0 1; display: none; background: $background; }
    Overview.-searching #search { display: block; }
    Overview.-searching #status { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next(1)", "Next table", show=False, priority=True),
        Binding("shift+tab", "next(-1)", "Table before", show=False, priority=True),
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
        self.queues = Table(QUEUES, id="queues")
        self._search = Input(id="search", placeholder="words in name, type or state", select_on_focus=False)
        self.active = self.actors

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those that are shown, from top to bottom."""
        return (self.actors, self.routes, self.queues) if self.queues.listing.entries else (self.actors, self.routes)

    @property
    def current(self) -> Entry | None:
        return self.active.listing.current

    def compose(self) -> ComposeResult:
        yield self._headline
        with Vertical():
            yield from (self.actors, self.routes, self.queues)
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
        queues = self.top.queues
        names = max((width(printable(entry.name)) for entry in (*entries, *queues)), default=0)
        for table, shown in ((self.actors, actors), (self.routes, routes), (self.queues, queues)):
            table.show(shown, names)
            table.mark_stale(bool(self.top.lost))
        self._headline.update(self._headline_text(routes), layout=False)
        self.set_class(bool(queues), "-queues")
        if self.active not in self.tables:
            self.actors.focus()
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
        """The one where the keys go gets what it needs, as long as something is left for the others."""
        others = [table for table in self.tables if table is not self.active]
        # Headline, status, keys, and an empty line before each table.
        room = self.size.height - 4 - len(others)
        least = max(HEAD + 1, min(HEAD + LEAST_ROWS, room // (len(others) + 1)))
        heights = {table: min(table.needs, least) for table in others}
        heights[self.active] = max(HEAD + 1, min(self.active.needs, room - sum(heights.values())))
        for table in others:
            heights[table] = min(table.needs, heights[table] + max(0, room - sum(heights.values())))
        for table, height in heights.items():
            if table.size.height != height:
                table.styles.height = height

    def on_resize(self, event: events.Resize) -> None:
        self.take()

    def on_table_moved(self) -> None:
        self.show_status()

    def on_table_chosen(self) -> None:
        if (entry := self.current) is not None:
            self.app.push_screen(Detail(entry))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Table) and event.widget is not self.active:
            self.active = event.widget
            self._share_room()
            self.show_status()

    def action_next(self, tables: int) -> None:
        if not self.has_class("-searching"):
            shown = self.tables
            # At once: the next key may have come with this one.
            self.active = shown[(shown.index(self.active) + tables) % len(shown)]
            self.set_focus(self.active)
            self._share_room()
            self.show_status()

    def action_sort(self) -> None:
        self.active.sort_by_next()

    def action_turn(self) -> None:
        self.active.turn()

    # The filter is all tables'.

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
        if self.current is None:
            self.active = next((table for table in self.tables if table.listing.rows), self.active)
        self._leave_search()
