"""Applies a topology's file whenever it changes: `router start --watch`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final, NamedTuple

from actors.core.clock import Clock
from actors.core.errors import RouterError
from actors.core.events import Events, Notice
from router.change import topology_file
from router.change.changes import ROUTER, ChangeInProgressError, Changes
from router.topology.model import Topology
from router.topology.problems import Problem, TopologyError

LOOK_S: Final = 0.5
MISSING_LOOKS: Final = 4
"""Editors that write by renaming leave no file for a moment; after this many looks it is worth a warning."""


class _Stamp(NamedTuple):
    """What changes with a file's content, and can be had without reading it."""

    modified_ns: int
    size: int
    inode: int


class Watch:
    """Looks at one file twice a second; one that has problems is told, and the old topology goes on."""

    def __init__(self, started_with: Topology, changes: Changes, *, clock: Clock, events: Events) -> None:
        """`started_with` is what the start was given, whether that runs or a later revision."""
        assert started_with.path is not None, "it is a file's"
        self._path: Path = started_with.path
        self._changes = changes
        self._clock = clock
        self._events = events
        self._text = started_with.text
        """What the file held when it was last taken, or refused."""
        self._seen: _Stamp | None = None
        """When `_text` was read."""
        self._last: _Stamp | None = None
        self._missing = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Take the file where it is another one than before, and as it was at the look before: it is written whole."""
        stamp = await asyncio.to_thread(_stamp, self._path)
        before, self._last = self._last, stamp
        if stamp is None:
            self._missing += 1
            if self._missing == MISSING_LOOKS:
                self._tell(f"{self._path} is gone; what runs goes on", "warning")
            return
        self._missing = 0
        if stamp == self._seen or stamp != before:
            return
        try:
            text = (await asyncio.to_thread(topology_file.content, self._path)).removeprefix("\ufeff")
            if text != self._text and not await self._changes.has_applied(text, self._path):
                await self._take(text)
        except ChangeInProgressError:
            return  # its turn comes with a later look
        except TopologyError as error:
            self._tell_problems(error)
        except (RouterError, OSError) as error:
            self._tell(f"{self._path} is not applied: {error}", "error")
        except Exception as error:
            self._tell(f"{self._path} is not applied: {type(error).__name__}: {error}", "error")
        else:
            self._text = text
        self._seen = stamp

    async def _take(self, text: str) -> None:
        topology, problems = await asyncio.to_thread(self._changes.read, text, self._path)
        changed = await self._changes.apply(topology, who=ROUTER, action="watch")
        if changed.revision is None:
            return  # somebody has applied it, or written what runs into it
        for problem in problems:
            self._tell(_shown(problem), "warning")
        self._tell("; ".join((f"{self._path} is applied as revision {changed.revision}", *changed.remarks)), "info")

    def _tell_problems(self, error: TopologyError) -> None:
        for problem in error.problems:
            self._tell(_shown(problem), problem.severity)
        self._tell(f"{self._path} is not applied, and what runs goes on: {error.args[0]}", "error")

    def _tell(self, text: str, level: str) -> None:
        self._events.emit(Notice(text, level))


def _shown(problem: Problem) -> str:
    """On one line, as logs are: its place, and not the line that is there."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    return "; ".join(filter(None, (f"{place}: {problem.message}", problem.suggestion)))


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)
