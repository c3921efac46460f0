"""Where a source's messages go: to every route that begins at it, or to none."""

from __future__ import annotations

import asyncio
from typing import Final

from actors.core.clock import Clock
from actors.core.errors import BackPressureError, Reason
from actors.core.events import Events, MessageDeadLettered
from actors.core.message import Message, Receipt, Settlement
from actors.core.redelivery import WHOLE
from router.routing.burial import dead_letter
from router.routing.delivery import DELIVERED
from router.routing.intake import Intake
from router.routing.route import Route
from router.store.dead_letters import DeadLetters

SHUT_RETRY_S: Final = 5.0
"""When whoever was refused because the source is shut may ask again."""


class SourceOutlet:
    """The router's `Outlet`: knows the routes of one source, which change while it runs."""

    def __init__(self, source: str, *, dead_letters: DeadLetters, clock: Clock, events: Events) -> None:
        self._routes: tuple[Route, ...] = ()
        self._only: Intake | None = None
        """Of the one route that most sources have, while it may be offered to."""
        self.refuses = ""
        """Why nothing is taken from this source for now; empty where something may come."""
        self._changed = asyncio.Event()
        """Set, and replaced, whenever its routes change, or it is shut or opened."""
        self._source = source
        self._dead_letters = dead_letters
        self._clock = clock
        self._events = events

    @property
    def routes(self) -> tuple[Route, ...]:
        """Those that begin at the source."""
        return self._routes

    @routes.setter
    def routes(self, routes: tuple[Route, ...]) -> None:
        self._routes = routes
        self._reconsider()

    def _reconsider(self) -> None:
        self._only = self._routes[0].intake if len(self._routes) == 1 and not self.refuses else None
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @property
    def safe(self) -> bool:
        return bool(self.routes) and all(route.plan.durable or route.plan.keeps for route in self.routes)

    @property
    def routed(self) -> bool:
        return bool(self.routes)

    def shut(self, why: str) -> None:
        """Take nothing from this source until it is opened: `why` continues a sentence that begins with its name."""
        self.refuses = why
        self._reconsider()

    def open(self) -> None:
        """Take messages again."""
        self.refuses = ""
        self._reconsider()

    def offer(self, message: Message, receipt: Receipt | None = None) -> None:
        only, routes = self._only, self._routes
        if only is not None:
            only.offer(message, receipt)
        elif self._takes(routes):
            parts = receipt.split_by([route.name for route in routes]) if receipt is not None else [None] * len(routes)
            for route, part in zip(routes, parts, strict=True):
                route.intake.accept(message, part)
        else:
            self.reject(message, receipt, reason="unroutable", error=f"no route begins at {self._source}")

    def offer_again(self, message: Message, receipt: Receipt) -> None:
        redelivery = receipt.redelivery
        if redelivery is None or not self.routes:
            self.offer(message, receipt)
            return
        routes = tuple(route for route in self.routes if WHOLE not in redelivery.done_on(route.name))
        if not routes:
            receipt.settle(DELIVERED)
            return
        self._takes(routes)
        several = len(self.routes) > 1
        parts = receipt.split_by([route.name for route in routes]) if several else [receipt]
        for route, part in zip(routes, parts, strict=True):
            route.intake.accept_again(message, part, redelivery)

    def _takes(self, routes: tuple[Route, ...]) -> bool:
        """Whether there are any; raises `BackPressureError` where one of them, or the source, takes nothing now."""
        if self.refuses:
            raise BackPressureError(f"{self._source} {self.refuses}", route="", retry_after_s=SHUT_RETRY_S)
        for route in routes:
            route.intake.check()
        return bool(routes)

    async def room(self) -> None:
        while True:
            while self.refuses or not self.routes:
                await self._changed.wait()
            waited = await self._room()
            for route in waited:
                # Whoever is next shall not wait for one who may offer nothing.
                route.intake.let_in()
            if self.routes and not self.refuses:
                return

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        while True:
            while self.refuses:
                await self._changed.wait()
            await self._room()
            if not self.refuses:
                break
        self.offer(message, receipt)

    async def _room(self) -> list[Route]:
        """Wait until every route has room, in line; returns those that were waited for.

        Where there is no route there is nothing to wait for.
        """
        waited = []
        full = next((route for route in self.routes if route.intake.waiters or route.intake.obstacle()), None)
        while full is not None:
            await full.intake.room()
            waited.append(full)
            before, full = full, next((route for route in self.routes if route.intake.obstacle()), None)
            if full is not None:
                # Whoever is next may not need the room that is lacking now.
                before.intake.let_in()
        return waited

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
