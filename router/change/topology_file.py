"""A topology's file, as changes of a running router read and write it."""

from __future__ import annotations

import os
from pathlib import Path

from actors.core.errors import ControlError


def content(path: Path) -> str:
    """Its text, with its line breaks as they are; raises `ControlError` where it cannot be read."""
    try:
        return path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise ControlError(f"{path} cannot be read: {error}") from error


def replace(path: Path, text: str) -> None:
    """Write it in place of what is there at once, or not at all; raises `ControlError` where that cannot be."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        mode = path.stat().st_mode & 0o777
        with open(part, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ControlError(f"{path} cannot be written: {error.strerror or error}") from error
