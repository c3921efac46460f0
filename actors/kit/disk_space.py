"""Room that is kept on the disk of a database, so that what it holds can always be deleted.

A deletion is written to the write-ahead log first, and the log starts anew only when all of it fits the file. A
database that fills its disk to the last byte could therefore never be emptied again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 16 * 1024 * 1024
CHECK_EVERY_S: Final = 0.02
_PAGE_BYTES: Final = 4096
_LOG_PAGES: Final = 1000
"""SQLite's own default: the log is emptied into the file when it has so many."""


class DiskSpace:
    """Tells when new rows should be refused, long before SQLite has to."""

    def __init__(self, path: Path) -> None:
        self._directory = path.parent
        found = os.statvfs(self._directory)
        self._reserve = min(RESERVE_BYTES, found.f_blocks * found.f_frsize // 3)
        # On a small disk a moment is enough to fill the reserve.
        self._check_every_s = CHECK_EVERY_S if self._reserve == RESERVE_BYTES else 0.0
        self._checked_at = float("-inf")
        self.is_short = False

    @property
    def log_pages(self) -> int:
        """How long the write-ahead log may get: a quarter of the reserve."""
        return min(_LOG_PAGES, self._reserve // 4 // _PAGE_BYTES)

    def check(self, connection: sqlite3.Connection) -> None:
        """Look again if some time has passed."""
        now = time.monotonic()
        if now - self._checked_at >= self._check_every_s:
            self._checked_at = now
            try:
                self.is_short = self._room(connection) < self._reserve
            except (OSError, sqlite3.Error):
                # A disk that fails shows at the next commit.
                return

    def _room(self, connection: sqlite3.Connection) -> int:
        found = os.statvfs(self._directory)
        room = found.f_bavail * found.f_frsize
        if room < self._reserve:
            # The file never shrinks: what was deleted is room inside of it.
            (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
            room += pages * _PAGE_BYTES
        return room
