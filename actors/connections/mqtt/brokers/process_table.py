"""What Linux's /proc says of processes and listening sockets; elsewhere nothing is known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
LISTEN: Final = "0A"


def started_ticks(pid: int) -> int | None:
    """The process's start in clock ticks since boot, which tells it from a later one with its id; None: no such one."""
    try:
        fields = (PROC / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        # A zombie has ended: field 3 is the state, field 22 the start.
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def listens(pid: int, port: int) -> bool:
    """Whether the process itself listens on a TCP port; true where that cannot be known."""
    if not (PROC / "net" / "tcp").exists():
        return True
    return not _sockets(port).isdisjoint(_held(pid))


def who_listens(port: int) -> str | None:
    """The process that listens on a TCP port, in words; None where it is not to be seen, as another user's is."""
    wanted = _sockets(port)
    if not wanted:
        return None
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and not wanted.isdisjoint(_held(int(entry.name))):
            return f"{_command(entry)} (process {entry.name})"
    return None


def _sockets(port: int) -> frozenset[str]:
    """The inodes of the sockets that listen on a port, at whichever address."""
    return frozenset(inode for local, state, inode in _table() if state == LISTEN and int(local[-4:], 16) == port)


def _table() -> Iterator[tuple[str, str, str]]:
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text("ascii", "replace").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            yield fields[1], fields[3], fields[9]


def _held(pid: int) -> set[str]:
    """The inodes of a process's sockets, as far as we may look."""
    held = set()
    try:
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                held.add(target[8:-1])
    except OSError:  # it ended, or is another user's
        pass
    return held


def _command(entry: Path) -> str:
    try:
        return (entry / "comm").read_text("utf-8", "replace").strip() or "a process"
    except OSError:
        return "a process"
