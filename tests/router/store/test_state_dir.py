"""The state directory: private, locked, of a known format, and it knows how it was left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.core.errors import StateDirError
from router.store.state_dir import FORMAT, KEY_BYTES, SOCKET_PATH_BYTES, StateDir

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 20.0

HOLD = """
import sys
from pathlib import Path
from router.store.state_dir import StateDir
with StateDir(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

HOLD_WITH_A_CHILD = """
import os, sys
from pathlib import Path
from router.store.state_dir import StateDir
with StateDir(Path(sys.argv[1])):
    if os.fork():
        os.kill(os.getpid(), 9)
    # By the child, which has the lock until its first line runs.
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
"""


@contextmanager
def program(text: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs `text` and has written its first line; it is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "node" / "state"
    with StateDir(path) as state:
        state.mark_clean()
        assert path.stat().st_mode & 0o777 == 0o700
        assert {entry.name: entry.stat().st_mode & 0o777 for entry in path.iterdir()} == {
            "lock": 0o600,
            "format": 0o600,
            "clean": 0o600,
        }


def test_one_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    with StateDir(tmp_path / "state") as state:
        assert state.path.stat().st_mode & 0o777 == 0o700


def test_a_second_start_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with program(HOLD, tmp_path / "state") as holder:
        assert first_line(holder) == "held"
        with pytest.raises(StateDirError) as refusal:
            StateDir(tmp_path / "state").open()
        text = str(refusal.value)
        assert f"in use by process {holder.pid} on " in text
        assert ", since 2" in text
        assert text.endswith(f": -c {tmp_path / 'state'}"), "as it was called, without the interpreter"


def test_a_second_start_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with (
        StateDir(tmp_path / "state"),
        pytest.raises(StateDirError, match=f"in use by process {os.getpid()} "),
    ):
        StateDir(tmp_path / "state").open()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with program(HOLD, tmp_path / "state") as holder:
        assert first_line(holder) == "held"
        holder.send_signal(signal.SIGKILL)
        holder.wait(DEADLINE_S)
        StateDir(tmp_path / "state").open()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A broker that was forked off may outlive a killed router for a moment."""
    with program(HOLD_WITH_A_CHILD, tmp_path / "state") as holder:
        child = int(first_line(holder))
        holder.wait(DEADLINE_S)
        try:
            with StateDir(tmp_path / "state"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_after_closing_it_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with StateDir(tmp_path / "state"):
            pass


def test_it_knows_whether_the_one_before_stopped_in_order(tmp_path: Path) -> None:
    left = []
    for stops_in_order in (True, False, True, True):
        with StateDir(tmp_path / "state") as state:
            left.append(state.was_clean)
            state.database.touch()
            if stops_in_order:
                state.mark_clean()
    assert left == [True, True, False, True]


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    with StateDir(tmp_path / "state") as state:
        state.mark_clean()
    (tmp_path / "state" / "format").write_text(f"{FORMAT + 1}\n")
    with pytest.raises(StateDirError, match=f"has format {FORMAT + 1}, and this version knows formats up to"):
        StateDir(tmp_path / "state").open()
    assert (tmp_path / "state" / "clean").exists()


def test_a_damaged_format_is_refused(tmp_path: Path) -> None:
    with StateDir(tmp_path / "state"):
        pass
    (tmp_path / "state" / "format").write_text("one")
    with pytest.raises(StateDirError, match="'one' where a version number belongs"):
        StateDir(tmp_path / "state").open()


def test_a_directory_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "thesis.tex").touch()
    with pytest.raises(StateDirError, match=r"is not a state directory.*'thesis\.tex'"):
        StateDir(home).open()
    assert [entry.name for entry in home.iterdir()] == ["thesis.tex"]
    assert home.stat().st_mode & 0o777 == 0o755


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateDirError, match="cannot be used"):
        StateDir(tmp_path / "state").open()


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    room = SOCKET_PATH_BYTES - len("/control.sock")
    fits = StateDir(Path("/" + "x" * (room - 1)))
    assert len(os.fsencode(fits.control_socket)) == SOCKET_PATH_BYTES
    with pytest.raises(StateDirError, match="108 bytes, and a socket's may have 107"):
        StateDir(Path("/" + "x" * room)).control_socket  # noqa: B018  # a property that raises


def test_its_key_is_private_and_stays_the_same(tmp_path: Path) -> None:
    with StateDir(tmp_path / "state") as state:
        key = state.key()
        assert len(key) == KEY_BYTES
        assert state.key() == key
        assert (tmp_path / "state" / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "state" / "key").chmod(0o644)
    with StateDir(tmp_path / "state") as state:
        assert state.key() == key
        assert (tmp_path / "state" / "key").stat().st_mode & 0o777 == 0o600
    with StateDir(tmp_path / "another") as state:
        assert state.key() != key


@pytest.mark.parametrize("content", ["", "00ff", "no key at all"])
def test_a_damaged_key_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    with StateDir(tmp_path / "state") as state:
        state.key()
        (tmp_path / "state" / "key").write_text(content)
        with pytest.raises(StateDirError, match=r"key is not a key that was made here\. Delete it"):
            state.key()
        (tmp_path / "state" / "key").unlink()
        assert len(state.key()) == KEY_BYTES
