"""Which filters a session may have at the broker: it keeps them over our restarts, and will not say which they are."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from actors.core.errors import RouterError


class KeptFilters:
    """A file of the filters that a session has, or has perhaps: they are written down before they are subscribed to.

    It is read when it is first needed. Another client id is another session, of which nothing is known.
    """

    def __init__(self, path: Path, client_id: str) -> None:
        self._path = path
        self._client_id = client_id
        self._filters: frozenset[str] | None = None
        self._writing = asyncio.Lock()

    async def known(self) -> frozenset[str]:
        """What the session may have; raises `RouterError` where the file cannot be read."""
        if self._filters is None:
            self._filters = await asyncio.to_thread(self._read)
        return self._filters

    async def keep(self, filters: Iterable[str]) -> None:
        """The session has these, or will; raises `RouterError` where that cannot be written."""
        wanted = frozenset(filters)
        async with self._writing:
            if wanted != await self.known():
                await asyncio.to_thread(self._write, wanted)
                self._filters = wanted

    def _read(self) -> frozenset[str]:
        try:
            kept = json.loads(self._path.read_bytes())
            return frozenset(kept["filters"] if kept["client_id"] == self._client_id else ())
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RouterError(f"cannot read {self._path}: {error}") from error

    def _write(self, filters: Collection[str]) -> None:
        path = self._path
        beside = path.with_name(f"{path.name}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"client_id": self._client_id, "filters": sorted(filters)}, file)
            beside.replace(path)
        except OSError as error:
            raise RouterError(f"cannot write {path}: {error}") from error
