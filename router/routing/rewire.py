"""A route goes on by another plan: in one turn of the loop, with all that it has under way."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from actors.core.child import Child
from actors.core.errors import DeliveryError, ExpressionError, Reason, RouterError
from actors.core.message import Settlement
from actors.core.step import Inheriting
from router.routing.delivery import PAST_STEPS, Delivery
from router.routing.plan import RoutePlan
from router.routing.route import Route


def rewire(route: Route, plan: RoutePlan, targets: Mapping[str, Child], *, keeps_order: bool) -> None:
    """Give a route another plan. Call `pump` behind it.

    Nothing is lost, and nothing begins anew: what has steps behind it goes through the ones it is among, and
    where it goes is chosen by the new plan, with its attempt as it was. What a target has in hand ends there,
    within its own timeout, and only what follows is chosen anew. `keeps_order` says that `order_by` is the same.
    """
    again = _taken_back(route, plan, targets)
    if plan.steps is not route.plan.steps:
        _change_steps(route, plan)
    route.become(plan, targets)
    for delivery in (*route.ready, *route.on_hold):
        if delivery.details is not None and delivery.details.candidates and not _replays(delivery, plan):
            delivery.choose_anew()
    free: list[Delivery] = []
    if not keeps_order:
        waiting = set(route.order)
        under_way = [delivery for delivery in route.under_way if delivery not in waiting]
        free = route.order.rekey(plan.order_by, [*again, *under_way])
    route.ready.extendleft(reversed(again))
    route.ready.extend(free)


def retarget(route: Route, targets: Mapping[str, Child]) -> None:
    """Other actors stand for names that a route leads to; its plan stays. Call `pump` behind it.

    What waits in an actor's mailbox is for whoever replaces that to hand over, and what waited for the actor
    itself goes on at once.
    """
    attempts, before = route.attempts, route.targets
    again = []
    for _, _, delivery in sorted(attempts.retries):
        details = delivery.more()
        name = details.candidates[details.candidate] if details.candidates else None
        if name is not None and targets[name] is not before[name]:
            again.append(delivery)
    moved = set(again)
    attempts.retries = [entry for entry in attempts.retries if entry[2] not in moved]
    heapq.heapify(attempts.retries)
    again.extend(attempts.suspension.take_all())
    route.become(route.plan, targets)
    route.ready.extendleft(reversed(again))


def bury_all(route: Route, why: str) -> None:
    """Make dead letters of all that a route has under way, and let nothing go on.

    What its source sends again is given back to that, where an attempt is left.

    What waits behind these comes to light by it: the next of a key, the next part, copies of a message. So call
    it again until nothing is left.
    """
    route.paused = True
    attempts = route.attempts
    for delivery in tuple(attempts.running):
        target = delivery.target
        assert target is not None, "its attempt is under way"
        del attempts.running[delivery]
        if target.mailbox.withdraw(delivery) in ("lobby", "queued"):
            target.started -= 1
            _bury(route, delivery, "unroutable", why)
        else:
            target.unknown += 1
            following = delivery.successor()
            following.target = target
            text = f"{why}, and {target.name} had not answered"
            if route.plan.retry.on_unknown == "retry":
                _bury(route, following, "unknown", text)
            else:
                route.give_up(following, "unknown", text)
    held = route.under_way.held
    for delivery in held:
        route.holder(delivery).let_go(delivery)
    waiting = [
        *held,
        *(delivery for _, _, delivery in attempts.retries),
        *attempts.suspended,
        *attempts.pausing,
        *route.ready,
        *route.on_hold,
        *route.mailbox.messages,
    ]
    route.on_hold.clear()
    for line in (attempts.retries, attempts.suspended, attempts.pausing, route.ready, route.mailbox.messages):
        line.clear()
    for envelope in waiting:
        assert isinstance(envelope, Delivery), "a route's mailbox holds nothing else"
        _bury(route, envelope, "unroutable", why)


def _bury(route: Route, delivery: Delivery, reason: Reason, why: str) -> None:
    redelivery, receipt = delivery.redelivery, delivery.receipt
    if redelivery is not None and redelivery.is_last and reason == "unroutable" and receipt is not None:
        # No target has seen it: its last attempt is still to come, on another route.
        delivery.receipt = None
        route.end(delivery, Settlement("returned", why))
        receipt.refuse(RouterError(why))
    elif redelivery is None or redelivery.is_last or (delivery.details is not None and delivery.details.unrepeatable):
        route.give_up(delivery, reason, why)
    else:
        route.give_back(delivery, reason, why)


def _replays(delivery: Delivery, plan: RoutePlan) -> bool:
    """Whether it is a dead letter on its way to the target that failed, which the route still leads to."""
    details = delivery.more()
    return details.letter is not None and details.candidates[details.candidate] in plan.targets


def _taken_back(route: Route, plan: RoutePlan, targets: Mapping[str, Child]) -> list[Delivery]:
    """What no target has in hand yet and is chosen anew at once, in its order.

    A retry keeps its time where it leads to the same actor as before, since that is the one that asked for
    the pause.
    """
    attempts = route.attempts
    retries = sorted(attempts.retries)
    again = [delivery for _, _, delivery in retries if not _leads_on(route, delivery, plan, targets)]
    moved = set(again)
    attempts.retries = [entry for entry in retries if entry[2] not in moved]
    heapq.heapify(attempts.retries)
    for _, _, delivery in attempts.retries:
        delivery.choose_anew()
    again.extend(attempts.suspension.take_all())
    again.extend(attempts.pausing)
    attempts.pausing.clear()
    for delivery in tuple(attempts.running):
        target = delivery.target
        assert target is not None, "its attempt is under way"
        if target.mailbox.withdraw(delivery) in ("lobby", "queued"):
            del attempts.running[delivery]
            # It was never tried there: its attempt is still to come.
            target.started -= 1
            again.append(delivery)
        else:
            delivery.more().stale = True
            delivery.more().position = PAST_STEPS
    for delivery in again:
        delivery.choose_anew()
    return again


def _leads_on(route: Route, delivery: Delivery, plan: RoutePlan, targets: Mapping[str, Child]) -> bool:
    """Whether a retry leads to the actor that it was to lead to."""
    details = delivery.more()
    if not details.candidates:
        return False
    name = details.candidates[details.candidate]
    try:
        return name in plan.choose(delivery.message) and targets.get(name) is route.targets.get(name)
    except (ExpressionError, DeliveryError):
        # It is told when the retry is due, as for any other message.
        return True


def _change_steps(route: Route, plan: RoutePlan) -> None:
    """What is among the steps goes through them to their end; the new ones take over what these remember."""
    old = route.chain
    for delivery in [*route.under_way, *route.mailbox.messages]:
        assert isinstance(delivery, Delivery)
        details = delivery.details
        if details is None or details.former is not None or details.position >= PAST_STEPS:
            continue
        if delivery in old.held or 0 < details.position < len(old.steps):
            details.former = old
        elif details.position:
            details.position = PAST_STEPS
    before = [step for step in old.steps if not any(step is other for other in plan.steps)]
    for step in plan.steps:
        if isinstance(step, Inheriting) and not any(step is other for other in old.steps):
            for predecessor in before:
                if type(predecessor) is type(step) and step.inherit(predecessor):
                    before.remove(predecessor)
                    break
