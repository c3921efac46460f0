"""Who may log in to a broker in the house, and how that is kept."""

import stat
from pathlib import Path

import pytest

from actors.connections.mqtt.brokers.credentials import hashed, password_file, settle, write_private
from actors.connections.mqtt.brokers.house_broker import OWN_USER, Login
from actors.core.errors import RouterError
from actors.kit.secrets import Secret


def test_without_options_the_router_has_a_random_login_that_stays(tmp_path: Path) -> None:
    """It is in a file that nobody else may read, and the same over restarts."""
    kept = tmp_path / "credentials.json"
    first = settle({}, anonymous=False, kept=kept)
    assert first.own is not None
    assert first.own.username == OWN_USER
    assert len(first.own.password) >= 32
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert settle({}, anonymous=False, kept=kept) == first
    assert settle({}, anonymous=False, kept=tmp_path / "other.json") != first


def test_a_file_that_others_could_read_is_closed(tmp_path: Path) -> None:
    kept = tmp_path / "credentials.json"
    settle({}, anonymous=False, kept=kept)
    kept.chmod(0o644)
    settle({}, anonymous=False, kept=kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"username": "pointsman"}'])
def test_a_file_that_holds_something_else_is_an_error(tmp_path: Path, text: str) -> None:
    """It is not written over: somebody may have put it there."""
    kept = tmp_path / "credentials.json"
    kept.write_text(text)
    with pytest.raises(RouterError, match=r"credentials\.json"):
        settle({}, anonymous=False, kept=kept)
    assert kept.read_text() == text


def test_beside_users_the_router_has_a_login_that_is_written_nowhere(tmp_path: Path) -> None:
    """So that what a user may do later can be limited without limiting the router."""
    kept = tmp_path / "credentials.json"
    credentials = settle({"panel": Secret("s3cret")}, anonymous=False, kept=kept)
    assert Login("panel", "s3cret") in credentials.logins
    assert credentials.own is not None
    assert credentials.own.username == OWN_USER
    assert credentials != settle({"panel": Secret("s3cret")}, anonymous=False, kept=kept)
    assert not kept.exists()


def test_the_routers_login_can_be_given(tmp_path: Path) -> None:
    credentials = settle({OWN_USER: Secret("given")}, anonymous=False, kept=tmp_path / "credentials.json")
    assert credentials.own == Login(OWN_USER, "given")
    assert credentials.logins == (Login(OWN_USER, "given"),)


def test_anonymous_means_no_login_at_all(tmp_path: Path) -> None:
    credentials = settle({}, anonymous=True, kept=tmp_path / "credentials.json")
    assert credentials.own is None
    assert not credentials.logins
    assert not list(tmp_path.iterdir())


def test_a_password_is_hashed_as_mosquitto_passwd_does() -> None:
    """What mosquitto_passwd 2.0.11 wrote for `s3cret` with this salt."""
    salt = bytes.fromhex("1b92b866e74802ad718d0ac7")
    assert hashed("s3cret", salt) == (
        "$7$101$G5K4ZudIAq1xjQrH$"
        "6CekhfBOgDZVD2zIyLFjx7lvzyasZqTDXE6A2gqCdCs0nm+CC01EPIXiysJIfhd1UPPVswTjOZ1ruJwjZIbSng=="
    )


def test_the_password_file_has_a_line_for_each_user_and_no_password(tmp_path: Path) -> None:
    credentials = settle(
        {"panel": Secret("s3cret"), "ü b": Secret("other")}, anonymous=False, kept=tmp_path / "credentials.json"
    )
    lines = password_file(credentials).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["panel", "ü b", OWN_USER]
    assert all(line.partition(":")[2].startswith("$7$101$") for line in lines)
    assert "s3cret" not in password_file(credentials)


def test_a_login_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(Login("panel", "s3cret"))


def test_a_private_file_replaces_the_one_before(tmp_path: Path) -> None:
    """Also where the one before was open to others, or a start was killed while it wrote."""
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    (tmp_path / "file.partial").write_text("half")
    write_private(path, "after")
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
