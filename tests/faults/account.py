"""What a fault run counts: acknowledged, delivered, dead-lettered, lost, repeated, out of order, late."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Fault(NamedTuple):
    """When a fault was made and when it was over, monotonic seconds; of a kill that is the same moment."""

    began: float
    ended: float
    loosens: tuple[str, ...] = ()
    """What keys begin with whose order nobody promises over it."""
    holds_back: tuple[str, ...] = ()
    """What keys begin with that go to a broker which stood still: what it had acknowledged and not handed on yet comes
    behind what went another way meanwhile. It comes once: nobody knew of a need to send it again."""


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery, as a sink saw it."""

    id: str
    key: str
    sequence: int
    idempotency_key: str
    at: float
    """Monotonic seconds."""
    version: int = 0
    """Of the topology that it went through, where a step writes that into it."""


class Refusal(NamedTuple):
    """A request that was not answered 2xx, or not at all."""

    at: float
    """Monotonic seconds, when that was known."""
    why: str


@dataclass(slots=True)
class Account:
    """The producer writes down what was acknowledged, the sink what it received; `verdict` compares them."""

    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Message id: its key and its number among those of the key."""
    sent: dict[str, float] = field(default_factory=dict)
    """When each was first sent, monotonic seconds."""
    accepted: dict[str, float] = field(default_factory=dict)
    """When it was acknowledged, where the producer writes that down too."""
    received: list[Received] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    """Ids of dead letters."""
    beyond: set[str] = field(default_factory=set)
    """Ids that a broker acknowledged to somebody else and forgot before the router had acknowledged them to it."""
    refusals: list[Refusal] = field(default_factory=list)
    """Requests that were not answered 2xx; nothing is promised about their messages."""
    faults: list[Fault] = field(default_factory=list)
    in_flight_s: float = 1.0
    """How long before a fault a message may have been delivered whose delivery somebody did not have on disk yet:
    the router its deletion from the journal, a broker all since its last save."""
    notices_s: list[float] = field(default_factory=list)
    """How long each dead peer took to be noticed."""
    recoveries_s: list[float] = field(default_factory=list)
    """How long after the end of each fault things worked again."""
    delays_s: list[float] = field(default_factory=list)
    """From acceptance to delivery, of messages that had nothing before them while something was changed."""

    @property
    def missing(self) -> set[str]:
        """Ids of what was acknowledged and has not arrived anywhere."""
        return self.acknowledged.keys() - {one.id for one in self.received} - self.dead - self.beyond

    def killed(self, *, loosens: tuple[str, ...] = ()) -> None:
        """Write down that something was killed, now."""
        now = time.monotonic()
        self.faults.append(Fault(now, now, loosens))

    def verdict(self) -> Verdict:
        first: dict[str, Received] = {}
        repeated: list[Received] = []
        for delivery in self.received:
            if delivery.id in first:
                repeated.append(delivery)
            else:
                first[delivery.id] = delivery
        disordered = self._disordered(list(first.values()))
        again = {one.id for one in repeated}
        overtaken = tuple(id for id in disordered if self._is_loosened(first[id], once=id not in again))
        return Verdict(
            acknowledged=len(self.acknowledged),
            delivered=len(first),
            dead=len(self.dead),
            refused=len(self.refusals),
            beyond=len(self.beyond - first.keys()),
            lost=tuple(sorted(self.missing)),
            repeated=len(repeated),
            most_copies=max(Counter(one.id for one in self.received).values(), default=0),
            other_key=tuple(sorted(one.id for one in repeated if one.idempotency_key != first[one.id].idempotency_key)),
            unexplained=tuple(sorted(one.id for one in repeated if not self._near_a_fault(first[one.id], one))),
            overtaken=len(overtaken),
            disordered=tuple(sorted(set(disordered) - set(overtaken))),
            slowest_notice_s=max(self.notices_s, default=0.0),
            slowest_recovery_s=max(self.recoveries_s, default=0.0),
            delay_p50_s=quantile(self.delays_s, 0.5),
            delay_p99_s=quantile(self.delays_s, 0.99),
            delay_max_s=max(self.delays_s, default=0.0),
        )

    def _near_a_fault(self, first: Received, again: Received) -> bool:
        """A repetition is explained by a fault before it that hit the message under way."""
        sent = self.sent.get(first.id, first.at)
        return any(
            fault.began <= again.at and sent <= fault.ended and fault.began - self.in_flight_s < first.at
            for fault in self.faults
        )

    def _is_loosened(self, late: Received, *, once: bool) -> bool:
        """Whether it was under way in a fault over which its order is not promised."""
        sent = self.sent.get(late.id, late.at)
        return any(
            late.key.startswith(fault.loosens + fault.holds_back * once) and sent <= fault.began <= late.at
            for fault in self.faults
        )

    @staticmethod
    def _disordered(firsts: list[Received]) -> tuple[str, ...]:
        last: dict[str, int] = {}
        wrong = []
        for delivery in firsts:
            if delivery.sequence < last.get(delivery.key, -1):
                wrong.append(delivery.id)
            last[delivery.key] = max(delivery.sequence, last.get(delivery.key, -1))
        return tuple(wrong)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that is not below that part of them; 0 where there are none."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)] if values else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A run's outcome. `lost`, `other_key`, `unexplained` and `disordered` must be empty."""

    acknowledged: int
    delivered: int
    dead: int
    refused: int
    beyond: int
    """Forgotten by a broker that had acknowledged them, before the router had: outside the promise."""
    lost: tuple[str, ...]
    repeated: int
    most_copies: int
    """How often the most repeated message came."""
    other_key: tuple[str, ...]
    """Repeated under another idempotency key."""
    unexplained: tuple[str, ...]
    """Repeated, and no fault hit the first delivery in flight."""
    overtaken: int
    """Out of order where no order is promised."""
    disordered: tuple[str, ...]
    slowest_notice_s: float
    slowest_recovery_s: float
    delay_p50_s: float
    """The gap in delivery: from acceptance to delivery, while something was changed."""
    delay_p99_s: float
    delay_max_s: float

    @property
    def holds(self) -> bool:
        return not (self.lost or self.other_key or self.unexplained or self.disordered)

    def __str__(self) -> str:
        text = (
            f"{self.acknowledged} acknowledged, {self.delivered} delivered, {self.dead} dead letters, "
            f"{len(self.lost)} lost, {self.repeated} repeated (at most {self.most_copies} copies), "
            f"{len(self.disordered)} out of order, {self.refused} refused; "
        )
        if self.beyond:
            text += f"{self.beyond} forgotten by the broker before the router had them (outside the promise); "
        if self.overtaken:
            text += f"{self.overtaken} behind later ones (no order is promised there); "
        if self.slowest_notice_s:
            text += f"slowest notice {self.slowest_notice_s:.2f} s, "
        text += f"slowest recovery {self.slowest_recovery_s:.2f} s"
        if self.delay_max_s:
            text += (
                f"; gap in delivery while changing: p50 {self.delay_p50_s * 1000:.1f} ms, "
                f"p99 {self.delay_p99_s * 1000:.1f} ms, longest {self.delay_max_s * 1000:.1f} ms"
            )
        for name in ("lost", "other_key", "unexplained", "disordered"):
            if ids := getattr(self, name):
                text += f"\n  {name}: {', '.join(ids[:10])}{' …' if len(ids) > 10 else ''}"
        return text
