"""The commands of examples/whatsapp-notifications/README.md, typed one after the other as a newcomer would.

A block ```` ```sh NAME ```` is typed in the terminal of that name and goes on there; one without a name is run to its
end. A block ```` ```text NAME ```` says what that terminal shows next: each line in turn, `…` standing for anything,
and `^C` for the keys.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from typing import Self

import pytest

from tests.router_command import DEADLINE_S, LOOK_AGAIN_S, ROOT, environment
from tests.servers import HOST

pytestmark = [
    pytest.mark.needs("mosquitto"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

EXAMPLE = Path("examples", "whatsapp-notifications")
PORTS = re.compile(r"\b(?:1883|3001|3002|8080|9464)\b")
BLOCK = re.compile(r"^```(sh|text)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLES = ("MQTT_URL", "HTTP_PORT", "OBSERVE_PORT", "WA_CLIENTES_URL", "WA_PROVEEDORES_URL")
OTHERS = 201
"""What the page has `wa-clientes` receive besides what the AI service posts."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the page."""

    kind: str
    terminal: str
    text: str


def until(condition: Callable[[], object], otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise())
        time.sleep(LOOK_AGAIN_S)


def quiet_port() -> int:
    """A free port, below those that systems hand out: it has to stay free until somebody gets to that command."""
    while True:
        port = randrange(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


class Terminal:
    """Where commands are typed, and what was shown there."""

    def __init__(self, name: str, folder: Path, output: Path) -> None:
        self._name = name
        self._folder = folder
        self._output = output
        self._read = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(DEADLINE_S)
        print(f"--- terminal {self._name!r}\n{self.shown[-2000:]}")  # pytest shows it where the test fails

    @property
    def shown(self) -> str:
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def type(self, command: str) -> None:
        """Begin a command, once the one before it has ended."""
        self._wait()
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                ["bash", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={name: value for name, value in environment().items() if name not in VARIABLES},
                start_new_session=True,
            )

    def run(self, command: str) -> None:
        """Run a command to its end, which must be a good one."""
        self.type(command)
        assert self._wait() == 0, self._told(command)

    def interrupt(self) -> None:
        """Ctrl-C, and the command's end."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        self._wait()

    def sees(self, line: str) -> None:
        """Wait until a line like this one comes, after the last that was seen."""
        like = re.compile("[^\n]*".join(map(re.escape, line.split("…"))))

        def look() -> bool:
            found = like.search(self.shown, self._read)
            if found is not None:
                self._read = found.end()
            return found is not None

        until(look, lambda: self._told(f"no {line!r}"))

    def _wait(self) -> int | None:
        if self._process is None:
            return None
        try:
            return self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._told("it does not end")) from None

    def _told(self, what: str) -> str:
        return f"in terminal {self._name!r}: {what}, after\n{self.shown[: self._read][-1000:]}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example in a checkout of its own, on free ports; `bin/router` runs the packages of this one."""
    copy = tmp_path / EXAMPLE
    shutil.copytree(ROOT / EXAMPLE, copy, ignore=shutil.ignore_patterns(".*", "mosquitto.db*", "*.pid", "__pycache__"))
    ports: dict[str, str] = {}
    for file in copy.iterdir():
        text = PORTS.sub(lambda found: ports.setdefault(found[0], str(quiet_port())), file.read_text())
        file.write_text(text)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    launcher = tmp_path / "bin" / "router"
    launcher.parent.mkdir()
    launcher.write_text('#!/bin/sh\nexec ../../.venv/bin/python -m router "$@"\n')
    launcher.chmod(0o755)
    return copy


@contextmanager
def terminals(folder: Path) -> Iterator[Callable[[str], Terminal]]:
    """Terminals by their names, each opened when it is first used."""
    opened: dict[str, Terminal] = {}
    with ExitStack() as stack:

        def terminal(name: str) -> Terminal:
            if name not in opened:
                output = folder.parent / f"{name or 'mine'}.txt"
                opened[name] = stack.enter_context(Terminal(name, folder, output))
            return opened[name]

        yield terminal


def test_every_command_does_what_the_page_says(folder: Path) -> None:
    """And at its end `wa-clientes` has what was accepted, though the broker was killed meanwhile."""
    page = (folder / "README.md").read_text()
    first, *blocks = [Block(kind, name, text) for kind, name, text in BLOCK.findall(page)]
    assert first.text == f"cd {EXAMPLE}\n"
    with terminals(folder) as terminal:
        clientes = terminal("wa-clientes")
        for block in blocks:
            at = terminal(block.terminal)
            if block.kind == "text":
                for line in block.text.splitlines():
                    if line != "^C":
                        at.sees(line)
                        continue
                    if at is clientes:
                        until_all_arrived(clientes, terminal("ai-clientes"))
                    at.interrupt()
            elif block.terminal:
                at.type(block.text)
            else:
                at.run(block.text)
        # Ctrl-C may have met a post that was on its way.
        assert counted("messages", clientes) - counted("accepted", terminal("ai-clientes")) - OTHERS in (0, 1)


def until_all_arrived(service: Terminal, sender: Terminal) -> None:
    """Wait until the service has written down as many messages as were accepted: the last ones may be on their way."""
    wanted = counted("accepted", sender) + OTHERS

    def look() -> bool:
        return len(set(re.findall(r'^\{"via": "\w+", "key": "([^"]+)"', service.shown, re.MULTILINE))) >= wanted

    until(look, lambda: f"fewer than {wanted} messages")


def counted(what: str, terminal: Terminal) -> int:
    """The number that a program has given at its end."""
    found = re.search(rf"^[\w-]+: (\d+) {what}", terminal.shown, re.MULTILINE)
    assert found is not None, f"no number of {what}"
    return int(found[1])
