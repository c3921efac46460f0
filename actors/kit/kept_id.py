"""An id that is made once, and is the same after a restart: kept in a file of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from actors.core.errors import RouterError


def kept_id(path: Path, make: Callable[[], str]) -> str:
    """The id in this file, which is made with its folder where it is missing or empty; raises `RouterError`.

    It blocks. Whoever else makes one at the same time has the same: the file that is there first counts.
    """
    kept = _read(path)
    if kept:
        return kept
    made = make()
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{made}\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            if other := _read(path):
                made = other
            else:
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RouterError(f"cannot write {path}: {error}") from error
    return made


def _read(path: Path) -> str:
    """Empty where there is none."""
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise RouterError(f"cannot read {path}: {error}") from error
