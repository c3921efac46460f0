"""How the command line finds a router, and what it says when there is none."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from router.cli.client import Client, control_socket
from router.cli.failure import Failure
from tests.router.cli.conftest import Cli, Recorded

DEADLINE_S = 10.0


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which nothing runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROUTER_CONTROL", raising=False)
    return tmp_path


def test_the_option_wins_over_the_environment_and_that_over_the_default(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order."""
    assert control_socket(None) == Path(".router/control.sock")
    monkeypatch.setenv("ROUTER_CONTROL", "/run/router.sock")
    assert control_socket(None) == Path("/run/router.sock")
    assert control_socket("other.sock") == Path("other.sock")


def test_a_state_directory_stands_for_its_socket(nowhere: Path) -> None:
    """It is what `--state-dir` named."""
    (nowhere / "state").mkdir()
    assert control_socket("state") == Path("state/control.sock")


def test_without_a_router_it_says_what_it_tried_and_what_to_do(nowhere: Path, cli: Cli) -> None:
    """And exits with 3."""
    ended = cli("ps")
    assert (ended.code, ended.output) == (3, "")
    assert ended.errors == (
        "error: no router is running: there is no .router/control.sock\n"
        "       start one with `router start`, or say where its socket is with --control or ROUTER_CONTROL\n"
    )


def test_a_socket_that_nobody_listens_on_is_no_router(nowhere: Path, cli: Cli) -> None:
    """As one that was killed leaves it."""
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind("left.sock")
    ended = cli("ps", "--control", "left.sock")
    assert ended.code == 3
    assert "nobody answers at left.sock" in ended.errors


def test_for_machines_an_error_is_one_object(nowhere: Path, cli: Cli) -> None:
    """On standard error, where errors go."""
    ended = cli("ps", "--json")
    assert (ended.code, ended.output) == (3, "")
    assert json.loads(ended.errors)["detail"].startswith("no router is running")


def test_a_path_that_is_too_long_for_a_socket_is_told(nowhere: Path, cli: Cli) -> None:
    """The system's limit is about 107 bytes."""
    ended = cli("ps", "--control", "x" * 200)
    assert ended.code == 1
    assert "too long" in ended.errors


def test_unknown_names_come_with_the_router_s_suggestion(control: Recorded, cli: Cli) -> None:
    """The problem document is the router's; here it becomes two lines."""
    problem = {
        "title": "Not Found",
        "status": 404,
        "detail": "there is no actor 'ordes'",
        "suggestion": "did you mean 'orders'?",
    }
    control.answer("GET", "/v1/actors/ordes/mailbox", problem, status=404)
    ended = cli("mailbox", "ordes")
    assert ended.code == 1
    assert ended.errors == "error: there is no actor 'ordes'\n       did you mean 'orders'?\n"


def test_what_the_router_takes_for_wrong_is_wrong_usage(control: Recorded, cli: Cli) -> None:
    """It knows best what its parameters may hold."""
    control.answer("GET", "/v1/dead-letters", {"status": 400, "detail": "since: no moment"}, status=400)
    assert cli("dead-letters", "list", "--since", "soon").code == 2


def test_an_answer_of_somebody_else_is_told(control: Recorded, cli: Cli) -> None:
    """Whatever listens there, it is no router."""
    control.answer_raw("GET", "/v1/router", b"<html>")
    ended = cli("ps")
    assert ended.code == 1
    assert "not as its control API does" in ended.errors


def test_names_are_escaped_in_paths(control: Recorded) -> None:
    """A name cannot lead elsewhere."""
    control.answer("GET", "/v1/actors/a/b?c", {"name": "odd"})
    assert Client(control.path).get("actors", "a/b?c") == {"name": "odd"}


def answering(path: Path, answer: bytes | None) -> tuple[threading.Thread, threading.Event]:
    """Takes one connection and sends `answer`, or (None) nothing until told."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    listening.settimeout(DEADLINE_S)
    done = threading.Event()

    def run() -> None:
        with listening:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(DEADLINE_S)
                connection.recv(65536)
                if answer is not None:
                    connection.sendall(answer)
                else:
                    done.wait(DEADLINE_S)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, done


def test_an_answer_that_goes_on_comes_line_by_line(nowhere: Path) -> None:
    """Empty lines say only that the router is there; one that breaks off is told."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    thread, _ = answering(Path("c.sock"), head + b'8\r\n{"n": 1}\r\n2\r\n\n\n\r\n9\r\n{"n": 2}\n\r\n0\r\n\r\n')
    assert list(Client(Path("c.sock")).lines("tap", where="x")) == [{"n": 1}, {"n": 2}]
    thread.join(DEADLINE_S)
    Path("c.sock").unlink()
    thread, _ = answering(Path("c.sock"), head + b'9\r\n{"n": 1}\n\r\n')
    lines = Client(Path("c.sock")).lines("tap")
    assert next(lines) == {"n": 1}
    with pytest.raises(Failure, match="hung up"):
        next(lines)
    thread.join(DEADLINE_S)


def test_an_answer_that_does_not_begin_is_a_failure(control: Recorded) -> None:
    """As with any other."""
    with pytest.raises(Failure, match="there is no /v1/tap"):
        list(Client(control.path).lines("tap"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"SSH-2.0-x\r\n\r\n"])
def test_a_router_that_ends_in_mid_answer_is_told(nowhere: Path, answer: bytes) -> None:
    """It was stopped while it was asked."""
    thread, _ = answering(Path("c.sock"), answer)
    with pytest.raises(Failure, match="hung up"):
        Client(Path("c.sock")).get("router")
    thread.join(DEADLINE_S)


def test_a_router_that_does_not_answer_is_given_up(nowhere: Path) -> None:
    """After a while, and with how long it was."""
    thread, done = answering(Path("c.sock"), None)
    with pytest.raises(Failure, match=r"did not answer within 0\.05s"):
        Client(Path("c.sock"), timeout_s=0.05).get("router")
    done.set()
    thread.join(DEADLINE_S)


class Webhooks(BaseHTTPRequestHandler):
    """The listener of webhooks, where the control API is not."""

    def do_GET(self) -> None:
        body = json.dumps({"title": "Not Found", "status": 404, "detail": "nothing is at this path"}).encode()
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_who_asks_at_the_port_of_webhooks_is_told_where_to_look(nowhere: Path, cli: Cli) -> None:
    """Both are HTTP, and both are printed when the router starts."""
    with HTTPServer(("127.0.0.1", 0), Webhooks) as server:
        server.timeout = DEADLINE_S
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        ended = cli("ps", "--control", f"http://127.0.0.1:{server.server_port}")
        thread.join(DEADLINE_S)
    assert ended.code == 1
    assert "does its control API listen at http://127.0.0.1:" in ended.errors
    assert "`settings.control.listen` says where" in ended.errors
