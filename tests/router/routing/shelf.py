"""A source that sends again by itself what failed, as a queue does: small enough to be seen through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.core.errors import BackPressureError, RouterError
from actors.core.message import Message, Receipt, Settlement
from actors.core.redelivery import NOTHING_DONE, Redelivery, Way
from router.routing.outlet import SourceOutlet
from tests.router.routing.harness import System

AGAIN_S = 10.0
"""Its backoff; what the remote end asks for is waited for where that is longer."""


class Job(Receipt):
    """One attempt at one message of a shelf."""

    __slots__ = ("_redelivery", "_shelf", "message")

    def __init__(self, shelf: Shelf, message: Message, redelivery: Redelivery) -> None:
        super().__init__()
        self._shelf = shelf
        self._redelivery = redelivery
        self.message = message

    @property
    def redelivery(self) -> Redelivery:
        return self._redelivery

    def on_settled(self, settlement: Settlement) -> None:
        self._shelf.settled(self, settlement)

    def on_refused(self, error: RouterError) -> None:
        self._shelf.released.append(self.message.id)


class Shelf:
    """Sends again what was returned, with what is done, and remembers how all attempts ended."""

    def __init__(self, router: System, *, attempts: int = 3, source: str = "source") -> None:
        self.attempts = attempts
        self.active: set[str] = set()
        """Ids of what is with the routes."""
        self.endings: dict[str, list[Settlement]] = {}
        """By id: one for each attempt."""
        self.released: list[str] = []
        self.waiting: dict[str, Mapping[str, frozenset[Way]]] = {}
        """By id: what waits for its next attempt, and what is done of it."""
        self._router = router
        self._source = source

    @property
    def outlet(self) -> SourceOutlet:
        return self._router.outlets[self._source]

    def send(self, data: Any = None, **attributes: Any) -> Message:
        message = self._router.message(data, **attributes)
        self._send(message, 1, NOTHING_DONE)
        return message

    async def sent(self, *data: Any, **attributes: Any) -> list[Message]:
        """Offer these, and let them go as far as they go without time passing."""
        messages = [self.send(each, **attributes) for each in data]
        await self._router.settle()
        return messages

    def ends(self, message: Message) -> list[str]:
        """How its attempts have ended."""
        return [settlement.outcome for settlement in self.endings.get(message.id, ())]

    def settled(self, job: Job, settlement: Settlement) -> None:
        message, redelivery = job.message, job.redelivery
        self.active.discard(message.id)
        self.endings.setdefault(message.id, []).append(settlement)
        if settlement.outcome == "returned":
            assert not redelivery.is_last, "nobody gives back what will not be sent again"
            self.waiting[message.id] = redelivery.done
            clock = self._router.clock
            due = clock.now() + max(AGAIN_S, settlement.retry_after_s or 0.0)
            clock.call_at(due, lambda: self._again(message, redelivery.attempt + 1))

    def _again(self, message: Message, attempt: int) -> None:
        done = self.waiting[message.id]
        try:
            self._send(message, attempt, done)
        except BackPressureError:
            clock = self._router.clock
            clock.call_at(clock.now() + 1.0, lambda: self._again(message, attempt))
        else:
            self.waiting.pop(message.id, None)

    def _send(self, message: Message, attempt: int, done: Mapping[str, frozenset[Way]]) -> None:
        job = Job(self, message, Redelivery(attempt, self.attempts, done))
        self.active.add(message.id)
        try:
            if attempt == 1:
                self.outlet.offer(message, job)
            else:
                self.outlet.offer_again(message, job)
        except BackPressureError:
            self.active.discard(message.id)
            raise
