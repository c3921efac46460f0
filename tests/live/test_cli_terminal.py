"""The command line as people see it: a real router, started and asked through a real terminal."""

import fcntl
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import HOST

DEADLINE_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

TOPOLOGY = """\
router: 1
name: shop
settings:
  http: {{port: 0}}
  drain_timeout: {drain_timeout}
actors:
  orders: {{type: webhook, path: /orders}}
  leads: {{type: webhook, path: /leads}}
  log: {{type: log}}
  crm: {{type: http, url: "{crm}", timeout: 20s}}
routes:
  to-log:
    from: orders
    steps: [{{phone: {{field: data.to, regions: [EC]}}}}]
    to: log
  to-crm:
    from: leads
    durable: true
    timeout: 20s
    to: crm
"""


class Terminal:
    """A pseudo-terminal of 24 lines with one program in it; `text` is what it has shown, without colours."""

    def __init__(self, *arguments: str, folder: Path, columns: int = 80, **environment: str) -> None:
        self.columns = columns
        self._seen = bytearray()
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        env = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT), **environment}
        for name in ("COLUMNS", "LINES", "ROUTER_CONTROL", *({"NO_COLOR"} - environment.keys())):
            env.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "router", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=env,
            # Its own session, with the terminal as its controlling one: so Ctrl-C reaches it as a signal.
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self._ours = ours

    @property
    def raw(self) -> str:
        return self._seen.decode(errors="replace").replace("\r\n", "\n")

    @property
    def text(self) -> str:
        return _SEQUENCE.sub("", self.raw)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on until it has shown this."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := re.search(pattern, self.text, re.MULTILINE)) is None:
            if not self._read(deadline):
                raise AssertionError(f"no {pattern!r} in what it showed:\n{self.text}")
        return found

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Read to its end; returns its exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(deadline):
            pass
        return self._process.wait(max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        os.close(self._ours)

    def _read(self, deadline: float) -> bool:
        """False at its end, or when time is up."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        try:
            read = os.read(self._ours, 65536) if ready else b""
        except OSError:  # EIO: nobody has the other side any more
            read = b""
        self._seen += read
        return bool(read)


@contextmanager
def terminal(*arguments: str, folder: Path, columns: int = 80, **environment: str) -> Iterator[Terminal]:
    opened = Terminal(*arguments, folder=folder, columns=columns, **environment)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def running(folder: Path, *arguments: str, columns: int = 80, **environment: str) -> Iterator[Terminal]:
    """A router that has started in a terminal."""
    with terminal("start", *arguments, folder=folder, columns=columns, **environment) as router:
        router.wait_for(r"Ctrl-C drains and stops\.")
        yield router


def router(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """A command whose output is piped."""
    return subprocess.run(
        [sys.executable, "-m", "router", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a topology is whose http target refuses connections."""
    return write(tmp_path)


def write(folder: Path, *, crm: str = f"http://{HOST}:9/", drain_timeout: str = "10s") -> Path:
    (folder / "topology.yaml").write_text(TOPOLOGY.format(crm=crm, drain_timeout=drain_timeout))
    return folder


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server((HOST, 0)) as listening:
        yield f"http://{HOST}:{listening.getsockname()[1]}/"


def test_the_printed_line_brings_a_message_into_the_log(folder: Path) -> None:
    """What a newcomer does first: start, paste, look. Ctrl-C then stops it, and the exit code is 0."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with running(folder, columns=200) as shop:
        line = shop.wait_for(r"^ *(curl .*/orders .*)$")[1]
        answered = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
        assert answered.stdout.startswith("HTTP/1.1 200 ")
        shop.wait_for(r"info .* actor=log .*\+593991234567")
        shop.type("\x03")
        shop.wait_for(r"^draining, for 10s at most; a second Ctrl-C stops at once$")
        shop.wait_for(r"^stopped; nothing is left in flight$")
        assert shop.end() == 0


@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_shown_fits_the_terminal(folder: Path, columns: int) -> None:
    """No line is broken by its edge, and no figure is cut."""
    with running(folder, columns=columns) as shop:
        for number in range(3):
            router(folder, "send", "orders", json.dumps({"to": "0991234567", "number": number}))
            router(folder, "send", "orders", json.dumps({"to": "nobody", "text": "x" * 300}))
        shown = []
        for arguments in (["ps"], ["dead-letters", "list"], ["mailbox", "to-crm"], ["ps", "--help"], ["nothing"]):
            with terminal(*arguments, folder=folder, columns=columns) as asked:
                assert asked.end() == (2 if arguments == ["nothing"] else 0)
                shown.append(asked.text)
        assert max(len(line) for text in shown for line in text.splitlines()) <= columns
        assert re.search(r"^to-log +ready +0/1000 .* 6 +3 .* 3 ", shown[0], re.MULTILINE)
        assert shown[1].count("no phone number") == 3
        assert "\x1b[" in asked.raw
        shop.type("\x03")
        assert shop.end() == 0


def test_no_color_is_honoured(folder: Path) -> None:
    """Not one escape sequence, in a terminal that could show them."""
    with running(folder, NO_COLOR="1") as shop:
        with terminal("ps", folder=folder, NO_COLOR="1") as asked:
            assert asked.end() == 0
            assert "\x1b" not in asked.raw
        shop.type("\x03")
        assert shop.end() == 0
        assert "\x1b" not in shop.raw


def test_dead_letters_are_found_replayed_and_dropped(folder: Path) -> None:
    """As an operator would, with a question before all of them are dropped."""
    with running(folder) as shop:
        for _ in range(3):
            sent = router(folder, "send", "orders", '{"to": "nobody"}')
            assert (sent.returncode, sent.stdout.endswith(" dead lettered\n")) == (1, True)
        listed = json.loads(router(folder, "dead-letters", "list", "--json").stdout)["dead_letters"]
        assert [letter["reason"] for letter in listed] == ["invalid"] * 3
        one = listed[0]["id"]
        assert '"nobody"' in router(folder, "dead-letters", "show", one).stdout
        again = router(folder, "dead-letters", "replay", one, "--as", "current")
        assert (again.returncode, again.stdout) == (1, "0 replayed, 1 failed\n")
        assert router(folder, "dead-letters", "drop", one).stdout == "1 dropped\n"
        assert router(folder, "dead-letters", "drop", "--all").returncode == 1
        with terminal("dead-letters", "drop", "--all", folder=folder) as asked:
            asked.wait_for(r"drop 2 dead letters\? \[y/N\] ")
            asked.type("y\n")
            asked.wait_for(r"[\r\n]2 dropped$")
            assert asked.end() == 0
        assert router(folder, "dead-letters", "list").stdout == "there are none\n"
        shop.type("\x03")
        assert shop.end() == 0


@pytest.mark.slow
def test_messages_are_sent_asked_for_and_looked_into(tmp_path: Path, silent: str) -> None:
    """Into a source, straight to a target, and into the mailbox of a route whose target does not answer."""
    folder = write(tmp_path, crm=silent, drain_timeout="50ms")
    with running(folder, columns=120) as shop:
        sent = router(folder, "send", "leads", "-", "--id", "m-1", "--header", "x-a=b", given='{"name": "Ada"}')
        assert (sent.returncode, sent.stdout) == (0, "m-1 accepted\n")
        found = json.loads(router(folder, "mailbox", "to-crm", "--json").stdout)
        assert [message["id"] for message in found["in_flight"]] == ["m-1"]
        whole = router(folder, "mailbox", "to-crm", "--message", "m-1").stdout
        assert "x-a  b" in whole
        asked = router(folder, "ask", "log", '"hola"', "--timeout", "5s")
        assert (asked.returncode, asked.stdout) == (0, "")
        assert asked.stderr.endswith(" delivered\n")
        late = router(folder, "ask", "crm", "{}", "--timeout", "50ms")
        assert late.returncode == 1
        assert "0.05 s" in late.stderr
        unknown = router(folder, "send", "ordes", "{}")
        assert unknown.returncode == 1
        assert "did you mean 'orders'?" in unknown.stderr
        os.kill(shop.pid, signal.SIGTERM)
        shop.wait_for(r"1 message has not settled: what is on durable routes is in the journal")
        assert shop.end() == 0


def test_a_second_signal_stops_at_once(tmp_path: Path, silent: str) -> None:
    """Whatever is still in flight; the exit code is the signal's."""
    folder = write(tmp_path, crm=silent, drain_timeout="1h")
    with running(folder) as shop:
        assert router(folder, "send", "leads", '{"name": "Ada"}').returncode == 0
        os.kill(shop.pid, signal.SIGTERM)
        shop.wait_for("draining, for 1h at most")
        os.kill(shop.pid, signal.SIGTERM)
        shop.wait_for(r"^stopped at once; what had not settled was never acknowledged, or is in the journal$")
        assert shop.end() == 128 + signal.SIGTERM


SLOW = """\
import asyncio
from actors.core.actor import AsyncioActor

class Slow(AsyncioActor):
    async def on_start(self):
        print("not yet", flush=True)
        await asyncio.sleep(3600)
"""


def with_actor(folder: Path, actor: str) -> None:
    """Add an actor to the topology that is there."""
    path = folder / "topology.yaml"
    line = f"  own: {{type: python, class: '{actor}'}}\n"
    path.write_text(path.read_text().replace("actors:\n", f"actors:\n{line}"))


def test_a_start_can_be_stopped(folder: Path) -> None:
    """Before everything is ready: here an actor takes its time."""
    (folder / "slow.py").write_text(SLOW)
    with_actor(folder, "slow:Slow")
    with terminal("start", folder=folder, columns=200) as shop:
        shop.wait_for(r"^not yet$")
        shop.type("\x03")
        shop.wait_for(r"^stopped before it was ready$")
        assert shop.end() == 0


def test_a_second_start_names_who_holds_the_state_directory(folder: Path) -> None:
    """And leaves the first one alone."""
    with running(folder) as shop:
        refused = router(folder, "start")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"in use by process {shop.pid} " in refused.stderr
        assert router(folder, "ps").returncode == 0
        shop.type("\x03")
        assert shop.end() == 0


def test_an_actor_that_does_not_start_is_told_and_the_rest_runs(folder: Path) -> None:
    """With why it is not ready; its supervisor goes on trying."""
    with_actor(folder, "nowhere:Nobody")
    with running(folder, columns=200) as shop:
        shop.wait_for(r"not ready +actor own is (restarting|failed)$")
        shop.wait_for(r"^ +ActorClassError: nowhere cannot be imported: ")
        shop.wait_for(r"actors +orders, leads, log, crm$")
        assert re.search(r"^own is (restarting|failed)\b", router(folder, "ps").stdout, re.MULTILINE)
        shop.type("\x03")
        assert shop.end() == 0


def test_why_something_is_not_ready_stands_below_it(folder: Path) -> None:
    """On as many lines as it takes, each as far to the right, and none longer than the terminal is wide."""
    with_actor(folder, "nowhere_to_be_found:Nobody")
    with running(folder, columns=60) as shop:
        why = shop.wait_for(r"^  not ready  actor own is \w+\n((?: {13}\S.*\n){2,})")[1]
        assert " ".join(why.split()).startswith("ActorClassError: nowhere_to_be_found cannot be imported: ")
        assert max(map(len, why.splitlines())) <= 60
        shop.type("\x03")
        assert shop.end() == 0


def test_a_port_that_is_taken_ends_the_start(folder: Path) -> None:
    """At once, with what to do about it."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        path = folder / "topology.yaml"
        path.write_text(path.read_text().replace("{port: 0}", f"{{port: {port}}}"))
        with terminal("start", folder=folder, columns=200) as shop:
            assert shop.end() == 1
            assert shop.text.startswith(
                f"error: cannot listen on {HOST}:{port}: the port is in use. End what listens there, or "
            )


def test_for_machines_start_says_two_objects(folder: Path) -> None:
    """One when it runs, one when it has stopped; the log is elsewhere."""
    process = subprocess.Popen(
        [sys.executable, "-m", "router", "start", "--json", "--log-format", "json", "--state-dir", "state"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert started["status"] == "running"
        assert started["pid"] == process.pid
        assert started["ready"] == {"actors": ["orders", "leads", "log", "crm"], "routes": ["to-log", "to-crm"]}
        assert {item["what"] for item in started["listening"]} == {"http", "control"}
        assert router(folder, "ps", "--control", "state").returncode == 0
        process.terminate()
        output, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert json.loads(output) == {"status": "stopped", "unsettled": 0}
    assert process.returncode == 0
    assert {json.loads(line)["event"] for line in errors.splitlines()} >= {"actor ready", "actor stopped"}


def test_a_start_that_nobody_reads_goes_on(folder: Path) -> None:
    """`router start | head -1` has its line, and the router runs until it is told to stop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "router", "start", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert router(folder, "ps").returncode == 0
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait(DEADLINE_S)
