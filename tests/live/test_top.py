"""`router top` in a real terminal, which tmux keeps and shows."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.router_command import ROOT, RunningRouter, router

DEADLINE_S = 30.0
LOOK_AGAIN_S = 0.05

TOPOLOGY = """\
router: 1
name: shop
settings: {http: {port: 0}, drain_timeout: 0s}
actors:
  orders: {type: webhook, path: /orders}
  log: {type: log}
routes:
  to-log: {from: orders, to: log}
"""

pytestmark = pytest.mark.needs("tmux")


class Terminal:
    """A terminal of tmux, on a server of its own, with one program in it."""

    def __init__(self, folder: Path, command: str, *, columns: int, lines: int) -> None:
        # Its socket would have a path too long for one in pytest's folder.
        self._name = f"router-{os.getpid()}-{time.monotonic_ns()}"
        size = ["-x", str(columns), "-y", str(lines)]
        command = f"cd {shlex.quote(str(folder))} && PYTHONPATH={ROOT} {command}; echo ended with $?; exec cat"
        self.tmux("-f", "/dev/null", "new-session", "-d", *size, command)

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", self._name, *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        return done.stdout

    @property
    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def shows(self, words: str) -> str:
        """Wait until it shows this; returns all of it."""
        deadline = time.monotonic() + DEADLINE_S
        while words not in (text := self.text):
            assert time.monotonic() < deadline, f"no {words!r} in what it shows:\n{text}"
            time.sleep(LOOK_AGAIN_S)
        return text

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[RunningRouter]:
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    with RunningRouter(tmp_path) as started:
        yield started


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (140, 40)])
def test_a_router_is_watched_as_it_works_and_goes_away(shop: RunningRouter, columns: int, lines: int) -> None:
    """What it does, a row in detail, its end and its return; leaving it brings the terminal back."""
    screen = Terminal(shop.folder, f"{sys.executable} -m router top --every 200ms", columns=columns, lines=lines)
    try:
        text = screen.shows("ROUTES 1")
        assert len(text.splitlines()) == lines
        assert max(map(len, text.splitlines())) <= columns
        for number in range(3):
            assert router(shop.folder, "send", "orders", f'{{"n": {number}}}').returncode == 0
        screen.press("Tab", "Enter")
        screen.shows("accepted                3")
        screen.press("Escape")
        screen.shows("ROUTES 1")
        shop.kill()
        screen.shows("silent for")
        shop.start()
        screen.shows("shop  up ")
        screen.press("q")
        assert "ROUTES" not in screen.shows("ended with 0")
    finally:
        screen.close()


@pytest.mark.parametrize(("how", "code"), [("Ctrl-C", 0), ("SIGTERM", 143)])
def test_however_it_ends_the_terminal_is_as_before(shop: RunningRouter, how: str, code: int) -> None:
    """Ctrl-C leaves it as `q` does, and a signal from outside does no harm."""
    screen = Terminal(shop.folder, f"{sys.executable} -m router top", columns=80, lines=24)
    try:
        screen.shows("ROUTES 1")
        if how == "SIGTERM":
            (pid,) = screen.tmux("list-panes", "-F", "#{pane_pid}").split()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGTERM)
        else:
            screen.press("C-c")
        text = screen.shows(f"ended with {code}")
        assert "ROUTES" not in text
        assert screen.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
    finally:
        screen.close()


def test_without_a_terminal_it_names_what_prints_the_same(shop: RunningRouter) -> None:
    """And nothing but text reaches the pipe."""
    asked = router(shop.folder, "top")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr.startswith("error: this is no terminal that `router top` could draw on\n")
    assert "`router ps` prints once what it shows" in asked.stderr


def test_where_no_router_runs_no_screen_is_taken(tmp_path: Path) -> None:
    """The error stays to be read."""
    screen = Terminal(tmp_path, f"{sys.executable} -m router top", columns=80, lines=24)
    try:
        assert "no router is running" in screen.shows("ended with 3")
    finally:
        screen.close()
