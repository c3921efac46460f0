"""What a route counts, and the sum that must come out."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.message import OUTCOMES, Outcome


class Ledger:
    """Counters of one route since the process started.

    `accepted + split_out = delivered + filtered + deduplicated + merged + dropped + expired + dead_lettered +
    returned + queued + in_flight`, where the last two are counted from mailboxes and live deliveries, never derived. A
    message that a step splits into n counts n - 1 in `split_out`, since the n end in its place.
    """

    __slots__ = (
        "accepted",
        "dead_lettered",
        "deduplicated",
        "delivered",
        "dropped",
        "expired",
        "filtered",
        "late_replies",
        "merged",
        "missing_fields",
        "refused_at_source",
        "replies_lost",
        "retries",
        "returned",
        "split_out",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.split_out = 0
        self.delivered = 0
        self.filtered = 0
        self.deduplicated = 0
        self.merged = 0
        self.dropped = 0
        self.expired = 0
        self.dead_lettered = 0
        self.returned = 0
        self.retries = 0
        self.late_replies = 0
        self.replies_lost = 0
        self.refused_at_source = 0
        """Offers refused for want of room; their messages were never accepted."""
        self.missing_fields = 0
        """`when` and `match` expressions that were false for want of a field."""

    def count(self, outcome: Outcome) -> None:
        setattr(self, outcome, getattr(self, outcome) + 1)

    def balance(self, *, queued: int, in_flight: int) -> Balance:
        """The ledger as it stands, with what is on its way."""
        return Balance(
            accepted=self.accepted,
            split_out=self.split_out,
            outcomes={outcome: getattr(self, outcome) for outcome in OUTCOMES},
            queued=queued,
            in_flight=in_flight,
        )


@dataclass(frozen=True, slots=True)
class Balance:
    """One look at a route's ledger."""

    accepted: int
    split_out: int
    outcomes: dict[Outcome, int]
    queued: int
    in_flight: int

    @property
    def difference(self) -> int:
        """The two sides' difference: zero, or messages were lost (above zero) or made up (below)."""
        return self.accepted + self.split_out - sum(self.outcomes.values()) - self.queued - self.in_flight
