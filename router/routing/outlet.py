"""Where a source's messages go: to every route that begins at it, or to none."""

from __future__ import annotations

from actors.core.clock import Clock
from actors.core.errors import BackPressureError, Reason
from actors.core.events import Events, MessageDeadLettered
from actors.core.message import Message, Receipt, Settlement
from router.routing.burial import dead_letter
from router.routing.route import Route
from router.store.dead_letters import DeadLetters


class SourceOutlet:
    """The router's `Outlet`: knows the routes of one source, which change while it runs."""

    def __init__(self, source: str, *, dead_letters: DeadLetters, clock: Clock, events: Events) -> None:
        self.routes: tuple[Route, ...] = ()
        self._source = source
        self._dead_letters = dead_letters
        self._clock = clock
        self._events = events

    @property
    def safe(self) -> bool:
        return bool(self.routes) and all(route.plan.durable for route in self.routes)

    @property
    def routed(self) -> bool:
        return bool(self.routes)

    def offer(self, message: Message, receipt: Receipt | None = None) -> None:
        routes = self.routes
        if len(routes) == 1:
            routes[0].intake.offer(message, receipt)
        elif routes:
            for route in routes:
                route.intake.check()
            parts = receipt.split(len(routes)) if receipt is not None else [None] * len(routes)
            for route, part in zip(routes, parts, strict=True):
                route.intake.accept(message, part)
        else:
            self.reject(message, receipt, reason="unroutable", error=f"no route begins at {self._source}")

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        full = next((route for route in self.routes if route.intake.waiters or route.intake.refusal()), None)
        while full is not None:
            await full.intake.room()
            before, full = full, next((route for route in self.routes if route.intake.refusal()), None)
            if full is not None:
                # Whoever is next may not need the room that is lacking now.
                before.intake.let_in()
        self.offer(message, receipt)

    def reject(self, message: Message, receipt: Receipt | None, *, reason: Reason, error: str) -> None:
        if receipt is None:
            receipt = Receipt()
        letter = dead_letter(message, at=self._clock.time(), route="", reason=reason, error=error)

        def kept(failure: Exception | None) -> None:
            if failure is not None:
                receipt.refuse(BackPressureError(f"dead letters cannot be kept: {failure}", route=""))
                return
            self._events.emit(MessageDeadLettered("", None, message.id, reason, error))
            receipt.settle(Settlement("dead_lettered", f"{reason}: {error}"))

        self._dead_letters.add(letter, None, kept)
