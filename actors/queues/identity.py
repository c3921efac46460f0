"""Who a router is to the stores of queues: an id of its own, the same after a restart."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Final

from actors.kit.kept_id import kept_id

ID_BYTES: Final = 8
FILE: Final = "queue-worker-id"


async def kept_identity(state_dir: Path) -> str:
    """The id of the router with this state directory, made at its first call; raises `RouterError`."""
    return await asyncio.to_thread(kept_id, state_dir / FILE, lambda: secrets.token_hex(ID_BYTES))
