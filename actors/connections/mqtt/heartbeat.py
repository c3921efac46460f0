"""Notices that the other end is gone although the socket is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.core.clock import Clock, Timer

PINGS: Final = 2
"""In each keepalive interval: so that silence is noticed within one."""


class Heartbeat:
    """Pings twice in a keepalive interval, and gives up where nothing came in between two pings.

    It gives up too where no answer came to the pings of a whole interval, whatever else did: what we send may
    get lost while the broker goes on sending.
    """

    __slots__ = ("_clock", "_dead", "_every_s", "_ping", "_timer", "_unanswered", "answered", "heard")

    def __init__(self, clock: Clock, *, ping: Callable[[], None], dead: Callable[[float], None]) -> None:
        """`dead` is called, once, with the seconds without an answer."""
        self._clock = clock
        self._ping = ping
        self._dead = dead
        self._every_s = 0.0
        self._timer: Timer | None = None
        self.heard = True
        """Set it whenever something came in."""
        self.answered = True
        """Set it whenever that was an answer to a ping."""
        self._unanswered = 0
        """Pings since the last answer."""

    def start(self, keepalive_s: float) -> None:
        """Ping from now on; with 0 never, as MQTT has it."""
        self._every_s = keepalive_s / PINGS
        if self._every_s:
            self._beat()

    def stop(self) -> None:
        """Neither ping nor give up any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = None
        if not self.heard:
            self._dead(self._every_s)
            return
        self._unanswered = 0 if self.answered else self._unanswered + 1
        if self._unanswered == PINGS:
            self._dead(self._every_s * PINGS)
            return
        self.heard = self.answered = False
        self._timer = self._clock.call_at(self._clock.now() + self._every_s, self._beat)
        self._ping()
