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

    def __init__(
        self,
        topology: Path,
        state_dir: Path,
        *,
        only: str | None = None,
        node: str | None = None,
        failpoint: str | None = None,
        failpoint_when: Path | None = None,
    ) -> None:
        """It dies at `failpoint`, if one is given; where `failpoint_when` is too, only while that file is there.

        `only` is the part of the topology that it runs; as `node` it keeps its state in a folder of that name.
        """
        self.topology = topology
        self.state_dir = state_dir if node is None else state_dir / node
        self._arguments = ["--state-dir", str(state_dir)]
        self._arguments += ["--only", only] if only is not None else []
        self._arguments += ["--node", node] if node is not None else []
        self.failpoint = failpoint
        self._failpoint_when = failpoint_when
        self._process: asyncio.subprocess.Process | None = None
        self._log = state_dir.with_suffix(".log" if node is None else f".{node}.log")

    async def start(self) -> float:
        """Start it and wait until it is ready; returns how long that took, in seconds."""
        module = "router" if self.failpoint is None else "tests.faults.failpoints"
        env = {**os.environ, "PYTHONPATH": str(ROOT), "FAILPOINT": self.failpoint or ""}
        env["FAILPOINT_WHEN"] = str(self._failpoint_when or "")
        command = [sys.executable, "-m", module, "start", str(self.topology), *self._arguments]
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

    def freeze(self) -> None:
        """SIGSTOP: it does nothing more, and what it has sent is on its way."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

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

    @property
    def peak_mib(self) -> float:
        """The most that it has had in memory."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024

    async def get(self, path: str) -> dict[str, Any]:
        """Ask its control API."""
        return (await self._ask("GET", path))[1]

    async def post(self, path: str, body: dict[str, Any], *, timeout_s: float = 60.0) -> tuple[int, dict[str, Any]]:
        """Ask its control API to do something; returns the status and the document."""
        return await self._ask("POST", path, body, timeout_s=timeout_s)

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, dict[str, Any]]:
        connector = aiohttp.UnixConnector(str(self.state_dir / "control.sock"))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
            session.request(method, f"http://localhost{path}", json=body) as response,
        ):
            answer: dict[str, Any] = await response.json(content_type=None)
            return response.status, answer

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
