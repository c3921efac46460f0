"""mosquitto with a backlog that waits for a program, and the sink that times what the program makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import free_port, need, running

BACKLOG = 100_000
BATCH = 20_000
"""What one mosquitto_pub publishes: with more than 65,535 it takes the acknowledgement of an early one for the last."""

WARM_UP = BACKLOG // 10
"""Of these nothing is timed: connections open, and what compiles itself while it runs has done so."""

SESSION = "bench-in"
"""The client id whose persistent session the backlog waits for."""

DEADLINE_S = 180.0
LOOK_S = 0.01
LINE = len("1700000000.000000000\n")

# 300 bytes, as a chat's webhook has them.
PAYLOAD = '{"id":"wamid.HBgLNTkzOTk5OTk5OTk","from":"593999999999","kind":"text","text":"%s"}' % ("a" * 220)

# Nothing is limited but the messages under way, for all clients alike: mosquitto's own 20 would be what is measured.
CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 1000
"""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What a program did with the backlog."""

    rate: float
    """Messages a second that arrived at the sink."""
    cpu_us: float
    """Processor time of the program, user and system, for each of them."""


@contextmanager
def mosquitto() -> Iterator[int]:
    """A broker that keeps everything in memory; yields its port."""
    program = need("mosquitto", "mosquitto")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        file.write_text(CONFIGURATION.format(port=port) + user)
        with running([program, "-c", str(file)], port=port):
            yield port


def fill(port: int) -> None:
    """Make the session, subscribed to `in/x`, and publish the backlog to it: all is acknowledged, and waits."""
    program = need("mosquitto_sub", "mosquitto-clients")
    command = [program, "-p", str(port), "-V", "5", "-i", SESSION, "-c", "-x", "86400"]
    subprocess.run([*command, "-q", "1", "-t", "in/x", "-E"], check=True, timeout=DEADLINE_S)
    program = need("mosquitto_pub", "mosquitto-clients")
    command = [program, "-p", str(port), "-V", "5", "-q", "1", "-M", "1000", "-t", "in/x", "-l"]
    lines = f"{PAYLOAD}\n" * BATCH
    for _ in range(BACKLOG // BATCH):
        subprocess.run(command, input=lines.encode(), check=True, timeout=DEADLINE_S)


@contextmanager
def sink(port: int) -> Iterator[Sink]:
    """A subscriber of `out/x` that is there before the program is."""
    program = need("mosquitto_sub", "mosquitto-clients")
    with tempfile.NamedTemporaryFile("rb", prefix="sink-") as output:
        with open(output.name, "wb") as stdout:
            command = [program, "-p", str(port), "-V", "5", "-q", "0", "-t", "out/x", "-C", str(BACKLOG), "-F", "%U"]
            process = subprocess.Popen(command, stdout=stdout)
        try:
            yield Sink(process, Path(output.name))
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(10)


class Sink:
    """Writes down when each message came."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    def measure(self, pid: int) -> Forwarded:
        """Wait until the program `pid` has forwarded everything; ends the run where it does not."""
        deadline = time.monotonic() + DEADLINE_S
        while self._seen() < WARM_UP:
            self._look_again(deadline)
        seen, cpu_s = self._seen(), _cpu_s(pid)
        while self._process.poll() is None:
            self._look_again(deadline)
        cpu_s = _cpu_s(pid) - cpu_s
        times = [float(line) for line in self._output.read_bytes().split()]
        assert len(times) == BACKLOG, f"{len(times)} of {BACKLOG} messages came"
        return Forwarded(
            rate=(BACKLOG - WARM_UP) / (times[-1] - times[WARM_UP - 1]), cpu_us=cpu_s * 1e6 / (BACKLOG - seen)
        )

    def _seen(self) -> int:
        return self._output.stat().st_size // LINE

    def _look_again(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            sys.exit(f"about {self._seen()} of {BACKLOG} messages were forwarded within {DEADLINE_S:g} s")
        time.sleep(LOOK_S)


def _cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
