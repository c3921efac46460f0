"""Runs the screen without a terminal, with a router that says what a test has it say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from router.cli.client import Client
from router.cli.failure import Failure
from router.cli.top.app import Top
from router.cli.top.feed import Feed
from router.cli.top.sample import Json, Reading
from tests.router.cli.top.readings import reading

DEADLINE_S = 10.0
EVERY_S = 0.1
LOOK_AGAIN_S = 0.02


class Told(Feed):
    """Says what a test puts there, as the router would."""

    def __init__(self, *views: Json) -> None:
        super().__init__(Client(Path("nowhere")), every_s=EVERY_S)
        self.views = views
        self.mailbox: Json = {"counts": {}}
        self.queues: tuple[Json, ...] = ()
        self.first_jobs: Json = {"jobs": [], "total": 0}
        self.steered: list[tuple[str, str, str]] = []
        self.answer: Json = {}
        self.failure: Failure | None = None
        """What asking fails with, until it is None again."""

    def read(self) -> Reading:
        self._fail()
        return reading(time.monotonic(), *self.views)

    def look_into(self, name: str, *, children: bool) -> Json:
        self._fail()
        return self.mailbox

    def read_queues(self) -> Json:
        self._fail()
        return {"queues": list(self.queues)}

    def jobs(self, name: str) -> Json:
        self._fail()
        return self.first_jobs

    def steer(self, verb: str, kind: str, name: str) -> Json:
        self.steered.append((verb, kind, name))
        self._fail()
        return self.answer

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class Screen:
    """What the screen shows, line by line, and keys for it."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot = pilot

    @property
    def app(self) -> Top:
        assert isinstance(self._pilot.app, Top)
        return self._pilot.app

    @property
    def lines(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def click(self, x: int, y: int, *, times: int = 1) -> None:
        await self._pilot.click(offset=(x, y), times=times)

    async def resize(self, columns: int, lines: int) -> None:
        await self._pilot.resize_terminal(columns, lines)

    async def until(self, holds: Callable[[str], object]) -> str:
        """Wait until it shows something; returns all of what it shows."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds(self.text):
                    await self._pilot.pause(LOOK_AGAIN_S)
        except TimeoutError:
            raise AssertionError(f"it shows:\n{self.text}") from None
        return self.text

    async def shows(self, words: str) -> str:
        return await self.until(lambda text: words in text)


@asynccontextmanager
async def opened(feed: Feed, *, columns: int = 80, lines: int = 24) -> AsyncIterator[Screen]:
    """The screen of a router, in a terminal of that size."""
    app = Top(feed, await asyncio.to_thread(feed.read))
    async with app.run_test(size=(columns, lines)) as pilot:
        yield Screen(pilot)
