"""A real `router start` as a child process, killed by its process id."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
START_S = 20.0


class RouterProcess:
    """Starts, kills and asks one router; its state directory stays over all starts."""

    def __init__(self, topology: Path, state_dir: Path, *, failpoint: str | None = None) -> None:
        self.topology = topology
        self.state_dir = state_dir
        self.failpoint = failpoint
        self._process: asyncio.subprocess.Process | None = None
        self._log = state_dir.with_suffix(".log")

    async def start(self) -> float:
        """Start it and wait until it is ready; returns how long that took, in seconds."""
        module = "router" if self.failpoint is None else "tests.faults.failpoints"
        env = {**os.environ, "PYTHONPATH": str(ROOT), "FAILPOINT": self.failpoint or ""}
        command = [sys.executable, "-m", module, "start", str(self.topology), "--state-dir", str(self.state_dir)]
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=env, stdout=log, stderr=log, cwd=self.topology.parent
            )
        while not await self._ready():
            if self._process.returncode is not None:
                raise RuntimeError(f"the router ended with {self._process.returncode}:\n{self.output()}")
            if time.monotonic() - started > START_S:
                raise TimeoutError(f"the router is not ready after {START_S:g} s:\n{self.output()}")
            await asyncio.sleep(0.01)
        return time.monotonic() - started

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await asyncio.wait_for(self._process.wait(), 10)

    async def ended(self, timeout_s: float) -> bool:
        """Wait until it ends by itself; false where it does not in time."""
        assert self._process is not None
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> int:
        """SIGTERM; returns its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), 60)

    async def get(self, path: str) -> dict[str, Any]:
        """Ask its control API."""
        connector = aiohttp.UnixConnector(str(self.state_dir / "control.sock"))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://localhost{path}") as response,
        ):
            answer: dict[str, Any] = await response.json()
            return answer

    def integrity(self) -> str:
        """SQLite's own check, on a copy of the files as the kill left them."""
        with tempfile.TemporaryDirectory() as folder:
            for file in self.state_dir.glob("store.db*"):
                shutil.copy(file, folder)
            connection = sqlite3.connect(Path(folder) / "store.db")
            try:
                return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
            finally:
                connection.close()

    def output(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    async def _ready(self) -> bool:
        try:
            return (await self.get("/readyz")).get("ready") is True
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
