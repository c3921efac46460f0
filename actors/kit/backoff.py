"""How long to wait before the next attempt: a pure function of the attempt and a random number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double (`exponential`) or stay (`fixed`), spread by `jitter` so that not all come at once.

    No wait exceeds `max_delay_s`, jitter included: at the limit only the half below is left to spread over.
    """

    kind: Literal["exponential", "fixed"] = "exponential"
    delay_s: float = 1.0
    """Before the second attempt, without jitter."""
    max_delay_s: float = 60.0
    jitter: float = 0.2
    """The part of a wait, from 0 to 1, by which it may be shorter or longer."""

    def delay(self, attempt: int, random: float) -> float:
        """Seconds to wait after `attempt` (from 1) failed; `random` is from 0 to 1."""
        nominal = self.delay_s
        if self.kind == "exponential":
            nominal *= 2.0 ** min(attempt - 1, _DOUBLINGS)
        nominal = min(nominal, self.max_delay_s)
        shortest = nominal * (1.0 - self.jitter)
        longest = min(nominal * (1.0 + self.jitter), self.max_delay_s)
        return shortest + (longest - shortest) * random
