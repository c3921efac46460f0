"""One message's way through the router, put together when somebody asks: from the trail of what has ended, from
events, and from what is still under way."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from actors.core.clock import Clock
from actors.core.events import (
    AttemptFailed,
    Events,
    MessageLost,
    ReplyLost,
    RevisionSwitched,
    RouteResumed,
    RouteSuspended,
)
from actors.core.message import Outcome
from router.routing.trail import Row, Trail

What = Literal[
    "accepted",
    "handed_over",
    "attempt_failed",
    "ended",
    "under_way",
    "suspended",
    "resumed",
    "switched",
    "reply_lost",
    "lost",
]
"""A route took it; a target got it; an attempt failed; it ended, or all its parts did; it has not ended; its route
waits for a target, and goes on; another revision runs; its reply reached nobody; it was lost, which is a defect."""

TURNS: Final = 1000
"""Suspensions, resumptions and revisions that are remembered."""

_RANKS: Final[dict[What, int]] = {"accepted": 0, "handed_over": 1, "attempt_failed": 2, "ended": 3}

_PART: Final = re.compile(r"(?:-[0-9]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened to a message, or around it."""

    at: float
    """Monotonic seconds."""
    what: What
    id: str = ""
    """The message's, or that of a part of it; empty for what happened to the route or to the router."""
    route: str = ""
    target: str | None = None
    targets: tuple[str, ...] = ()
    """Several that it went to."""
    attempt: int | None = None
    steps: tuple[str, ...] = ()
    """That it had behind it."""
    step: str | None = None
    """That ended it, or that split it."""
    is_whole: bool = False
    """Whether it was split; it ended with the last of its parts, as the worst of them."""
    outcome: Outcome | None = None
    reason: str | None = None
    error: str | None = None
    retry_in_s: float | None = None
    state: str | None = None
    letter: str | None = None
    """The dead letter that it replays."""
    source: str | None = None
    """By which it came in."""
    revision: int | None = None


class Live(NamedTuple):
    """A message that has not ended, as far as its trace is concerned. Times are monotonic seconds."""

    id: str
    route: str
    accepted: float
    begun: float | None
    """When the attempt began that is under way."""
    target: str | None
    attempt: int
    state: str
    retry_in_s: float | None
    letter: str | None
    source: str
    is_part: bool


class Running(Protocol):
    """What is traced: an engine, as far as it is needed here."""

    @property
    def trail(self) -> Trail: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def events(self) -> Events: ...


