"""What a fault run counts: acknowledged, delivered, dead-lettered, lost, repeated, out of order."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery, as a sink saw it."""

    id: str
    key: str
    sequence: int
    idempotency_key: str
    at: float
    """Monotonic seconds."""


@dataclass(slots=True)
class Account:
    """The producer writes down what was acknowledged, the sink what it received; `verdict` compares them."""

    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Message id: its key and its number among those of the key."""
    received: list[Received] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    """Ids of dead letters."""
    refused: int = 0
    """Requests that were not answered 2xx; nothing is promised about them."""
    faults: list[float] = field(default_factory=list)
    """When a fault was made, monotonic seconds."""
    recoveries_s: list[float] = field(default_factory=list)
    """How long each restart took until requests were answered."""

    def verdict(self) -> Verdict:
        first: dict[str, Received] = {}
        repeated: list[Received] = []
        for delivery in self.received:
            if delivery.id in first:
                repeated.append(delivery)
            else:
                first[delivery.id] = delivery
        return Verdict(
            acknowledged=len(self.acknowledged),
            delivered=len(first),
            dead=len(self.dead),
            refused=self.refused,
            lost=tuple(sorted(self.acknowledged.keys() - first.keys() - self.dead)),
            repeated=len(repeated),
            other_key=tuple(sorted(one.id for one in repeated if one.idempotency_key != first[one.id].idempotency_key)),
            unexplained=tuple(sorted(one.id for one in repeated if not self._near_a_fault(first[one.id], one))),
            disordered=self._disordered(list(first.values())),
            slowest_recovery_s=max(self.recoveries_s, default=0.0),
        )

    def _near_a_fault(self, first: Received, again: Received) -> bool:
        """A repetition is explained by a fault between the two deliveries that hit the first one in flight."""
        return any(first.at - 1.0 <= fault <= again.at and fault - first.at < IN_FLIGHT_S for fault in self.faults)

    @staticmethod
    def _disordered(firsts: list[Received]) -> tuple[str, ...]:
        last: dict[str, int] = {}
        wrong = []
        for delivery in firsts:
            if delivery.sequence < last.get(delivery.key, -1):
                wrong.append(delivery.id)
            last[delivery.key] = max(delivery.sequence, last.get(delivery.key, -1))
        return tuple(wrong)


IN_FLIGHT_S = 1.0
"""How long before a kill a message may have been delivered whose deletion from the journal was not on disk yet."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A run's outcome. `lost`, `other_key`, `unexplained` and `disordered` must be empty."""

    acknowledged: int
    delivered: int
    dead: int
    refused: int
    lost: tuple[str, ...]
    repeated: int
    other_key: tuple[str, ...]
    """Repeated under another idempotency key."""
    unexplained: tuple[str, ...]
    """Repeated, and no fault hit the first delivery in flight."""
    disordered: tuple[str, ...]
    slowest_recovery_s: float

    @property
    def holds(self) -> bool:
        return not (self.lost or self.other_key or self.unexplained or self.disordered)

    def __str__(self) -> str:
        text = (
            f"{self.acknowledged} acknowledged, {self.delivered} delivered, {self.dead} dead letters, "
            f"{len(self.lost)} lost, {self.repeated} repeated, {len(self.disordered)} out of order, "
            f"{self.refused} refused; slowest recovery {self.slowest_recovery_s:.2f} s"
        )
        for name in ("lost", "other_key", "unexplained", "disordered"):
            if ids := getattr(self, name):
                text += f"\n  {name}: {', '.join(ids[:10])}{' …' if len(ids) > 10 else ''}"
        return text
