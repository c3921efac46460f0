"""The programs that scenarios need beside ours: Redis, Node, wrk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Figure

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
START_S = 30.0


def need(program: str, package: str) -> str:
    """The path of a program; ends the run with what to install where it is missing."""
    found = shutil.which(program)
    if found is None:
        sys.exit(f"bin/bench needs {program}: apt-get install {package}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: list[str], *, port: int, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[int]:
    """A program that listens on `port`; yields its process id, and ends it by that."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, env={**os.environ, **(env or {})}, cwd=cwd, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _await_port(port, process, output)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _await_port(port: int, process: subprocess.Popen[bytes], output: object) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    output.seek(0)  # type: ignore[attr-defined]  # a temporary file
    sys.exit(f"{process.args!r} does not listen on {port}:\n{output.read().decode(errors='replace')}")  # type: ignore[attr-defined]


@contextmanager
def redis_server(*, appendfsync: str = "everysec") -> Iterator[int]:
    """A Redis with an append-only file in a folder of its own; yields its port."""
    program = need("redis-server", "redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", appendfsync, "--maxmemory-policy", "noeviction"]
        with running(command, port=port):
            yield port


def node_peer(name: str) -> Path:
    """The folder of a Node program, its packages installed in it (an ignored folder)."""
    need("node", "nodejs")
    folder = PEERS / name
    wanted, stamp = folder / "package.json", folder / "node_modules" / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        print(f"installing the packages of {name} with npm", file=sys.stderr, flush=True)
        subprocess.run(
            [need("npm", "npm"), "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"],
            cwd=folder,
            check=True,
        )
        stamp.write_text(wanted.read_text())
    return folder


def wrk(url: str, *, script: str, connections: int = 32, seconds: int = 8) -> Figure:
    """Requests answered 2xx a second, and the 99th percentile, from wrk with one thread."""
    program = need("wrk", "wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", lua.name, url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if (bad := re.search(r"Non-2xx or 3xx responses: (\d+)", output)) is not None:
        sys.exit(f"{url} answered {bad[1]} requests with an error:\n{output}")
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if rate is None or p99 is None:
        sys.exit(f"wrk said nothing of {url}:\n{output}")
    return Figure(float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]])


@contextmanager
def router(topology: str, *, port: int, **values: object) -> Iterator[int]:
    """Ours, listening on `port`: a topology with `{state}`, `{port}` and what else is given; yields its process id."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        file.write_text(topology.format(state=f"{folder}/state", port=port, **values))
        command = [sys.executable, "-m", "router", "start", str(file)]
        with running(command, port=port, env={"PYTHONPATH": str(ROOT)}) as pid:
            yield pid
