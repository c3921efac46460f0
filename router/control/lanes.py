"""Where messages are, in an actor or a route: each with what holds it, found without taking anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from actors.core.child import Child
from actors.core.family import Member
from actors.core.mailbox import Envelope, Mailbox
from actors.core.message import Message
from router.routing.delivery import Delivery
from router.routing.route import Route

Lane = Literal["waiting", "in_flight", "retrying", "suspended", "held"]

State = Literal[
    "queued",
    "lobby",
    "in_hand",
    "attempting",
    "marking",
    "dead_lettering",
    "retrying",
    "suspended",
    "limited",
    "ready",
    "held",
    "ordered",
    "on_hold",
]
"""Queued in the mailbox; waiting for room in it; in the actor's hand; an attempt runs; its mark in the journal is
committed; its dead letter is; waiting for its next attempt; for a target that is away; for the target's `limit`;
for a place among those that run; for a step that holds it; for the one before it in its order; for an operator who
holds it."""


class Entry(NamedTuple):
    """One message, where it is."""

    lane: Lane
    state: State
    envelope: Envelope
    due: float | None = None
    """Monotonic seconds of its next attempt, for those that wait for one."""

    @property
    def message(self) -> Message | None:
        """None for what is no message, such as a call of pykka's."""
        found = self.envelope.message
        return found if isinstance(found, Message) else None


def of_route(route: Route) -> Iterator[Entry]:
    """Everything a route has, apart from what is in its journal alone. Parents of parts and branches are left
    out: the parts and branches stand for them."""
    attempts = route.attempts
    for envelope in route.mailbox:
        yield Entry("waiting", "queued", envelope)
    for delivery in attempts.running:
        yield Entry("in_flight", "attempting", delivery)
    for delivery in route.backlog.marking:
        yield Entry("in_flight", "marking", delivery)
    for delivery in route.burial.pending:
        yield Entry("in_flight", "dead_lettering", delivery)
    yield from _retrying(route)
    for delivery in attempts.suspended:
        yield Entry("suspended", "suspended", delivery)
    for delivery in attempts.pausing:
        yield Entry("suspended", "limited", delivery)
    for delivery in route.ready:
        yield Entry("held", "ready", delivery)
    for delivery in route.on_hold:
        yield Entry("held", "on_hold", delivery)
    for delivery in route.under_way.held:
        yield Entry("held", "held", delivery)
    for delivery in (*route.order, *route.branches):
        if delivery.details is None or not delivery.details.pending:
            yield Entry("held", "ordered", delivery)


def of_actor(child: Child, routes: Iterable[Route]) -> Iterator[Entry]:
    """Everything on its way to an actor: in its mailbox, and what `routes` keep for it until later."""
    yield from _of_mailbox(child.mailbox)
    for route in routes:
        if child.name not in route.plan.targets:
            continue
        for entry in _retrying(route):
            if next_target(entry.envelope) == child.name:
                yield entry
        for delivery in route.attempts.suspended:
            if next_target(delivery) == child.name:
                yield Entry("suspended", "suspended", delivery)
        for delivery in route.attempts.pausing:
            if next_target(delivery) == child.name:
                yield Entry("suspended", "limited", delivery)
        for delivery in route.on_hold:
            if next_target(delivery) == child.name:
                yield Entry("held", "on_hold", delivery)


def of_source(name: str, routes: Iterable[Route]) -> Iterator[Entry]:
    """Everything that came in at a source and is in a route."""
    for route in routes:
        if name in route.plan.sources:
            for entry in of_route(route):
                if isinstance(entry.envelope, Delivery) and entry.envelope.root.message.source == name:
                    yield entry


def of_member(member: Member) -> Iterator[Entry]:
    """Everything on its way to a child that an actor has started for itself."""
    return _of_mailbox(member.mailbox)


def _of_mailbox(mailbox: Mailbox) -> Iterator[Entry]:
    for envelope in mailbox:
        yield Entry("waiting", "queued", envelope)
    for envelope in mailbox.lobby:
        # The others there are sources that wait for room, with no message yet.
        if envelope.message is not None:
            yield Entry("waiting", "lobby", envelope)
    for envelope in mailbox.in_hand:
        yield Entry("in_flight", "in_hand", envelope)


def next_target(envelope: Envelope) -> str | None:
    """The actor it is at, or will be tried at next; None where that is not decided."""
    if not isinstance(envelope, Delivery):
        return None
    details = envelope.details
    if details is not None and details.candidates:
        return details.candidates[min(details.candidate, len(details.candidates) - 1)]
    return envelope.target.name if envelope.target is not None else None


def age_s(envelope: Envelope, *, now: float, wall: float) -> float:
    """Since it came in; for what bears no time, since it came here."""
    message = envelope.message
    came_in = message.time if isinstance(message, Message) else 0.0
    return max(0.0, wall - came_in if came_in else now - envelope.enqueued_at)


def oldest_age_s(route: Route, *, now: float, wall: float) -> float | None:
    """The age of the oldest message a route has in memory; None where it has none."""
    first = next(iter(route.mailbox), None)
    found = [*route.under_way, *(() if first is None else (first,))]
    return max((age_s(envelope, now=now, wall=wall) for envelope in found), default=None)


def _retrying(route: Route) -> Iterator[Entry]:
    for due, _, delivery in sorted(route.attempts.retries, key=lambda retry: retry[:2]):
        yield Entry("retrying", "retrying", delivery, due)
