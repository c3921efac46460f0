"""What a route has under way: where each of its live deliveries is, and whether it can go on from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from router.routing.delivery import Delivery

if TYPE_CHECKING:
    from router.routing.route import Route


class UnderWay:
    """Every live delivery of a route that is not in its mailbox, whatever it waits for.

    It is looked up anew in all places at each question, so that a message costs nothing here.
    """

    def __init__(self, route: Route) -> None:
        self._route = route

    def __iter__(self) -> Iterator[Delivery]:
        route = self._route
        attempts = route.attempts
        yield from attempts.running
        yield from attempts.suspended
        yield from attempts.pausing
        for _, _, delivery in attempts.retries:
            yield delivery
        yield from route.ready
        yield from route.on_hold
        yield from self.held
        yield from route.branches
        yield from route.order
        yield from route.backlog.marking
        yield from route.burial.pending

    @property
    def held(self) -> list[Delivery]:
        """What steps hold, or work on."""
        route = self._route
        return [delivery for chain in (route.chain, *route.former) for delivery in chain.held]

    @property
    def held_back(self) -> bool:
        """Whether nothing more is taken from the mailbox for now."""
        route = self._route
        attempts, burial = route.attempts, route.burial
        held = sum(len(chain.held) for chain in (route.chain, *route.former))
        waiting = len(attempts.retries) + held + route.order.waiting + len(burial.pending)
        return bool(attempts.suspended or attempts.pausing or burial.failing or waiting >= route.plan.max_waiting)

    @property
    def quiet(self) -> bool:
        """Whether nothing is on its way."""
        route = self._route
        return not (route.mailbox.messages or route.intake.busy or any(True for _ in self))

    @property
    def waits_for_others(self) -> bool:
        """Whether nothing here can end before a target comes back, or an operator lets it."""
        route = self._route
        attempts = route.attempts
        if attempts.running or route.intake.busy:
            return False
        if attempts.suspended or (route.paused and not route.burial.pending):
            return True
        # What is neither on hold nor in one of these waits behind what is on hold.
        waiting = attempts.retries or attempts.pausing or (route.mailbox.messages and not self.held_back)
        moving = route.ready or self.held or route.backlog.marking or route.burial.pending
        return bool(route.on_hold) and not (waiting or moving)

    def may_end(self, deadline: float) -> bool:
        """Whether it is worth waiting up to `deadline` for what is here to end."""
        route = self._route
        if self.quiet or self.waits_for_others:
            return False
        retries = route.attempts.retries
        if (
            not retries
            or retries[0][0] <= deadline
            or route.intake.busy
            or len([*self]) > len(retries) + len(route.on_hold)
        ):
            return True
        return bool(route.mailbox.messages) and not self.held_back
