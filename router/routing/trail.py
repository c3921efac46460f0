"""What has ended lately, on all routes: a ring of rows for whoever traces a message, and how long messages took.

On a message's way it costs one `append`. All that has ended in a turn of the loop is looked at together, when that is
over: a row for each as it ends would cost a tenth of a hop.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from actors.core.clock import Clock
from actors.core.message import Outcome, Settlement
from router.routing.delivery import PAST_STEPS, Delivery, Role

if TYPE_CHECKING:
    from router.routing.plan import RoutePlan

T = TypeVar("T")

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of a histogram's buckets; the last bucket has none."""

LATELY_S: Final = 60.0
MOST_LOOKED_AT: Final = 10_000

REASON_CHARACTERS: Final = 300

PLAIN: Final[frozenset[Outcome]] = frozenset({"delivered", "filtered", "deduplicated", "merged"})
"""Ends of which nobody need hear: under load not all of them are kept."""


class Row(NamedTuple):
    """One message that has ended on one route, or a part or branch of one. Times are monotonic seconds."""

    id: str
    route: str
    target: str | None
    """The last one that it was handed to, or was to be."""
    attempt: int
    accepted: float
    begun: float
    """When its last attempt began; where there was none, the same as `accepted`."""
    ended: float
    outcome: Outcome = "delivered"
    reason: str | None = None
    role: Role = "message"
    steps: tuple[str, ...] = ()
    """Of the route, by their types."""
    position: int = PAST_STEPS
    """How many of them it had behind it."""
    ways: tuple[str, ...] = ()
    """The targets that it went to: of a fan-out all of them, of a branch the one."""
    letter: str | None = None
    """The dead letter that it replayed."""
    source: str = ""
    """By which the message came in."""
    is_part: bool = False
    """Whether a step has made it, by splitting another."""


_ROUTE: Final = Row._fields.index("route")
_ACCEPTED: Final = Row._fields.index("accepted")
_ENDED: Final = Row._fields.index("ended")
_ROLE: Final = Row._fields.index("role")


class Histogram(NamedTuple):
    """How long messages took, from their acceptance to their end."""

    counts: tuple[int, ...]
    """In each bucket, and not in the one before; one more than there are bounds."""
    seconds: float
    """Of all messages together."""


class Endings:
    """What has ended on one route: in this turn of the loop as it is, and until then as counts."""

    __slots__ = ("_counts", "_others", "_seconds", "_trail", "delivered", "plan")

    def __init__(self, plan: RoutePlan, trail: Trail) -> None:
        self.plan = plan
        """By which the route runs now."""
        self.delivered: list[Delivery] = []
        """Simply delivered in this turn; call `begin` where it is empty, and append to it."""
        self._others: list[tuple[Delivery, Outcome, str | None]] = []
        self._trail = trail
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._seconds = 0.0

    def begin(self) -> None:
        """Something ends in this turn: it is to be looked at when the turn is over."""
        self._trail.look_at(self)

    def ended(self, delivery: Delivery, settlement: Settlement) -> None:
        """A message has ended, or a part or branch of one."""
        if not self._others:
            self._trail.look_at(self)
        self._others.append((delivery, settlement.outcome, settlement.reason))

    def fold(self, now: float) -> None:
        """Count what has ended, and hand it to the trail."""
        delivered, others, trail = self.delivered, self._others, self._trail
        # Those that the ledger does not count are not counted here.
        accepted = [delivery.accepted_at for delivery in delivered]
        if others:
            accepted += [delivery.accepted_at for delivery, _, _ in others if delivery.is_message]
        self._count(accepted, now)
        if delivered:
            name, steps = self.plan.name, self.plan.step_names
            trail.keep(
                # Plain tuples, in the order of `Row`, which takes three times as long to make.
                [
                    (
                        one.message.id,
                        name,
                        one.target.name if one.target is not None else None,
                        one.attempt,
                        one.accepted_at,
                        one.enqueued_at,
                        now,
                        "delivered",
                        None,
                        "message",
                        steps,
                        PAST_STEPS,
                        (),
                        None,
                        one.message.source,
                        False,
                    )
                    for one in trail.chosen(delivered, now)
                ]
            )
            delivered.clear()
        if others:
            plain = [one for one in others if one[1] in PLAIN]
            kept = [*trail.chosen(plain, now), *(one for one in others if one[1] not in PLAIN)]
            trail.keep([self._row(*one, now) for one in kept])
            others.clear()

    def histogram(self, now: float) -> Histogram:
        """Of all messages that have ended until now."""
        self.fold(now)
        return Histogram(tuple(self._counts), self._seconds)

    def _count(self, accepted: list[float], now: float) -> None:
        place, counts = len(accepted), self._counts
        self._seconds += max(0.0, place * now - sum(accepted))  # the difference may be a rounding error
        accepted.sort()
        for bucket, bound in enumerate(BOUNDS_S):
            earlier = bisect_left(accepted, now - bound, 0, place)
            counts[bucket] += place - earlier
            place = earlier
            if not place:
                return
        counts[-1] += place

    def _row(self, delivery: Delivery, outcome: Outcome, reason: str | None, now: float) -> Row:
        details = delivery.details
        row = Row(
            delivery.message.id,
            self.plan.name,
            delivery.target.name if delivery.target is not None else None,
            delivery.attempt,
            delivery.accepted_at,
            delivery.enqueued_at,
            now,
            outcome,
            reason[:REASON_CHARACTERS] if reason is not None else None,
            steps=self.plan.step_names,
            source=delivery.message.source,
            position=PAST_STEPS if outcome == "delivered" else 0,
        )
        if details is None:
            return row
        ways = details.ways or ((details.way,) if details.way else ())
        return row._replace(
            role=details.role,
            position=details.position if details.role == "split" else max(row.position, details.position),
            ways=ways,
            letter=details.letter,
            is_part=details.number > 0,
        )


