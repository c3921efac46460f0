"""Resident memory of a router at rest: the default topology, ten seconds after its start."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Figure, Result, alternate
from bench.servers import ROOT, free_port, running


def _measure() -> Figure:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        text = (ROOT / "topology.yaml").read_text()
        file.write_text(text.replace("8080", str(port)))
        command = [sys.executable, "-m", "router", "start", str(file), "--state-dir", f"{folder}/state"]
        with running(command, port=port, env={"PYTHONPATH": str(ROOT)}) as pid:
            time.sleep(5)
            status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Figure(int(line.split()[1]) / 1024)


def run(*, rounds: int) -> Result:
    figure = alternate({"router": _measure}, rounds=rounds)["router"]
    return Result("rest", "MiB", figure.value, {}, better="lower")
