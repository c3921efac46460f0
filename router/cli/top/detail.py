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
from router.cli.top.queue_entry import QueueEntry
from router.cli.top.queue_facts import queue_lines
from router.cli.top.steering import SteeringScreen, shown_keys

_KEYS: Final = (("Esc", "back"), ("↑ ↓", "scroll"), ("p", "pause"), ("r", "resume"), ("?", "help"), ("q", "quit"))


class Detail(SteeringScreen):
    """It stays with what it was opened for, over swaps and restarts of the router."""

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

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry
        self._headline = Static(id="headline")
        self._facts = Static(id="facts")
        self._inside: Json | None = None
        """Its mailbox, or its jobs."""
        self._looking = False
        self._look_at = 0.0
        """Monotonic seconds: when to look into its mailbox again."""

    @property
    def current(self) -> Entry | None:
        return self.top.entry(self._entry)

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
            self._look(entry)
        self._draw()

    def note(self) -> Text:
        """The rest of the screen says it."""
        return Text(printable(self.top.lost), "red")

    @work(name="mailbox")
    async def _look(self, entry: Entry) -> None:
        began, feed = time.monotonic(), self.top.feed
        try:
            if isinstance(entry, QueueEntry):
                self._inside = await asyncio.to_thread(feed.jobs, entry.asked_as[1])
            else:
                children = bool(entry.view.get("children"))
                self._inside = await asyncio.to_thread(feed.look_into, entry.name, children=children)
        except Failure as failure:
            self._inside = {"why": str(failure)}
        finally:
            self._looking = False
            self._look_at = began + self.top.feed.pause_s(time.monotonic() - began)
        self._draw()

    def _draw(self) -> None:
        entry = self.current
        if entry is None:
            gone = Text.assemble((printable(self._entry.name), "bold"), "  is not in the topology any more")
            self._headline.update(gone, layout=False)
            return
        self._headline.update(headline(entry), layout=False)
        room = max(20, self.size.width - 3)
        if isinstance(entry, QueueEntry):
            facts = queue_lines(entry, self._inside, room)
        else:
            facts = lines(entry, self.top.entries, self._inside, room)
        self._facts.update(Text("\n").join(facts))
        self.show_status()

    def action_back(self) -> None:
        if self.is_current:  # a second key may have come with the first
            self.dismiss()
