"""The app: reads the router again and again, and has its screens show what that said."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from router.cli.failure import Failure
from router.cli.top.entry import Entry
from router.cli.top.feed import Feed
from router.cli.top.help import Help
from router.cli.top.overview import Overview
from router.cli.top.sample import History, Reading
from router.cli.top.steering import SteeringScreen


class Top(App[None]):
    """Shows a router as it runs. `first` is what it said before the screen was taken."""

    TITLE = "router top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit", show=False),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, priority=True),
        Binding("question_mark", "help", "Help", show=False),
    ]

    def __init__(self, feed: Feed, first: Reading) -> None:
        # The terminal's own colours: nobody has to like ours.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.feed = feed
        self._history = History()
        self.lost = ""
        """Why the router cannot be asked; empty while it can."""
        self._take(first)
        self._wanted = asyncio.Event()

    def get_default_screen(self) -> Screen[None]:
        return Overview()

    def on_mount(self) -> None:
        if not self.is_headless:
            # By itself it would leave the terminal as only a screen can use it.
            ended = 128 + signal.SIGTERM
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=ended))
        self._watch()

    @property
    def silence_s(self) -> float:
        """How long ago the router said something."""
        return time.monotonic() - self.sample.now.at

    def entry(self, name: str) -> Entry | None:
        """The row of a name, where it has one."""
        return self._by_name.get(name)

    def look_again(self) -> None:
        """Read at once: something has been done to the router."""
        self._wanted.set()

    def action_help(self) -> None:
        self.push_screen(Help())

    @work(name="watch")
    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            try:
                reading = await asyncio.to_thread(self.feed.read)
            except Failure as failure:
                self.lost = str(failure)
            else:
                self.lost = ""
                self._take(reading)
            for screen in self.screen_stack:
                if isinstance(screen, SteeringScreen) and screen.is_mounted:
                    screen.take()
            pause_s = self.feed.pause_s(time.monotonic() - began)
            self._wanted.clear()
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    def _take(self, reading: Reading) -> None:
        self.sample = self._history.add(reading)
        self.entries = [Entry(view, self.sample) for view in reading.views.values()]
        self._by_name = {entry.name: entry for entry in self.entries}
