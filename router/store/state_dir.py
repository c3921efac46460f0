"""The directory that a router keeps its state in: private, of a known format, and one process's at a time."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import socket
import stat
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from actors.core.errors import StateDirError

FORMAT: Final = 1
"""The version of the directory's layout; the database's tables have a version of their own."""
SOCKET_PATH_BYTES: Final = 107
"""What fits the kernel's sockaddr_un, its final zero aside."""
KEY_BYTES: Final = 32
LONGEST_NODE: Final = 128
NODE_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NODE - 1}}}")
NOT_FOR_NODES: Final = frozenset(("brokers", "mqtt"))
"""What a router keeps in folders of its own, beside those of nodes."""
_BEFORE_FORMAT: Final = frozenset(("lock", "format.partial"))
"""Files that a start which was killed may leave in a directory without a format."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has the directory, as it wrote itself down."""

    pid: int
    since: float
    """Epoch seconds."""
    started_ticks: int | None
    """The process's start in clock ticks since boot, which tells it from a later one with its pid."""
    command: str
    host: str

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}: {self.command}"

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs, as far as this host can tell."""
        return self.host != socket.gethostname() or _started_ticks(self.pid) == self.started_ticks


class StateDirHeldError(StateDirError):
    """Another process has the directory; the message says which."""


class StateDir:
    """Use it as a context, or `open` and `close` it. Nothing is touched before it is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.was_clean = True
        """Whether the router before this one stopped in order; true for a new directory. Known once open."""
        self._lock: int | None = None
        self._shared: Path | None = None
        """The folder that it shares with those of other nodes."""

    @classmethod
    def of_node(cls, folder: Path, node: str) -> StateDir:
        """That of one of several processes, in a folder that they share.

        Raises `StateDirError` for a name that cannot be.
        """
        if not NODE_NAME.fullmatch(node) or node in NOT_FOR_NODES:
            raise StateDirError(
                f"{node[:80]!r} cannot be a node's name: letters, digits, - _ and ., {LONGEST_NODE} at most, "
                f"and neither of {' and '.join(sorted(NOT_FOR_NODES))}. Choose another --node."
            )
        found = cls(folder / node)
        found._shared = folder
        return found

    def __enter__(self) -> StateDir:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def database(self) -> Path:
        return self.path / "store.db"

    @property
    def control_socket(self) -> Path:
        """Raises `StateDirError` where the path is too long for a socket."""
        path = self.path / "control.sock"
        length = len(os.fsencode(path))
        if length > SOCKET_PATH_BYTES:
            elsewhere = "settings.state_dir" if self._shared is None else "settings.state_dir or --node"
            raise StateDirError(
                f"the path of the control socket has {length} bytes, and a socket's may have "
                f"{SOCKET_PATH_BYTES}: {path}. Choose a shorter {elsewhere}."
            )
        return path

    def open(self) -> None:
        """Make the directory or take it over; raises `StateDirError` where it is held, too new or foreign."""
        try:
            self._make()
            self._check_format()
            self._take()
            self._see_how_it_was_left()
        except OSError as error:
            self.close()
            raise StateDirError(f"the state directory {self.path} cannot be used: {error}") from error
        except StateDirError:
            self.close()
            raise

    def mark_clean(self) -> None:
        """Write down that everything was settled or is in the journal: the last thing before `close`."""
        self._write("clean", "")

    def key(self) -> bytes:
        """The key of hashes that only this directory's router can make; made when it is first asked for.

        Without the file `key` the next one differs, and nothing is lost but that older hashes compare as unequal.
        Raises `StateDirError` where the file is not what was written, or cannot be.
        """
        path = self.path / "key"
        try:
            if not path.exists():
                self._write("key", secrets.token_hex(KEY_BYTES))
            path.chmod(0o600)
            key = bytes.fromhex(path.read_text("ascii"))
        except OSError as error:
            raise StateDirError(f"the key {path} cannot be used: {error}") from error
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise StateDirError(f"{path} is not a key that was made here. Delete it, and the router makes a new one.")
        return key

    def close(self) -> None:
        """Let another process have the directory."""
        lock, self._lock = self._lock, None
        if lock is not None:
            # Unlocked by name: a child of ours may hold the descriptor.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _make(self) -> None:
        if self._shared is not None:
            self._shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.path.stat()
        if found.st_uid != os.geteuid():
            raise StateDirError(
                f"the state directory {self.path} belongs to user {found.st_uid}, and this is {os.geteuid()}"
            )

    def _check_format(self) -> None:
        path = self.path / "format"
        try:
            text = path.read_text("ascii").strip()
        except FileNotFoundError:
            others = strangers(self.path)
            if others:
                raise StateDirError(
                    f"{self.path} is not a state directory: it has no file `format`, and holds "
                    f"{others[0]!r}. Choose an empty or a new directory as settings.state_dir."
                ) from None
            return
        if not text.isdecimal() or int(text) < 1:
            raise StateDirError(f"{path} holds {text[:40]!r} where a version number belongs")
        if int(text) > FORMAT:
            raise StateDirError(
                f"the state directory {self.path} has format {text}, and this version knows formats up to "
                f"{FORMAT}. Start the newer version that wrote it, or choose another settings.state_dir."
            )

    def _take(self) -> None:
        if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
            self.path.chmod(0o700)
        self._lock = lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateDirHeldError(self._held_by(os.pread(lock, 4096, 0))) from None
        # A forked child would keep the lock beyond our end; one that executes a program lets go by itself.
        os.register_at_fork(after_in_child=self._let_go_in_child)
        pid = os.getpid()
        holder = Holder(pid, time.time(), _started_ticks(pid), " ".join(sys.argv), socket.gethostname())
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(asdict(holder)).encode(), 0)

    def _see_how_it_was_left(self) -> None:
        if not (self.path / "format").exists():
            self._write("format", f"{FORMAT}\n")
        clean = self.path / "clean"
        self.was_clean = clean.exists() or not self.database.exists()
        clean.unlink(missing_ok=True)
        _sync(self.path)

    def _held_by(self, written: bytes) -> str:
        refusal = f"the state directory {self.path} is in use"
        try:
            holder = Holder(**json.loads(written))
        except (ValueError, TypeError):
            return f"{refusal} by a process that has not written down which it is"
        if not holder.is_alive:
            return f"{refusal} by a process that was left over by one that ended ({holder})"
        return f"{refusal} by {holder}"

    def _write(self, name: str, text: str) -> None:
        partial = self.path / f"{name}.partial"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(self.path / name)
        _sync(self.path)

    def _let_go_in_child(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def strangers(folder: Path) -> list[str]:
    """What has no place in a state directory that is not one yet; those of nodes may have been there first."""
    return sorted(
        entry.name for entry in folder.iterdir() if entry.name not in _BEFORE_FORMAT and not _is_state_dir(entry)
    )


def _is_state_dir(entry: Path) -> bool:
    return (entry / "format").is_file() or (entry / "lock").is_file()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _started_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None where there is no such process, or no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
