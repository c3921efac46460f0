"""The second screen: one actor or route with all its counters, and what waits in it."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from router.cli.client import Json
from router.cli.failure import Failure
from router.cli.terminal import printable
from router.cli.top.entry import Entry
from router.cli.top.facts import headline, lines
from router.cli.top.steering import SteeringScreen, shown_keys

_KEYS: Final = (("Esc", "back"), ("↑ ↓", "scroll"), ("p", "pause"), ("r", "resume"), ("?", "help"), ("q", "quit"))


class Detail(SteeringScreen):
    """It stays with the name, over swaps and restarts of the router."""

    DEFAULT_CSS = """
    Detail VerticalScroll {
        padding: 0 1; height: 1fr; scrollbar-size-vertical: 1;
        scrollbar-color: ansi_bright_black; scrollbar-color-hover: ansi_default; scrollbar-color-active: ansi_default;
        scrollbar-background: ansi_default; scrollbar-background-hover: ansi_default;
        scrollbar-background-active: ansi_default;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left,enter", "back", "Back", show=False, priority=True),
    ]

    def __init__(self, name_shown: str) -> None:
        super().__init__()
        self.name_shown = name_shown
        self._headline = Static(id="headline")
        self._facts = Static(id="facts")
        self._mailbox: Json | None = None
        self._looking = False
        self._look_at = 0.0
        """Monotonic seconds: when to look into its mailbox again."""

    @property
    def current(self) -> Entry | None:
        return self.top.entry(self.name_shown)

    def compose(self) -> ComposeResult:
        yield self._headline
        with VerticalScroll():
            yield self._facts
        yield self.status
        yield Static(shown_keys(_KEYS), id="keys")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.take()

    def on_resize(self) -> None:
        self._draw()

    def take(self) -> None:
        entry = self.current
        if entry is not None and not self._looking and not self.top.lost and time.monotonic() >= self._look_at:
            self._looking = True
            self._look(bool(entry.view.get("children")))
        self._draw()

    def note(self) -> Text:
        """The rest of the screen says it."""
        return Text(printable(self.top.lost), "red")

    @work(name="mailbox")
    async def _look(self, children: bool) -> None:
        began = time.monotonic()
        try:
            self._mailbox = await asyncio.to_thread(self.top.feed.look_into, self.name_shown, children=children)
        except Failure as failure:
            self._mailbox = {"why": str(failure)}
        finally:
            self._looking = False
            self._look_at = began + self.top.feed.pause_s(time.monotonic() - began)
        self._draw()

    def _draw(self) -> None:
        entry = self.current
        if entry is None:
            gone = Text.assemble((printable(self.name_shown), "bold"), "  is not in the topology any more")
            self._headline.update(gone, layout=False)
            return
        self._headline.update(headline(entry), layout=False)
        room = max(20, self.size.width - 3)
        self._facts.update(Text("\n").join(lines(entry, self.top.entries, self._mailbox, room)))
        self.show_status()

    def action_back(self) -> None:
        if self.is_current:  # a second key may have come with the first
            self.dismiss()
