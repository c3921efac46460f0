"""A control API of recorded answers, on a real Unix socket, and the command line run against it."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from router.cli.main import main

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass(slots=True)
class Recorded:
    """Answers by method and path; what is not recorded is answered 404."""

    path: Path
    answers: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    turns: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Json, status: int = 200) -> None:
        """Answer like this from now on."""
        self.answers[method, path] = (status, json.dumps(body).encode())

    def answers_in_turn(self, method: str, path: str, *bodies: Json) -> None:
        """Answer like this once each."""
        self.turns[method, path] = [json.dumps(body).encode() for body in bodies]

    def answer_raw(self, method: str, path: str, body: bytes, status: int = 200) -> None:
        self.answers[method, path] = (status, body)


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    recorded: Recorded


class Handler(BaseHTTPRequestHandler):
    server: UnixServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        recorded = self.server.recorded
        path = unquote(url.path)
        recorded.asked.append(Asked(self.command, path, dict(parse_qsl(url.query)), json.loads(body) if body else None))
        unknown = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": f"there is no {path}"}
        status, answer = recorded.answers.get((self.command, path), (404, json.dumps(unknown).encode()))
        if turns := recorded.turns.get((self.command, path)):
            status, answer = 200, turns.pop(0)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """A control API of recorded answers at ./.router/control.sock, where the command line looks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROUTER_CONTROL", raising=False)
    (tmp_path / ".router").mkdir()
    # A short path whatever pytest's own is: a socket's has 107 bytes.
    recorded = Recorded(Path(".router", "control.sock"))
    with UnixServer(str(recorded.path), Handler) as server:
        server.recorded = recorded
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield recorded
        server.shutdown()
        thread.join(5.0)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command line in this process: `cli("ps", "--json")`."""
    monkeypatch.setattr("sys.argv", ["router"])

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(arguments)
        output, errors = capsys.readouterr()
        return Ended(code, output, errors)

    return run
