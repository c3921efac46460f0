"""How fast an actor may be delivered to, and when to leave it alone for a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from actors.core.clock import Clock


class Limiter:
    """A token bucket: `maximum` deliveries per `per_s` seconds, evenly refilled, at most `maximum` in a burst."""

    __slots__ = ("_at", "_maximum", "_rate", "_tokens")

    def __init__(self, maximum: int, per_s: float) -> None:
        self._maximum = float(maximum)
        self._rate = maximum / per_s
        self._tokens = float(maximum)
        self._at = 0.0

    def take(self, now: float) -> float:
        """Take a token at `now` (monotonic seconds) and return 0, or return the seconds until there is one."""
        self._tokens = min(self._maximum, self._tokens + (now - self._at) * self._rate)
        self._at = now
        # A hair less than one counts: a timer may fire a rounding error too early.
        if self._tokens >= 1.0 - 1e-9:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a target counts as broken, and for how long it is left alone."""

    failures: float = 0.5
    """The share of failed attempts, above which it opens."""
    window_s: float = 30.0
    min_requests: int = 20
    """With fewer attempts in the window it stays closed."""
    open_s: float = 30.0


class Breaker:
    """A circuit breaker over the attempts at one target.

    Closed: all attempts pass. Open: `opened` was called, and the target refuses at once for `open_s`. Then it
    is half-open: attempts pass again, and the first result closes it or opens it anew.
    """

    __slots__ = ("_clock", "_failures", "_half_open", "_on_change", "_policy", "_results", "is_open")

    def __init__(self, policy: BreakerPolicy, clock: Clock, on_change: Callable[[bool], None]) -> None:
        self.is_open = False
        self._policy = policy
        self._clock = clock
        self._on_change = on_change
        self._half_open = False
        self._results: deque[tuple[float, bool]] = deque()
        self._failures = 0

    def record(self, *, ok: bool) -> None:
        """Count an attempt that ended."""
        if self.is_open:
            return
        if self._half_open:
            self._half_open = False
            if not ok:
                self._open()
            return
        now = self._clock.now()
        self._results.append((now, ok))
        self._failures += not ok
        while self._results[0][0] <= now - self._policy.window_s:
            self._failures -= not self._results.popleft()[1]
        total = len(self._results)
        if total >= self._policy.min_requests and self._failures > total * self._policy.failures:
            self._open()

    def _open(self) -> None:
        self.is_open = True
        self._results.clear()
        self._failures = 0
        self._clock.call_at(self._clock.now() + self._policy.open_s, self._try)
        self._on_change(True)

    def _try(self) -> None:
        self.is_open = False
        self._half_open = True
        self._on_change(False)
