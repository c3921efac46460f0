"""One look at a running router: what its mailboxes, children, ledgers and stores count at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from actors.core.child import Child, State
from actors.core.clock import Clock
from actors.core.errors import Reason
from actors.core.events import (
    AttemptFailed,
    ChangeEnded,
    ChangeFailed,
    Events,
    MessageDeadLettered,
    MessageLost,
    RouteSuspended,
)
from actors.core.family import Family
from actors.core.supervisor import Supervisor
from router.routing.ledger import Balance
from router.routing.route import Route
from router.routing.trail import Histogram
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.pauses import Pause, PauseState
from router.telemetry.event_log import ROUTE
from router.telemetry.mqtt import ConnectionErrors, MqttReading, read_mqtt
from router.telemetry.queues import QueueReading, QueueSamples

ChangeOutcome = Literal["done", "failed"]


class Running(Protocol):
    """What is read: an engine, as far as it is needed here."""

    @property
    def supervisor(self) -> Supervisor: ...
    @property
    def routes(self) -> Mapping[str, Route]: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def events(self) -> Events: ...
    @property
    def pauses(self) -> Mapping[str, Pause]: ...
    @property
    def revision(self) -> int | None: ...


class EventCounts:
    """Counts what can only be learned from events; nothing of it happens while messages are simply delivered."""

    def __init__(self, events: Events) -> None:
        self.attempt_failures: dict[tuple[str, str, Reason], int] = {}
        """By route, target and reason."""
        self.dead_lettered: dict[tuple[str, Reason], int] = {}
        """By route and reason; the route is empty for what came as far as no route."""
        self.suspensions: dict[str, int] = {}
        """By route."""
        self.lost = 0
        self.changes: dict[tuple[str, ChangeOutcome], int] = {}
        """By action and outcome."""
        self.moved = 0
        """Messages that were on their way on the routes that changes touched."""
        self.gaps: dict[str, float] = {}
        """By actor: for how many seconds changes left it out."""
        self.mqtt = ConnectionErrors(events)
        self._unsubscribe = [
            events.subscribe(AttemptFailed, self._attempt_failed),
            events.subscribe(MessageDeadLettered, self._dead_lettered),
            events.subscribe(RouteSuspended, self._suspended),
            events.subscribe(MessageLost, self._lost),
            events.subscribe(ChangeEnded, self._changed),
            events.subscribe(ChangeFailed, self._not_changed),
        ]

    def close(self) -> None:
        self.mqtt.close()
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def forget_others(self, routes: Mapping[str, object], actors: Mapping[str, object]) -> None:
        """Let go of routes and actors that are not there any more, so that a long life does not collect names."""
        failures = self.attempt_failures
        self.attempt_failures = {k: n for k, n in failures.items() if k[0] in routes and k[1] in actors}
        self.gaps = {k: n for k, n in self.gaps.items() if k in actors}
        self.dead_lettered = {k: n for k, n in self.dead_lettered.items() if not k[0] or k[0] in routes}
        self.suspensions = {k: n for k, n in self.suspensions.items() if k in routes}

    def _attempt_failed(self, event: AttemptFailed) -> None:
        failure = (event.route, event.target, event.reason)
        self.attempt_failures[failure] = self.attempt_failures.get(failure, 0) + 1

    def _dead_lettered(self, event: MessageDeadLettered) -> None:
        ending = (event.route, event.reason)
        self.dead_lettered[ending] = self.dead_lettered.get(ending, 0) + 1

    def _suspended(self, event: RouteSuspended) -> None:
        self.suspensions[event.route] = self.suspensions.get(event.route, 0) + 1

    def _lost(self, _: MessageLost) -> None:
        self.lost += 1

    def _changed(self, event: ChangeEnded) -> None:
        self._count_change(event.action, "done")
        self.moved += event.moved
        for actor, seconds in event.gaps:
            self.gaps[actor] = self.gaps.get(actor, 0.0) + seconds

    def _not_changed(self, event: ChangeFailed) -> None:
        self._count_change(event.action, "failed")

    def _count_change(self, action: str, outcome: ChangeOutcome) -> None:
        self.changes[action, outcome] = self.changes.get((action, outcome), 0) + 1


@dataclass(frozen=True, slots=True)
class MailboxReading:
    """How full a mailbox is and was."""

    depth: int
    capacity: int
    high_water: int
    oldest_age_s: float

    @classmethod
    def of(cls, child: Child) -> MailboxReading:
        mailbox = child.mailbox
        return cls(len(mailbox), mailbox.capacity, mailbox.high_water, mailbox.oldest_age_s or 0.0)


@dataclass(frozen=True, slots=True)
class ActorReading:
    """One actor, and the attempts at delivering to it."""

    name: str
    state: State
    available: bool
    paused: PauseState | None
    restarts: int
    mailbox: MailboxReading
    lobby: int
    in_hand: int
    handled: int
    failed: int
    dropped: int
    started: int
    succeeded: int
    refused: int
    unknown: int
    late: int
    in_flight: int
    children: int
    """That it has started for itself, such as one for each client."""
    children_started: int
    children_counts: Mapping[str, int]
    """What became of their messages."""

    @classmethod
    def of(cls, child: Child, family: Family | None = None, pause: Pause | None = None) -> ActorReading:
        mailbox = child.mailbox
        return cls(
            name=child.name,
            state=child.state,
            available=child.closed is None,
            paused=pause.state if pause is not None else None,
            restarts=child.restarts,
            mailbox=MailboxReading.of(child),
            lobby=len(mailbox.lobby),
            in_hand=len(mailbox.in_hand),
            handled=mailbox.handled,
            failed=mailbox.failed,
            dropped=mailbox.dropped,
            started=child.started,
            succeeded=child.succeeded,
            refused=child.refused,
            unknown=child.unknown,
            late=child.late,
            in_flight=child.in_flight,
            children=len(family) if family is not None else 0,
            children_started=family.started if family is not None else 0,
            children_counts=family.counts() if family is not None else {},
        )


@dataclass(frozen=True, slots=True)
class RouteReading:
    """One route, and its ledger."""

    name: str
    state: State
    paused: PauseState | None
    restarts: int
    mailbox: MailboxReading
    balance: Balance
    latency: Histogram
    backlog: int
    retrying: int
    suspended: int
    on_hold: int
    held_back: bool
    retries: int
    late_replies: int
    replies_lost: int
    refused_at_source: int
    missing_fields: int

    @classmethod
    def of(cls, route: Route, child: Child, pause: Pause | None = None, *, now: float) -> RouteReading:
        ledger = route.ledger
        return cls(
            name=route.name,
            state=child.state,
            paused=pause.state if pause is not None else None,
            restarts=child.restarts,
            mailbox=MailboxReading.of(child),
            balance=route.balance(),
            latency=route.endings.histogram(now),
            backlog=route.backlog.size,
            retrying=len(route.attempts.retries),
            suspended=len(route.attempts.suspended),
            on_hold=len(route.on_hold),
            held_back=route.under_way.held_back,
            retries=ledger.retries,
            late_replies=ledger.late_replies,
            replies_lost=ledger.replies_lost,
            refused_at_source=ledger.refused_at_source,
            missing_fields=ledger.missing_fields,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole router at one turn of the loop, so that ledgers add up."""

    actors: tuple[ActorReading, ...]
    routes: tuple[RouteReading, ...]
    journal_rows: int
    journal_bytes: int
    dead_letters: int
    dead_letter_bytes: int
    attempt_failures: Mapping[tuple[str, str, Reason], int]
    dead_lettered: Mapping[tuple[str, Reason], int]
    suspensions: Mapping[str, int]
    lost: int
    revision: int | None
    changes: Mapping[tuple[str, ChangeOutcome], int]
    moved: int
    gaps: Mapping[str, float]
    queues: tuple[QueueReading, ...]
    mqtt: MqttReading


