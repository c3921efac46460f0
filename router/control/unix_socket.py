"""A listening Unix socket that only its owner can open, in place of one that a dead process left."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final

from actors.core.errors import StateDirError

BACKLOG: Final = 64


class UnixSocket:
    """Bound from `open` to `close`. Whoever opens it must hold the lock of its directory: nothing is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode: tuple[int, int] | None = None

    def open(self) -> socket.socket:
        """A socket that listens, of mode 0600 from the first moment.

        Raises `StateDirError` where it cannot be there, or where something is that is no socket.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_stale()
            # The file's mode comes from the umask alone, and must not be anything else for a moment.
            before = os.umask(0o177)
            try:
                listening.bind(os.fspath(self.path))
            finally:
                os.umask(before)
            found = self.path.stat()
            self._inode = found.st_dev, found.st_ino
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except OSError as error:
            listening.close()
            raise StateDirError(f"cannot listen on {self.path}: {error.strerror}") from error
        except StateDirError:
            listening.close()
            raise
        return listening

    def close(self) -> None:
        """Remove the file, unless it is another's by now. The socket itself is closed by its server."""
        inode, self._inode = self._inode, None
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return
        if inode == (found.st_dev, found.st_ino):
            self.path.unlink(missing_ok=True)

    def _remove_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise StateDirError(f"{self.path} is there and is no socket: move it away")
        self.path.unlink()
