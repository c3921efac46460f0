"""The control socket is its owner's alone from its first moment, and replaces what a dead router left."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.errors import StateDirError
from router.control.unix_socket import UnixSocket


@pytest.fixture
def path() -> Iterator[Path]:
    """In a short directory: pytest's own are too long for a socket."""
    directory = tempfile.mkdtemp(prefix="sock-")
    yield Path(directory, "control.sock")
    shutil.rmtree(directory)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
        return True


def test_it_listens_and_goes(path: Path) -> None:
    ours = UnixSocket(path)
    with ours.open():
        assert connects(path)
        ours.close()
    assert not path.exists()


def test_only_its_owner_may_open_it_whatever_the_umask(path: Path) -> None:
    """Its mode comes with the bind, so that there is no moment in which others could connect."""
    before = os.umask(0)
    try:
        with UnixSocket(path).open():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_the_file_of_a_dead_router_is_replaced(path: Path) -> None:
    UnixSocket(path).open().close()
    assert not connects(path)
    with UnixSocket(path).open():
        assert connects(path)


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(StateDirError, match=r"control\.sock is there and is no socket"):
        UnixSocket(path).open()
    assert path.read_text() == "mine"


def test_a_link_is_not_followed(path: Path) -> None:
    target = path.with_name("target")
    UnixSocket(target).open().close()
    path.symlink_to(target)
    with pytest.raises(StateDirError, match="is no socket"):
        UnixSocket(path).open()
    assert target.exists()


def test_closing_leaves_the_socket_of_a_later_router(path: Path) -> None:
    first, second = UnixSocket(path), UnixSocket(path)
    with first.open(), second.open():
        first.close()
        assert connects(path)


def test_where_it_cannot_be_the_error_says_why(path: Path) -> None:
    with pytest.raises(StateDirError, match=r"cannot listen on .*: No such file or directory"):
        UnixSocket(path.parent / "absent" / "control.sock").open()


def test_closing_what_was_never_open_does_nothing(path: Path) -> None:
    UnixSocket(path).close()