def read(running: Running, counts: EventCounts, queues: QueueSamples) -> Reading:
    """Look once; some microseconds for each actor and route, and more for what a route has under way."""
    children = running.supervisor.children
    routes = running.routes
    counts.forget_others(routes, children)
    pauses, now = running.pauses, running.clock.now()
    return Reading(
        actors=tuple(
            ActorReading.of(child, running.supervisor.families.get(name), pauses.get(name))
            for name, child in children.items()
            if not name.startswith(ROUTE)
        ),
        routes=tuple(
            RouteReading.of(route, children[ROUTE + name], pauses.get(name), now=now)
            for name, route in routes.items()
            if ROUTE + name in children
        ),
        journal_rows=journal_rows(running.journal),
        journal_bytes=running.journal.size_bytes,
        dead_letters=running.dead_letters.count(),
        dead_letter_bytes=running.dead_letters.size_bytes,
        attempt_failures=dict(counts.attempt_failures),
        dead_lettered=dict(counts.dead_lettered),
        suspensions=dict(counts.suspensions),
        lost=counts.lost,
        revision=running.revision,
        changes=dict(counts.changes),
        moved=counts.moved,
        gaps=dict(counts.gaps),
        queues=queues.read(children.values()),
        mqtt=read_mqtt(children.values(), counts.mqtt),
    )


def journal_rows(journal: Journal) -> int:
    """Messages that are in the journal and not settled."""
    return sum(journal.waiting(route) for route in journal.routes())
