"""One run of a broker's program: a child process that dies with us, and whose output is heard line by line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.connections.mqtt.brokers import child
from actors.connections.mqtt.brokers.process_table import started_ticks
from actors.core.clock import Clock

CHUNK_BYTES: Final = 65_536
LONGEST_LINE: Final = 1000
LINES_KEPT: Final = 20

OUTPUT_TIMEOUT_S: Final = 1.0
"""How long output may still come after the process has ended: another process may hold the pipe."""

LEFTOVER_TIMEOUT_S: Final = 5.0
KILL_TIMEOUT_S: Final = 5.0
LOOK_S: Final = 0.02


class BrokerProcess:
    """A running child; made by `spawn`, and to be ended by `end`, whether or not it has ended by itself."""

    def __init__(self, process: asyncio.subprocess.Process, hear: Callable[[str], None], on_end: Callable[[], None]):
        self._process = process
        self._hear = hear
        self._on_end = on_end
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._life = asyncio.create_task(self._live(), name=f"broker process {process.pid}")

    @classmethod
    async def spawn(
        cls,
        arguments: Sequence[str],
        *,
        death_signal: signal.Signals,
        directory: Path,
        hear: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> BrokerProcess:
        """Run `child.py` with these arguments in `directory`, and write its process id down there.

        `death_signal` reaches it when we die. `hear` gets each line of its output, `on_end` is called once when
        it has ended. It has a session of its own: Ctrl-C in a terminal is for us alone.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            child.__file__,
            str(os.getpid()),
            str(int(death_signal)),
            *arguments,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        made = cls(process, hear, on_end)
        _pid_file(directory).write_text(json.dumps({"pid": process.pid, "ticks": started_ticks(process.pid)}))
        return made

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def last_words(self) -> str:
        """The end of its output."""
        return "\n".join(self._lines)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None:
            return "runs"
        if code >= 0:
            return f"ended with {code}"
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"

    async def end(self, timeout_s: float) -> None:
        """Ask it to end, kill it where it does not within `timeout_s`, and wait until it has."""
        for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, KILL_TIMEOUT_S)):
            if not self.ended:
                with suppress(ProcessLookupError):
                    self._process.send_signal(number)
            await asyncio.wait([self._life], timeout=patience_s)
            if self._life.done():
                return

    async def _live(self) -> None:
        reading = asyncio.create_task(self._read(), name=f"output of process {self.pid}")
        try:
            await self._process.wait()
            await asyncio.wait([reading], timeout=OUTPUT_TIMEOUT_S)
        finally:
            reading.cancel()
            self._on_end()

    async def _read(self) -> None:
        assert self._process.stdout is not None, "it was made with a pipe"
        rest = b""
        while chunk := await self._process.stdout.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._heard(line)
            rest = rest[:LONGEST_LINE]
        self._heard(rest)

    def _heard(self, line: bytes) -> None:
        text = line[:LONGEST_LINE].decode(errors="replace").rstrip()
        if text:
            self._lines.append(text)
            self._hear(text)


async def end_leftover(directory: Path, clock: Clock) -> int | None:
    """End the child that an earlier router left behind, if it still runs; returns its process id.

    Only a process with the written id and the written start is ours.
    """
    try:
        written = json.loads(_pid_file(directory).read_text())
        pid, ticks = int(written["pid"]), int(written["ticks"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    found = None
    for number, timeout_s in ((signal.SIGTERM, LEFTOVER_TIMEOUT_S), (signal.SIGKILL, KILL_TIMEOUT_S)):
        deadline = clock.now() + timeout_s
        if started_ticks(pid) == ticks:
            found = pid
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while started_ticks(pid) == ticks and clock.now() < deadline:
            await clock.sleep(LOOK_S)
    return found


def _pid_file(directory: Path) -> Path:
    return directory / "child.json"