class Trail:
    """The rows of all routes that ended last, bounded by their number and their age. Nothing in it is sorted or
    indexed: whoever looks for a message looks at all of them.

    Where more than `messages` end in a second it would not reach a second back. Of those that ended as they should
    it takes only so many then, evenly, and all others.
    """

    def __init__(self, *, clock: Clock, messages: int = 10_000, age_s: float = 3600.0) -> None:
        """With 0 `messages` nothing is kept, and messages are counted all the same."""
        self.messages = messages
        self.age_s = age_s
        self.left_out = 0
        """Messages that ended and were not taken."""
        self._clock = clock
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=messages)
        self._ending: list[Endings] = []
        """Where something has ended in this turn."""
        self._room = float(messages)
        self._at = clock.now()

    def endings(self, plan: RoutePlan) -> Endings:
        """For a new route."""
        return Endings(plan, self)

    def look_at(self, endings: Endings) -> None:
        """Something has ended there in this turn of the loop."""
        if not self._ending:
            asyncio.get_running_loop().call_soon(self.fold)
        self._ending.append(endings)

    def fold(self) -> None:
        """Look at what has ended."""
        now = self._clock.now()
        ending, self._ending = self._ending, []
        for endings in ending:
            endings.fold(now)

    def chosen(self, ended: list[T], now: float) -> list[T]:
        """Those of them that are to be kept."""
        self._room = min(float(self.messages), self._room + (now - self._at) * self.messages)
        self._at = now
        if len(ended) > self._room:
            step = -(-len(ended) // max(1, int(self._room)))
            kept = ended[::step] if self._room >= 1.0 else []
            self.left_out += len(ended) - len(kept)
            ended = kept
        self._room -= len(ended)
        return ended

    def keep(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """These have ended just now."""
        self._ring.extend(rows)

    def took(self, *, within_s: float = LATELY_S) -> dict[str, list[float]]:
        """By route: how long messages took that have ended lately and are kept, the fastest first.

        Of all routes together the last 10,000 at most.
        """
        self.fold()
        oldest = self._clock.now() - within_s
        found: dict[str, list[float]] = {}
        for row in islice(reversed(self._ring), MOST_LOOKED_AT):
            if row[_ENDED] < oldest:
                break
            if row[_ROLE] in ("message", "fan_out"):
                found.setdefault(row[_ROUTE], []).append(row[_ENDED] - row[_ACCEPTED])
        for each in found.values():
            each.sort()
        return found

    def rows(self, id_: str | None = None) -> list[Row]:
        """All that is kept, in the order in which they ended; with `id_` those alone whose ids begin with it, or that
        it begins with."""
        ring = self._aged()
        if id_ is None:
            return [Row._make(row) for row in ring]
        return [Row._make(row) for row in ring if row[0].startswith(id_) or id_.startswith(row[0])]

    def reach(self) -> tuple[int, float | None]:
        """How many rows there are, and when the first of them ended."""
        ring = self._aged()
        return len(ring), ring[0][_ENDED] if ring else None

    def _aged(self) -> deque[tuple[Any, ...]]:
        self.fold()
        ring, oldest = self._ring, self._clock.now() - self.age_s
        while ring and ring[0][_ENDED] < oldest:
            ring.popleft()
        return ring
