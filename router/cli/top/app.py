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
from router.cli.top.queue_entry import QueueEntry
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
        self._queue_history = History()
        self.queues: list[QueueEntry] = []
        """In the order of their actors."""
        self.lost = ""
        """Why the router cannot be asked; empty while it can."""
        self._take(first)
        self._wanted = asyncio.Event()
        self._queues_wanted = asyncio.Event()

    def get_default_screen(self) -> Screen[None]:
        return Overview()

    def on_mount(self) -> None:
        if not self.is_headless:
            # By itself it would leave the terminal as only a screen can use it.
            ended = 128 + signal.SIGTERM
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=ended))
        self._watch()
        self._watch_queues()

    @property
    def silence_s(self) -> float:
        """How long ago the router said something."""
        return time.monotonic() - self.sample.now.at

    def entry(self, like: Entry) -> Entry | None:
        """The row, as it is now, of what this was a row of; None where that has gone."""
        if isinstance(like, QueueEntry):
            return next((queue for queue in self.queues if queue.key == like.key), None)
        return self._by_name.get(like.name)

    def look_again(self) -> None:
        """Read at once: something has been done to the router."""
        self._wanted.set()
        self._queues_wanted.set()

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
            self._show()
            await self._pause(time.monotonic() - began, self._wanted)

    @work(name="queues")
    async def _watch_queues(self) -> None:
        """Apart from the rest, which a store that leaves its commands unanswered must not slow down."""
        while True:
            began = time.monotonic()
            try:
                answer = await asyncio.to_thread(self.feed.read_queues)
            except Failure:
                pass  # what is wrong with the router is said by the one above
            else:
                reading = Reading.of_queues(time.monotonic(), self.sample.now.router, answer)
                sample = self._queue_history.add(reading)
                self.queues = [QueueEntry(view, sample) for view in reading.views.values()]
                self._show()
            await self._pause(time.monotonic() - began, self._queues_wanted)

    def _show(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, SteeringScreen) and screen.is_mounted:
                screen.take()

    async def _pause(self, took_s: float, wanted: asyncio.Event) -> None:
        wanted.clear()
        try:
            async with asyncio.timeout(self.feed.pause_s(took_s)):
                await wanted.wait()
        except TimeoutError:
            pass

    def _take(self, reading: Reading) -> None:
        self.sample = self._history.add(reading)
        self.entries = [Entry(view, self.sample) for view in reading.views.values()]
        self._by_name = {entry.name: entry for entry in self.entries}
