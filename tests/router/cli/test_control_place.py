"""Where the command line asks, with which token, and what it refuses to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.cli.client import Client
from router.cli.control_place import Remote, control_socket
from router.cli.failure import Failure
from tests.router.cli.conftest import Cli, Recorded
from tests.servers import free_port


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables, in a folder of its own; what a command sets goes with the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("ROUTER_CONTROL", "ROUTER_TOKEN", "ROUTER_TOKEN_FILE", "ROUTER_CA"):
        monkeypatch.setenv(name, "")


def test_a_url_is_asked_by_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option or by the variable; without a port it is that of the scheme."""
    assert control_socket("https://router.example:8081") == Remote("https", "router.example", 8081)
    assert control_socket("https://router.example/") == Remote("https", "router.example", 443)
    monkeypatch.setenv("ROUTER_CONTROL", "https://[::1]:8081")
    assert control_socket(None) == Remote("https", "::1", 8081)
    assert str(control_socket(None)) == "https://[::1]:8081"


def test_the_token_comes_from_a_file_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file goes first, which is what --token-file sets; nothing that is printed shows it."""
    monkeypatch.setenv("ROUTER_TOKEN", "from-the-environment")
    place = control_socket("https://router.example")
    assert isinstance(place, Remote)
    assert place.token == "from-the-environment"
    assert "from-the" not in repr(place)
    Path("token").write_text("from-the-file\n")
    monkeypatch.setenv("ROUTER_TOKEN_FILE", "token")
    place = control_socket("https://router.example")
    assert isinstance(place, Remote)
    assert place.token == "from-the-file"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read"), ("", "no token"), ("a b", "no token"), ("a\nb", "no token"), ("ä" * 16, "no token")],
)
def test_a_file_without_a_token_is_told(content: str | None, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody is asked."""
    if content is not None:
        Path("token").write_text(content)
    monkeypatch.setenv("ROUTER_TOKEN_FILE", "token")
    with pytest.raises(Failure, match=why) as raised:
        control_socket("https://router.example")
    assert raised.value.code == 2


@pytest.mark.parametrize(
    "url",
    [
        "ftp://router.example",
        "https://",
        "https://router.example:port",
        "https://anna:secret@router.example",
        "https://router.example/v1",
        "https://router.example?token=secret",
        "http://router.example:8081",
        "http://192.168.0.7:8081",
    ],
)
def test_what_is_no_url_of_a_router_is_wrong_usage(url: str) -> None:
    """Also one that would send the token in the clear, and one with a password in it, which is not repeated."""
    with pytest.raises(Failure) as raised:
        control_socket(url)
    assert raised.value.code == 2
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_on_this_machine_it_may_be_without_tls(host: str) -> None:
    """Nobody else can listen there."""
    assert isinstance(control_socket(f"http://{host}:8081"), Remote)


def test_where_nobody_listens_no_router_is_running(cli: Cli) -> None:
    """As with a socket: exit code 3."""
    ended = cli("ps", "--control", f"http://127.0.0.1:{free_port()}")
    assert ended.code == 3
    assert "nobody listens at http://127.0.0.1:" in ended.errors


def test_a_file_of_certificates_that_is_none_is_told(cli: Cli) -> None:
    """It is wrong usage, and nobody is asked."""
    Path("ca.pem").write_text("no certificate")
    ended = cli("ps", "--control", "https://127.0.0.1:1", "--ca", "ca.pem")
    assert (ended.code, "ca.pem cannot be used as --ca" in ended.errors) == (2, True)


def test_every_command_that_asks_a_router_has_the_options_of_asking_by_tcp(cli: Cli) -> None:
    """Behind --control; and those that ask none do not have them."""
    assert "--token-file" in cli("ps", "--help").output
    assert "--ca FILE" in cli("dead-letters", "replay", "--help").output
    assert "--token-file" not in cli("validate", "--help").output


def test_over_a_socket_no_token_is_needed_nor_sent(control: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set for another router does no harm."""
    monkeypatch.setenv("ROUTER_TOKEN", "0123456789abcdef")
    control.answer("GET", "/v1/router", {"name": "here"})
    assert Client(control.path).get("router") == {"name": "here"}
