"""A route's suspension: what waits for targets that are away, until one is back or its time is over."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from actors.core.clock import Clock
from actors.core.events import Events, RouteResumed, RouteSuspended
from actors.core.message import Settlement
from router.routing.delivery import Delivery

if TYPE_CHECKING:
    from router.routing.route import Route


class Suspension:
    """Deliveries whose targets are all away. They use up no attempt, and expire as they would elsewhere."""

    def __init__(self, route: Route, *, clock: Clock, events: Events) -> None:
        self.deliveries: deque[Delivery] = deque()
        """While there are any the route takes nothing more."""
        self._route = route
        self._clock = clock
        self._events = events

    def can_end(self, delivery: Delivery) -> bool:
        """Whether waiting for a target can end: an actor that is switched off does not come back by itself."""
        details, targets = delivery.more(), self._route.targets
        return any(targets[name].state != "disabled" for name in details.candidates[details.candidate :])

    def add(self, delivery: Delivery) -> float:
        """It waits; returns when `expire` is due for it, in monotonic seconds, or infinity."""
        details = delivery.more()
        if not self.deliveries:
            name = details.candidates[details.candidate]
            closed = self._route.targets[name].closed
            self._events.emit(RouteSuspended(self._route.name, name, closed.why if closed is not None else ""))
        self.deliveries.append(delivery)
        # It is in nobody's hands: an outage during which the router dies again and again makes no suspect of it.
        self._route.remember(delivery)
        expires = delivery.message.expirytime
        return math.inf if expires is None else self._clock.now() + max(0.0, expires - self._clock.time())

    def look_again(self) -> None:
        """Let those go on that have a target again."""
        if going := [delivery for delivery in self.deliveries if self._can_go(delivery)]:
            for delivery in going:
                self.deliveries.remove(delivery)
            self._route.ready.extend(going)
            self._tell()

    def take_all(self) -> list[Delivery]:
        """None waits any more: they are chosen anew."""
        taken = list(self.deliveries)
        if taken:
            self.deliveries.clear()
            self._tell()
        return taken

    def withdraw(self, delivery: Delivery) -> bool:
        """Take one out; false where it does not wait here."""
        if delivery not in self.deliveries:
            return False
        self.deliveries.remove(delivery)
        self._tell()
        return True

    def expire(self, now: float) -> float:
        """End those whose time is over; returns when the next one's is, in monotonic seconds, or infinity."""
        wall = self._clock.time()
        soonest = math.inf
        before = len(self.deliveries)
        for delivery in tuple(self.deliveries):
            expires = delivery.message.expirytime
            if expires is None:
                continue
            if expires <= wall:
                self.deliveries.remove(delivery)
                self._route.end(delivery, Settlement("expired"))
            else:
                soonest = min(soonest, expires)
        if len(self.deliveries) < before:
            self._tell()
        return now + soonest - wall

    def _can_go(self, delivery: Delivery) -> bool:
        details, targets = delivery.more(), self._route.targets
        return any(targets[name].closed is None for name in details.candidates[details.candidate :])

    def _tell(self) -> None:
        if not self.deliveries:
            self._events.emit(RouteResumed(self._route.name))
