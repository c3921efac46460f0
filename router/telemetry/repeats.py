"""Keeps a storm of equal lines from filling the log, and says how many there were."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from actors.core.clock import Clock, Timer

T = TypeVar("T")

BURST: Final = 5
WINDOW_S: Final = 10.0
MOST_KEYS: Final = 1000


class _Window(Generic[T]):
    __slots__ = ("ends_at", "held", "latest", "passed")

    def __init__(self, ends_at: float, passed: int) -> None:
        self.ends_at = ends_at
        self.passed = passed
        self.held = 0
        self.latest: T | None = None


class Repeats(Generic[T]):
    """Of lines with one key, `burst` are written at once; the others are counted until their window ends.

    Then the latest of them is written with their number. While a storm goes on, that is one line a window.
    `write` takes a line and how many it stands for: 1, or the number that was held.
    """

    def __init__(
        self,
        write: Callable[[T, int], None],
        *,
        clock: Clock,
        burst: int = BURST,
        window_s: float = WINDOW_S,
        most_keys: int = MOST_KEYS,
    ) -> None:
        self._write = write
        self._clock = clock
        self._burst = burst
        self._window_s = window_s
        self._most_keys = most_keys
        # All windows are equally long, so that the order of this dict is the order in which they end.
        self._windows: dict[Hashable, _Window[T]] = {}
        self._timer: Timer | None = None

    def add(self, key: Hashable, line: T) -> None:
        """Write the line, or hold it."""
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= self._most_keys:
                self._end(next(iter(self._windows)))
            window = self._open(key, 0)
        if window.passed < self._burst:
            window.passed += 1
            self._write(line, 1)
        else:
            window.held += 1
            window.latest = line

    def close(self) -> None:
        """Write what is held."""
        for key in tuple(self._windows):
            self._end(key)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open(self, key: Hashable, passed: int) -> _Window[T]:
        window: _Window[T] = _Window(self._clock.now() + self._window_s, passed)
        self._windows[key] = window
        if self._timer is None:
            self._timer = self._clock.call_at(window.ends_at, self._tick)
        return window

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.now()
        for key, window in tuple(self._windows.items()):
            if window.ends_at > now:
                break
            if self._end(key):
                self._open(key, self._burst)
        if self._timer is None and self._windows:
            self._timer = self._clock.call_at(next(iter(self._windows.values())).ends_at, self._tick)

    def _end(self, key: Hashable) -> bool:
        """Forget a window, and write what it held; false where it held nothing."""
        window = self._windows.pop(key)
        if window.latest is None:
            return False
        self._write(window.latest, window.held)
        return True
