"""What an operator does to single messages of a route: hold them, release them, drop them.

Holds are kept in memory alone: after a restart of the router, what was held goes on.
"""

from __future__ import annotations

import heapq

from actors.core.errors import ControlError
from actors.core.message import Settlement
from router.routing.delivery import Delivery
from router.routing.route import Route


def find(route: Route, message_id: str) -> list[Delivery]:
    """What a route has of a message: several where it goes to several targets, or came more than once.

    What is in the journal alone is not found.
    """
    return [
        delivery
        for delivery in [*route.mailbox.messages, *route.under_way]
        if isinstance(delivery, Delivery) and delivery.message.id == message_id and not _is_parent(delivery)
    ]


def hold(route: Route, delivery: Delivery) -> None:
    """Let it go no further, until `release`.

    It keeps its place, its attempts and its key, so that those behind it in its order wait. What waits for a
    target is taken back from there; what a target has in hand ends there, and is refused: `ControlError`.
    """
    if delivery in route.burial.pending:
        raise ControlError(f"message {delivery.message.id} is becoming a dead letter")
    if delivery not in route.attempts.running:
        delivery.more().held = True
        return
    _take_back(route, delivery)
    # It was chosen where it goes, and steps are not run again.
    route.attempts.with_candidates(delivery).held = True
    route.put_on_hold(delivery)
    route.pump()


def release(route: Route, delivery: Delivery) -> None:
    """Let it go on from where it was held; raises `ControlError` where it is not held."""
    details = delivery.details
    if details is None or not details.held:
        raise ControlError(f"message {delivery.message.id} is not held")
    details.held = False
    if delivery in route.on_hold:
        del route.on_hold[delivery]
        route.ready.append(delivery)
        route.pump()


def drop(route: Route, delivery: Delivery, reason: str) -> None:
    """End it as `dropped`, with this reason, for good.

    Raises `ControlError` where a target has it in hand, a step holds it, or something is being written about it.
    """
    message_id, settlement = delivery.message.id, Settlement("dropped", reason)
    if delivery in route.attempts.running:
        _take_back(route, delivery)
    elif delivery in route.burial.pending:
        raise ControlError(f"message {message_id} is becoming a dead letter")
    elif delivery in route.backlog.marking:
        raise ControlError(f"message {message_id} is about to go on: try again")
    elif delivery in route.under_way.held:
        raise ControlError(f"a step of {route.name} has message {message_id}, and it ends or goes on there")
    elif route.branches.end_waiting(delivery, settlement):
        return
    elif not _withdraw(route, delivery):
        raise ControlError(f"message {message_id} does not wait in {route.name}")
    route.end(delivery, settlement)
    route.pump()


def _is_parent(delivery: Delivery) -> bool:
    """Whether parts or branches of it are under way in its stead."""
    return delivery.details is not None and delivery.details.pending > 0


def _take_back(route: Route, delivery: Delivery) -> None:
    """Take it out of its target's mailbox: its attempt is still to come."""
    target = delivery.target
    assert target is not None, "its attempt is under way"
    if target.mailbox.withdraw(delivery) not in ("lobby", "queued"):
        raise ControlError(f"{target.name} has message {delivery.message.id} in hand: it ends there")
    del route.attempts.running[delivery]
    target.started -= 1


def _withdraw(route: Route, delivery: Delivery) -> bool:
    """Take it out of wherever it waits in the route; false where it does not."""
    if delivery in route.on_hold:
        del route.on_hold[delivery]
        return True
    attempts = route.attempts
    if attempts.suspension.withdraw(delivery):
        return True
    for line in (route.ready, attempts.pausing):
        if delivery in line:
            line.remove(delivery)
            return True
    for entry in attempts.retries:
        if entry[2] is delivery:
            attempts.retries.remove(entry)
            heapq.heapify(attempts.retries)
            return True
    return route.order.withdraw(delivery) or route.mailbox.withdraw(delivery) is not None
