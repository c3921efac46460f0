"""What became of the messages of a load test: sent, acknowledged, arrived, and how long that took."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

SHOWN_MISSING: Final = 10


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long something took, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, measured_s: Sequence[float]) -> Latencies | None:
        """By nearest rank: each is one that was measured. None where nothing was."""
        if not measured_s:
            return None
        ordered = sorted(measured_s)
        p50_s, p95_s, p99_s = (ordered[ceil(len(ordered) * percent / 100) - 1] for percent in (50, 95, 99))
        return cls(p50_s, p95_s, p99_s, ordered[-1])

    def as_dict(self) -> dict[str, float]:
        return {"p50": self.p50_s, "p95": self.p95_s, "p99": self.p99_s, "max": self.max_s}


@dataclass(frozen=True, slots=True)
class Result:
    """How a load test ended."""

    messages: int
    acknowledged: int
    arrived: int | None
    """None: nobody has looked."""
    repeated: int
    missing: int
    missing_ids: tuple[str, ...]
    """The first of them."""
    refused: dict[str, int]
    """By reason."""
    postponed: int
    """How often somebody asked to come later."""
    seconds: float
    acknowledging: Latencies | None
    arriving: Latencies | None

    @property
    def proved(self) -> int:
        """Messages that are known to have got there."""
        return self.messages - self.missing

    @property
    def per_second(self) -> float:
        return self.proved / self.seconds if self.seconds > 0 else 0.0


class Tally:
    """Keeps account of numbered messages. The time of each is taken from when it was sent."""

    def __init__(self, run: str, messages: int, *, watched: bool, now: Callable[[], float]) -> None:
        """`run` begins the ids of this test and of no other; `watched` says that arrivals are looked for."""
        self.messages = messages
        self.acknowledged = 0
        self.arrived = 0
        self.repeated = 0
        self.postponed = 0
        self.changed_at = now()
        """When something was last acknowledged, or last arrived."""
        self._run = run
        self._id = re.compile(rf"{re.escape(run)}-(\d{{1,9}})(?!\d)")
        self._watched = watched
        self._now = now
        self._began_at = now()
        self._sent_at: list[float | None] = [None] * messages
        self._acknowledged_s: list[float | None] = [None] * messages
        self._arrived_s: list[float | None] = [None] * messages
        self._refused: dict[str, int] = {}

    @property
    def proved(self) -> int:
        """How many are known to have got there."""
        return self.arrived if self._watched else self.acknowledged

    def begin(self) -> None:
        """Take the time from now on."""
        self._began_at = self.changed_at = self._now()

    def id_of(self, number: int) -> str:
        return f"{self._run}-{number}"

    def number_in(self, text: str) -> int | None:
        """The number of the message whose id is in `text`; None where none of this test's is."""
        found = self._id.search(text)
        number = None if found is None else int(found[1])
        return number if number is not None and number < self.messages else None

    def sent(self, number: int) -> None:
        """It is sent now."""
        self._sent_at[number] = self._now()

    def is_acknowledged(self, number: int) -> None:
        sent_at = self._sent_at[number]
        if sent_at is not None and self._acknowledged_s[number] is None:
            self.changed_at = self._now()
            self._acknowledged_s[number] = self.changed_at - sent_at
            self.acknowledged += 1

    def is_postponed(self) -> None:
        """It is to be sent again later; its time goes on."""
        self.postponed += 1

    def is_refused(self, why: str) -> None:
        self._refused[why] = self._refused.get(why, 0) + 1

    def has_arrived(self, number: int) -> None:
        sent_at = self._sent_at[number]
        if sent_at is None:
            return
        if self._arrived_s[number] is not None:
            self.repeated += 1
            return
        self.changed_at = self._now()
        self._arrived_s[number] = self.changed_at - sent_at
        self.arrived += 1

    def result(self) -> Result:
        """The account as it stands; what has not got there by now is missing."""
        proofs = self._arrived_s if self._watched else self._acknowledged_s
        missing = [number for number, took_s in enumerate(proofs) if took_s is None]
        return Result(
            messages=self.messages,
            acknowledged=self.acknowledged,
            arrived=self.arrived if self._watched else None,
            repeated=self.repeated,
            missing=len(missing),
            missing_ids=tuple(map(self.id_of, missing[:SHOWN_MISSING])),
            refused=dict(self._refused),
            postponed=self.postponed,
            seconds=self.changed_at - self._began_at,
            acknowledging=Latencies.of([took_s for took_s in self._acknowledged_s if took_s is not None]),
            arriving=Latencies.of([took_s for took_s in self._arrived_s if took_s is not None]),
        )
