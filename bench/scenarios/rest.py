"""Resident memory of a router at rest: the default topology, five seconds after its start."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Result
from bench.servers import ROOT, free_port, running

REST_S = 5


def _measure() -> tuple[float, float]:
    """The router's own, and that of its children, which is the embedded broker."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        text = (ROOT / "topology.yaml").read_text()
        file.write_text(text.replace("8080", str(port)))
        command = [sys.executable, "-m", "router", "start", str(file), "--state-dir", f"{folder}/state"]
        with running(command, port=port, env={"PYTHONPATH": str(ROOT), "MQTT_URL": "embedded:"}) as pid:
            time.sleep(REST_S)
            children = [int(child) for path in _proc(pid).glob("task/*/children") for child in path.read_text().split()]
            return _resident_mib(pid), sum(map(_resident_mib, children))


def _resident_mib(pid: int) -> float:
    lines = (_proc(pid) / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def _proc(pid: int) -> Path:
    return Path("/proc") / str(pid)


def run(*, rounds: int) -> Result:
    router, broker = (statistics.median(figures) for figures in zip(*(_measure() for _ in range(rounds)), strict=True))
    beside = {"the embedded broker beside it": broker}
    return Result("rest", "MiB", router, {}, variants=beside, better="lower")
