"""`router start` as a process of a test, and other `router` commands beside it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 20.0
MODULE = (sys.executable, "-m", "router")
LOOK_AGAIN_S = 0.01


class RunningRouter:
    """A router that was started in `folder`; what it prints, and its log, are in one file that tests wait on."""

    def __init__(
        self, folder: Path, *arguments: str, command: tuple[str, ...] = MODULE, state_dir: Path | None = None
    ) -> None:
        """`state_dir` is where the topology has it, if that is not beside the topology in `folder`."""
        self.folder = folder
        self.state_dir = state_dir or folder / ".router"
        self._command = (*command, "start", *arguments)
        self._output = folder / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process, and wait until everything in it is ready."""
        self.begin()
        self.wait_until(lambda: self.get("/readyz")[0] == 200)

    def begin(self) -> None:
        """Start the process, and do not wait."""
        assert self._process is None or self._process.poll() is not None
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment(),
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def resident_mib(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    @property
    def url(self) -> str:
        """Of its webhooks, as it printed it."""
        return self.wait_for(r"^  http +(http://\S+)$")[1]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed or logged this."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(re.finditer(pattern, self.output, re.MULTILINE))
            return bool(found)

        self.wait_until(look, f"no {pattern!r}")
        return found[0]

    def wait_until(self, condition: Any, otherwise: str = "it took too long") -> None:
        """Ask until it holds; a connection that is refused means: not yet."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            ended = self.process.poll()
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException):
                pass
            if ended is not None or time.monotonic() > deadline:
                state = otherwise if ended is None else f"{otherwise}: it ended with {ended}"
                raise AssertionError(f"{state}\n{self.output[-4000:]}")
            time.sleep(LOOK_AGAIN_S)

    def get(self, path: str) -> tuple[int, Any]:
        """Ask the control API."""
        connection = _UnixConnection(self.state_dir / "control.sock")
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        return response.status, body if response.headers["Content-Type"].startswith("text/plain") else json.loads(body)

    def route(self, name: str) -> Any:
        """The view of a route."""
        return self.get(f"/v1/actors/{name}")[1]

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command beside it."""
        return router(self.folder, *arguments)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM; returns its exit code."""
        self.terminate()
        return self.ended()

    def ended(self) -> int:
        """Wait until it has ended by itself."""
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """kill -9; does nothing where it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE_S)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def environment() -> dict[str, str]:
    """This process's own, with the packages of the checkout in it and nothing that leads to another router."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("ROUTER_CONTROL", None)
    return env


def router(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a `router` command to its end."""
    return subprocess.run(
        [*MODULE, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        cwd=folder,
        env=environment(),
    )
