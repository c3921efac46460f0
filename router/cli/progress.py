"""How far something long has come: one line that is drawn again and again, where it goes to a terminal."""

from __future__ import annotations

from typing import IO, Final

from router.cli.figures import count

COLUMNS: Final = 30


class Bar:
    """A bar with figures behind it; nothing where the stream is no terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown = ""

    def show(self, done: int, total: int, words: str) -> None:
        """`███░░░ 10 of 40 WORDS`."""
        if not self._stream.isatty():
            return
        filled = COLUMNS if done >= total else COLUMNS * done // total
        text = f"{'█' * filled}{'░' * (COLUMNS - filled)} {count(done)} of {count(total)} {words}"
        if text != self._shown:
            print(f"\r{text}", end="", file=self._stream, flush=True)
            self._shown = text

    def clear(self) -> None:
        """Leave the line as it was before."""
        if self._shown:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
            self._shown = ""