class Traces:
    """Remembers what the trail cannot tell. Bounded as that is, by number and age."""

    def __init__(self, running: Running) -> None:
        trail, events = running.trail, running.events
        self._trail = trail
        self._clock = running.clock
        self._of_messages: deque[tuple[float, AttemptFailed | ReplyLost | MessageLost]] = deque(maxlen=trail.messages)
        self._turns: deque[tuple[float, RouteSuspended | RouteResumed | RevisionSwitched]] = deque(maxlen=TURNS)
        self._unsubscribe = []
        if trail.messages:
            self._unsubscribe = [
                events.subscribe(AttemptFailed, self._happened),
                events.subscribe(ReplyLost, self._happened),
                events.subscribe(MessageLost, self._happened),
                events.subscribe(RouteSuspended, self._turned),
                events.subscribe(RouteResumed, self._turned),
                events.subscribe(RevisionSwitched, self._turned),
            ]

    def close(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def way(self, wanted: str, live: Iterable[Live] = ()) -> list[Happening]:
        """What happened to a message, its parts, and what it is a part of, in order; empty where nothing is known."""
        rows, here = self._trail.rows(wanted), list(live)
        ids = _family(wanted, rows, here)
        rows, here = [row for row in rows if row.id in ids], [one for one in here if one.id in ids]
        found = [*_accepted(rows, here)]
        for row in rows:
            found += _of_row(row)
        now = self._clock.now()
        for one in here:
            found += _of_live(one, now)
        oldest = now - self._trail.age_s
        found += (_of_event(at, event) for at, event in self._of_messages if event.message_id in ids and at >= oldest)
        if found:
            found += self._around(rows, here)
        return sorted(found, key=_order)

    def _around(self, rows: Iterable[Row], here: Iterable[Live]) -> Iterator[Happening]:
        """What happened to the routes while it was there, and which revisions began to run meanwhile."""
        spans = [(row.route, row.accepted, row.ended) for row in rows]
        spans += [(one.route, one.accepted, self._clock.now()) for one in here]
        for at, event in self._turns:
            if isinstance(event, RevisionSwitched):
                if any(begin <= at <= end for _, begin, end in spans):
                    yield Happening(at=at, what="switched", revision=event.revision)
            elif any(event.route == route and begin <= at <= end for route, begin, end in spans):
                if isinstance(event, RouteSuspended):
                    yield Happening(at=at, what="suspended", route=event.route, target=event.target, error=event.why)
                else:
                    yield Happening(at=at, what="resumed", route=event.route)

    def _happened(self, event: AttemptFailed | ReplyLost | MessageLost) -> None:
        self._of_messages.append((self._clock.now(), event))

    def _turned(self, event: RouteSuspended | RouteResumed | RevisionSwitched) -> None:
        self._turns.append((self._clock.now(), event))


def _order(happening: Happening) -> tuple[float, int, bool]:
    """By time; what is simultaneous, in the order in which it happens to a message, and the whole behind its parts."""
    several = happening.is_whole or bool(happening.targets)
    return happening.at, _RANKS.get(happening.what, len(_RANKS)), several


def _family(wanted: str, rows: Iterable[Row], here: Iterable[Live]) -> set[str]:
    """The ids of a message, of its parts, and of what it is a part of."""
    ids = {wanted}
    for row in rows:
        if (row.is_part and _is_part(row.id, wanted)) or (row.role == "split" and _is_part(wanted, row.id)):
            ids.add(row.id)
    ids.update(one.id for one in here if one.is_part and _is_part(one.id, wanted))
    return ids


def _is_part(part: str, whole: str) -> bool:
    return part.startswith(whole) and _PART.fullmatch(part, len(whole)) is not None


def _accepted(rows: Iterable[Row], here: Iterable[Live]) -> Iterator[Happening]:
    """Once for each time that a route took it: its parts and branches were accepted with it."""
    began: dict[tuple[str, float], Row | Live] = {}
    both: list[Row | Live] = [*rows, *here]
    for each in both:
        place = each.route, each.accepted
        if place not in began or len(each.id) < len(began[place].id):
            began[place] = each
    letters = {(each.route, each.accepted): each.letter for each in both if each.letter is not None}
    for place, first in began.items():
        yield Happening(
            at=first.accepted,
            what="accepted",
            id=first.id,
            route=first.route,
            source=first.source,
            letter=letters.get(place),
        )


def _of_row(row: Row) -> Iterator[Happening]:
    if row.target is not None and row.role in ("message", "branch") and row.outcome in ("delivered", "dropped"):
        yield Happening(
            at=row.begun,
            what="handed_over",
            id=row.id,
            route=row.route,
            target=row.target,
            attempt=row.attempt,
            steps=row.steps[: row.position] if row.role == "message" else (),
        )
    if row.role == "branch" and row.outcome == "delivered":
        return
    handed = row.target is not None and row.outcome == "delivered"
    ended_by_step = row.target is None and row.role in ("message", "split") and 0 < row.position <= len(row.steps)
    behind = row.position - 1 if ended_by_step else row.position
    yield Happening(
        at=row.ended,
        what="ended",
        id=row.id,
        route=row.route,
        target=row.target if row.role in ("message", "branch") else None,
        targets=row.ways if row.role == "fan_out" else (),
        steps=() if handed and row.role != "fan_out" else row.steps[:behind],
        step=row.steps[row.position - 1] if ended_by_step else None,
        is_whole=row.role == "split",
        outcome=row.outcome,
        reason=row.reason,
    )


def _of_live(one: Live, now: float) -> Iterator[Happening]:
    if one.begun is not None:
        yield Happening(
            at=one.begun, what="handed_over", id=one.id, route=one.route, target=one.target, attempt=one.attempt
        )
    yield Happening(
        at=now,
        what="under_way",
        id=one.id,
        route=one.route,
        target=one.target,
        attempt=one.attempt,
        state=one.state,
        retry_in_s=one.retry_in_s,
    )


def _of_event(at: float, event: AttemptFailed | ReplyLost | MessageLost) -> Happening:
    match event:
        case AttemptFailed():
            return Happening(
                at=at,
                what="attempt_failed",
                id=event.message_id,
                route=event.route,
                target=event.target,
                attempt=event.attempt,
                reason=event.reason,
                error=event.error,
                retry_in_s=event.retry_in_s,
            )
        case ReplyLost():
            return Happening(at=at, what="reply_lost", id=event.message_id, route=event.route)
        case MessageLost():
            return Happening(at=at, what="lost", id=event.message_id or "")
