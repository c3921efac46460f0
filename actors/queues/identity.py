"""Who a router is to the stores of queues: an id of its own, the same after a restart."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Final

from actors.core.errors import RouterError

ID_BYTES: Final = 8
FILE: Final = "queue-worker-id"


async def kept_identity(state_dir: Path) -> str:
    """The id of the router with this state directory, made at its first call; raises `RouterError`."""
    return await asyncio.to_thread(_kept, state_dir / FILE)


def _kept(path: Path) -> str:
    try:
        kept = path.read_text("utf-8").strip()
        if kept:
            return kept
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise RouterError(f"cannot read {path}: {error}") from error
    made = secrets.token_hex(ID_BYTES)
    # Whoever else makes one at the same time makes the same file: the one that is there first counts.
    temporary = path.with_name(f"{path.name}.{made}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{made}\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            made = path.read_text("utf-8").strip() or made
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise RouterError(f"cannot write {path}: {error}") from error
    return made
