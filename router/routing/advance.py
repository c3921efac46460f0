"""A delivery's way through its route: expiry, `when`, order, steps and choice of targets, up to an attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.core.errors import DeliveryError, ExpressionError
from actors.core.message import Settlement
from router.routing.delivery import DELIVERED, PAST_STEPS, Delivery

if TYPE_CHECKING:
    from router.routing.route import Route


def advance(route: Route, delivery: Delivery) -> None:
    """From wherever it stands to an attempt, or to its end."""
    message = delivery.message
    if message.attributes and (expires := message.expirytime) is not None and expires <= route.clock.time():
        route.end(delivery, Settlement("expired"))
        return
    details = delivery.details
    plan = route.plan
    if details is not None and details.candidates:
        if details.held:
            route.put_on_hold(delivery)
        else:
            route.attempts.place(delivery)
        return
    try:
        if plan.when is not None and (details is None or not details.position) and not plan.when(message):
            route.end(delivery, Settlement("filtered"))
            return
        if plan.order_by is not None and not route.order.enter(delivery):
            return
        if details is not None and details.held:
            route.put_on_hold(delivery)
            return
        if details is not None and details.suspect:
            route.backlog.mark(delivery)
            return
        if details is not None and details.done and route.branches.ended_before(delivery):
            route.end(delivery, DELIVERED)
            return
        if details is not None and details.role == "branch":
            route.branches.go_on(delivery)
            return
        if details is not None and details.former is not None:
            if not details.former.run(delivery):
                return
            details.former, details.position = None, PAST_STEPS
        elif plan.steps and not route.chain.run(delivery):
            return
        names = plan.choose(delivery.message)
    except (ExpressionError, DeliveryError) as error:
        route.chain.failed(delivery, error)
        return
    if len(names) == 1:
        if delivery.details is not None and delivery.details.done:
            names = route.branches.not_done(delivery, names)
            if not names:
                route.end(delivery, DELIVERED)
                return
        route.attempts.begin(delivery, route.targets[names[0]])
    elif not names:
        route.give_up(delivery, "unroutable", "no case of `to` holds, and there is no `else`")
    else:
        route.branches.fan_out(delivery, names)
