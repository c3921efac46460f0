"""Every metric there is: its name, its kind, its meaning, and where it is found in a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar, get_args

from actors.core.child import State
from actors.core.message import OUTCOMES
from router import __version__
from router.store.pauses import PauseState
from router.telemetry.mqtt import REFERENCE as MQTT
from router.telemetry.queues import REFERENCE as QUEUES
from router.telemetry.reading import ActorReading, Reading, RouteReading

R = TypeVar("R")

Sample = tuple[tuple[str, ...], float]
"""Values of the labels, and the metric's."""

Kind = Literal["gauge", "counter", "histogram"]

STATES: Final[tuple[State, ...]] = get_args(State)
PAUSES: Final[tuple[PauseState, ...]] = get_args(PauseState)


@dataclass(frozen=True, slots=True)
class Family(Generic[R]):
    """One metric: what it is called, what it says, and how it is found in an `R`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    samples: Callable[[R], Iterable[Sample]]


def _one(name: str, kind: Kind, help: str, value: Callable[[R], float]) -> Family[R]:
    """A family with one value for each actor or route, whose name is its only label."""
    return Family(name, kind, help, (), lambda reading: [((), value(reading))])


def _gauge(name: str, help: str, value: Callable[[R], float]) -> Family[R]:
    return _one(name, "gauge", help, value)


def _total(name: str, help: str, value: Callable[[R], float]) -> Family[R]:
    return _one(name, "counter", help, value)


ACTORS: Final[tuple[Family[ActorReading], ...]] = (
    Family(
        "router_actor_state",
        "gauge",
        "1 for the state the actor is in, 0 for the others.",
        ("state",),
        lambda a: [((state,), float(a.state == state)) for state in STATES],
    ),
    _gauge(
        "router_actor_available",
        "1 while the actor takes deliveries; 0 while they are refused at once, since it or its remote end is away.",
        lambda a: a.available,
    ),
    Family(
        "router_actor_paused",
        "gauge",
        "1 while an operator has paused or drained the actor.",
        ("state",),
        lambda a: [((state,), float(a.paused == state)) for state in PAUSES],
    ),
    _total("router_actor_restarts_total", "Times the actor was started again after it ended.", lambda a: a.restarts),
    _gauge("router_actor_mailbox_depth", "Messages that wait in the actor's mailbox.", lambda a: a.mailbox.depth),
    _gauge(
        "router_actor_mailbox_capacity", "Messages that may wait in the actor's mailbox.", lambda a: a.mailbox.capacity
    ),
    _gauge(
        "router_actor_mailbox_high_water",
        "The most that ever waited in the actor's mailbox.",
        lambda a: a.mailbox.high_water,
    ),
    _gauge(
        "router_actor_mailbox_oldest_age_seconds",
        "How long the oldest message has waited in the actor's mailbox; 0 where none waits.",
        lambda a: a.mailbox.oldest_age_s,
    ),
    _gauge("router_actor_mailbox_lobby", "Deliveries that wait for room in the actor's mailbox.", lambda a: a.lobby),
    _gauge("router_actor_in_hand", "Messages the actor is working on.", lambda a: a.in_hand),
    Family(
        "router_actor_messages_total",
        "counter",
        "Messages the actor took from its mailbox, or that its mailbox gave up, by what became of them.",
        ("outcome",),
        lambda a: [(("handled",), a.handled), (("failed",), a.failed), (("dropped",), a.dropped)],
    ),
    _total(
        "router_actor_deliveries_started_total",
        "Attempts at delivering to the actor; each is in flight, or in router_actor_deliveries_total.",
        lambda a: a.started,
    ),
    Family(
        "router_actor_deliveries_total",
        "counter",
        "Attempts at delivering to the actor that ended, by how they ended.",
        ("outcome",),
        lambda a: [(("succeeded",), a.succeeded), (("refused",), a.refused), (("unknown",), a.unknown)],
    ),
    _gauge(
        "router_actor_deliveries_in_flight",
        "Attempts at delivering to the actor that are under way.",
        lambda a: a.in_flight,
    ),
    _gauge(
        "router_actor_children",
        "Children that the actor has started for itself and that run, such as one for each client.",
        lambda a: a.children,
    ),
    _total(
        "router_actor_children_started_total",
        "Children that the actor has ever started for itself.",
        lambda a: a.children_started,
    ),
    Family(
        "router_actor_children_messages_total",
        "counter",
        "Messages that the actor's children took, or that their mailboxes gave up, by what became of them.",
        ("outcome",),
        lambda a: [((outcome,), count) for outcome, count in a.children_counts.items()],
    ),
    _total(
        "router_actor_late_answers_total", "Answers of the actor to attempts that had ended before.", lambda a: a.late
    ),
)

ROUTES: Final[tuple[Family[RouteReading], ...]] = (
    Family(
        "router_route_state",
        "gauge",
        "1 for the state the route's actor is in, 0 for the others.",
        ("state",),
        lambda r: [((state,), float(r.state == state)) for state in STATES],
    ),
    Family(
        "router_route_paused",
        "gauge",
        "1 while an operator has paused or drained the route.",
        ("state",),
        lambda r: [((state,), float(r.paused == state)) for state in PAUSES],
    ),
    _total(
        "router_route_restarts_total",
        "Times the route was started again after a step crashed it.",
        lambda r: r.restarts,
    ),
    _total("router_route_accepted_total", "Messages the route has accepted.", lambda r: r.balance.accepted),
    _total(
        "router_route_split_out_total",
        "Messages that steps of the route have added by splitting others.",
        lambda r: r.balance.split_out,
    ),
    Family(
        "router_route_messages_total",
        "counter",
        "Messages that have ended on the route, by how they ended.",
        ("outcome",),
        lambda r: [((outcome,), r.balance.outcomes[outcome]) for outcome in OUTCOMES],
    ),
    _gauge(
        "router_route_queued",
        "Messages that wait in the route's mailbox, or behind it in the journal.",
        lambda r: r.balance.queued,
    ),
    _gauge(
        "router_route_in_flight",
        "Messages the route has under way, those that wait for a retry included.",
        lambda r: r.balance.in_flight,
    ),
    _gauge(
        "router_route_ledger_difference",
        "Accepted and split out, less what ended, is queued or is in flight; anything but 0 is a defect.",
        lambda r: r.balance.difference,
    ),
    _gauge("router_route_retrying", "Deliveries that wait for their next attempt.", lambda r: r.retrying),
    _gauge("router_route_suspended", "Deliveries that wait for a target that is away.", lambda r: r.suspended),
    _gauge("router_route_on_hold", "Deliveries that operators hold, and whose turn has come.", lambda r: r.on_hold),
    _gauge("router_route_held_back", "1 while the route takes nothing more from its mailbox.", lambda r: r.held_back),
    _gauge(
        "router_route_mailbox_capacity", "Messages that may wait in the route's mailbox.", lambda r: r.mailbox.capacity
    ),
    _gauge(
        "router_route_mailbox_high_water",
        "The most that ever waited in the route's mailbox.",
        lambda r: r.mailbox.high_water,
    ),
    _gauge(
        "router_route_mailbox_oldest_age_seconds",
        "How long the oldest message has waited in the route's mailbox; 0 where none waits.",
        lambda r: r.mailbox.oldest_age_s,
    ),
    _gauge(
        "router_route_backlog",
        "Messages that are in the journal alone, since the mailbox has no room for them.",
        lambda r: r.backlog,
    ),
    _total("router_route_retries_total", "Attempts that were put off to be repeated.", lambda r: r.retries),
    _total(
        "router_route_refused_at_source_total",
        "Messages that were refused to their source for want of room.",
        lambda r: r.refused_at_source,
    ),
    _total(
        "router_route_late_replies_total", "Replies that came when the asker had given up.", lambda r: r.late_replies
    ),
    _total("router_route_replies_lost_total", "Replies that nobody could be given any more.", lambda r: r.replies_lost),
    _total(
        "router_route_missing_fields_total",
        "Conditions that were false because a message has no such field.",
        lambda r: r.missing_fields,
    ),
)

LATENCY: Final = (
    "router_route_latency_seconds",
    "How long the messages that have ended on the route took, from acceptance to their end.",
)
"""The one histogram, with a label for the route."""

WHOLE: Final[tuple[Family[Reading], ...]] = (
    Family(
        "router_info",
        "gauge",
        "Always 1; the label names the running version.",
        ("version",),
        lambda _: [((__version__,), 1.0)],
    ),
    _gauge("router_journal_rows", "Messages in the journal that are not settled.", lambda w: w.journal_rows),
    _gauge(
        "router_journal_bytes", "Bytes of the messages in the journal that are not settled.", lambda w: w.journal_bytes
    ),
    _gauge("router_dead_letters", "Dead letters in the router's own store.", lambda w: w.dead_letters),
    _gauge(
        "router_dead_letter_bytes",
        "Bytes of the dead letters in the router's own store.",
        lambda w: w.dead_letter_bytes,
    ),
    Family(
        "router_route_attempt_failures_total",
        "counter",
        "Attempts that failed, by target and by the class of the failure.",
        ("route", "target", "reason"),
        lambda w: w.attempt_failures.items(),
    ),
    Family(
        "router_route_dead_lettered_total",
        "counter",
        "Dead letters made since the start; the route is empty for what came as far as no route.",
        ("route", "reason"),
        lambda w: w.dead_lettered.items(),
    ),
    Family(
        "router_route_suspensions_total",
        "counter",
        "Times the route held its sources back because every target was away.",
        ("route",),
        lambda w: [((route,), count) for route, count in w.suspensions.items()],
    ),
    _gauge("router_revision", "The number of the revision that runs; 0 where it has none.", lambda w: w.revision or 0),
    Family(
        "router_changes_total",
        "counter",
        "Changes of the topology while the router runs, by how they came about and whether they were carried out.",
        ("action", "outcome"),
        lambda w: w.changes.items(),
    ),
    _total(
        "router_changes_moved_messages_total",
        "Messages that were on their way on routes when a change touched these.",
        lambda w: w.moved,
    ),
    Family(
        "router_changes_gap_seconds_total",
        "counter",
        "Seconds for which changes left an actor out, since it had to end before its successor could start.",
        ("actor",),
        lambda w: [((actor,), seconds) for actor, seconds in w.gaps.items()],
    ),
    _total(
        "router_messages_lost_total",
        "Messages that disappeared without an end; anything but 0 is a defect.",
        lambda w: w.lost,
    ),
)

PROCESS: Final[tuple[tuple[str, str, str], ...]] = (
    ("process_cpu_seconds_total", "counter", "User and system CPU time spent."),
    ("process_resident_memory_bytes", "gauge", "Resident memory."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory."),
    ("process_start_time_seconds", "gauge", "When the process started, in seconds since the epoch."),
    ("process_open_fds", "gauge", "Open file descriptors."),
    ("process_max_fds", "gauge", "The most file descriptors that may be open."),
)
"""What prometheus-client reads of this process, on Linux: name, kind and meaning."""


def reference() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Every metric for a reference page: name, kind, labels, meaning."""
    return [
        *((f.name, f.kind, ("actor", *f.labels), f.help) for f in ACTORS),
        *((f.name, f.kind, ("route", *f.labels), f.help) for f in ROUTES),
        (LATENCY[0], "histogram", ("route",), LATENCY[1]),
        *((f.name, f.kind, f.labels, f.help) for f in WHOLE),
        *QUEUES,
        *MQTT,
        *((name, kind, (), text) for name, kind, text in PROCESS),
    ]
