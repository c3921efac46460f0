"""What the keys do, and what the columns mean."""

from __future__ import annotations

from typing import Final

from rich.table import Table
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

_KEYS: Final = (
    ("↑ ↓  PgUp PgDn", "move; j and k as well, Home and End"),
    ("Tab", "actors, routes, queues"),
    ("Enter", "one of them with all its counters, and what waits in it; Esc comes back"),
    ("s  S", "sort by the next column; the other way round. So does a click on a title"),
    ("/", "show only what has these words in its name, type or state; Esc shows all"),
    ("p  r", "pause, resume: asks first, then says what that holds back; a queue, for all that work it"),
    ("q", "leave, as Ctrl-C does; the router runs on"),
)
_WORDS: Final = (
    ("/S", "in a second, over the last three"),
    ("DONE", "deliveries that succeeded; a route's, of messages"),
    ("FAILED", "attempts that were refused, or of which nobody knows"),
    ("OLDEST", "how long the message that has been here longest has been here"),
    ("DEAD", "messages that became dead letters"),
    ("WAITING", "of a queue: jobs that a worker could begin; DELAYED ones wait for their time"),
    ("SPILLED", "jobs that wait in the state directory until the queue's store is there again"),
    ("P50 P99", "what half of the latest messages took at most, and 99 of 100"),
    ("unavailable", "its remote end is away; its routes use their fallback, or wait"),
    ("suspended", "a route with messages that wait for a target that is away"),
    ("held back", "a route that has no room, so that its sources wait"),
)


class Help(ModalScreen[None]):
    """Any key leaves it, apart from those that scroll it."""

    DEFAULT_CSS = """
    Help { align: center middle; background: transparent; }
    Help VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $foreground; border-title-style: bold; padding: 0 1; background: $background;
    }
    """

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        for word, meaning in (*_KEYS, ("", ""), *_WORDS):
            table.add_row(word, meaning)
        with VerticalScroll() as box:
            box.border_title = "router top"
            yield Static(table)

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self._leave()

    def on_click(self) -> None:
        self._leave()

    def _leave(self) -> None:
        if self.is_current:  # a second key may have come with the first
            self.dismiss()
