"""Looks at a state directory as the next start would, and changes nothing in it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.core.errors import StateDirError
from actors.core.examination import Finding
from actors.kit.disk_space import RESERVE_BYTES
from router.cli.figures import size
from router.store.state_dir import FORMAT, Holder, StateDir, strangers

AMPLE_BYTES: Final = 256 * 1024 * 1024
"""Less free space than this is worth a word."""


def holder(state_dir: Path) -> Holder | None:
    """The router that has the directory, as far as that can be told; the lock itself is left alone."""
    try:
        found = Holder(**json.loads((state_dir / "lock").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.is_alive else None


def holders(state_dir: Path) -> list[Holder]:
    """The same, with the nodes that have directories of their own in it."""
    whole = holder(state_dir)
    return [*([] if whole is None else [whole]), *(node for _, node in _nodes(state_dir))]


def _nodes(state_dir: Path) -> Iterator[tuple[str, Holder]]:
    for lock in sorted(state_dir.glob("*/lock")):
        if (found := holder(lock.parent)) is not None:
            yield lock.parent.name, found


def examine(state_dir: Path) -> list[Finding]:
    """Whether it can be used, who has it, how much room there is, and whether others can read it."""
    if not state_dir.exists():
        return [_to_be_made(state_dir)]
    refusal = _unusable(state_dir)
    if refusal is not None:
        return [refusal]
    running = holder(state_dir)
    state = "is free" if running is None else f"is in use by {running}"
    nodes = [Finding("ok", f"its node {name} is in use by {node}") for name, node in _nodes(state_dir)]
    return [
        Finding("ok", f"{state_dir} {state}"),
        *nodes,
        *_socket(state_dir),
        _room(state_dir),
        *_open_to_others(state_dir),
    ]


def _to_be_made(state_dir: Path) -> Finding:
    parent = next(folder for folder in state_dir.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        text = f"{state_dir} cannot be made: {parent} is not writable"
        return Finding("problem", text, "make it for this user, or choose another settings.state_dir")
    room = _room(parent)
    if room.level != "ok":
        return room
    return next(_socket(state_dir), Finding("ok", f"{state_dir} will be made; {room.text}"))


def _unusable(state_dir: Path) -> Finding | None:
    elsewhere = "choose another settings.state_dir"
    if not state_dir.is_dir():
        return Finding("problem", f"{state_dir} is no directory", elsewhere)
    found = state_dir.stat()
    if found.st_uid != os.geteuid():
        text = f"{state_dir} belongs to user {found.st_uid}, and this is {os.geteuid()}"
        return Finding("problem", text, f"run as that user, or {elsewhere}")
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        return Finding("problem", f"{state_dir} is not writable", "is the file system mounted read-only?")
    try:
        text = (state_dir / "format").read_text("ascii", "replace").strip()
    except FileNotFoundError:
        others = strangers(state_dir)
        if others:
            return Finding("problem", f"{state_dir} is not a state directory: it holds {others[0]!r}", elsewhere)
        return None
    except OSError as error:
        return Finding("problem", f"{state_dir} cannot be read: {error.strerror or error}", elsewhere)
    if not text.isdecimal() or not 1 <= int(text) <= FORMAT:
        text = f"{state_dir} has format {text[:20]!r}, and this version knows formats up to {FORMAT}"
        return Finding("problem", text, f"start the version that wrote it, or {elsewhere}")
    return None


def _socket(state_dir: Path) -> Iterator[Finding]:
    try:
        StateDir(state_dir).control_socket  # noqa: B018  # it raises
    except StateDirError as error:
        yield Finding("problem", str(error).partition(". Choose")[0], "choose a shorter settings.state_dir")


def _room(folder: Path) -> Finding:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    text = f"{size(free)} of disk space are free"
    if free < RESERVE_BYTES:
        return Finding("problem", f"{text}, and nothing is acknowledged below {size(RESERVE_BYTES)}", "make room")
    return Finding("warning", text, "make room before it fills") if free < AMPLE_BYTES else Finding("ok", text)


def _open_to_others(state_dir: Path) -> Iterator[Finding]:
    for path in (state_dir, *sorted(state_dir.iterdir())):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        # The directory closes off what is in it.
        if mode & 0o077 and (path == state_dir or state_dir.stat().st_mode & 0o077):
            text = f"{path} is open to others (mode {mode:04o}); payloads and passwords are in the clear there"
            yield Finding("warning", text, f"chmod {'700' if path.is_dir() else '600'} {path}")
