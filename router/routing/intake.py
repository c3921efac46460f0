"""How messages get into a route: room, acceptance, and the journal's commit."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Literal

from actors.core.clock import Clock, Timer
from actors.core.errors import BackPressureError, RouterError
from actors.core.events import Events, Notice
from actors.core.message import Message, Receipt, Settlement
from actors.core.redelivery import Redelivery
from router.routing.delivery import PAST_STEPS, Delivery
from router.routing.probe import Probe
from router.store.journal import Journal

if TYPE_CHECKING:
    from router.routing.plan import RoutePlan
    from router.routing.route import Route

Obstacle = Literal["stopping", "refuses", "journal full", "journal behind", "full", "away"]
"""Why a message cannot be taken; a text is only made of it where somebody is told."""

MAX_COMMITTING = 10_000
"""Messages that may wait for one commit; beyond it sources are refused."""

LOOK_AGAIN_S = 1.0
"""How often those who wait for room look whether there is some, besides being woken."""


class Intake:
    """Accepts messages: into the route's mailbox, after the journal's commit where the route is durable.

    What a durable route has no room for stays on disk alone (`Backlog`). The order of the journal's rows is the
    order of acceptance.
    """

    def __init__(self, route: Route, *, journal: Journal, clock: Clock, events: Events) -> None:
        self.committing = 0
        """Messages whose commit is awaited; they are not accepted yet."""
        self.closing = False
        """Nothing more is taken in; `close` sets it."""
        self.gone = False
        """The route is not there any more: whoever waits for room in it looks elsewhere."""
        self.refuses = ""
        """Why an operator lets nothing in for now; empty where something may come. `shut` and `open` set it."""
        self._route = route
        self._backlog = route.backlog
        self._plan = route.plan
        self._durable = route.plan.durable
        self._mailbox = route.mailbox
        self._messages = route.mailbox.messages
        self._capacity = route.mailbox.capacity
        self._suspended = route.attempts.suspended
        self._plain = not self._durable
        """Whether only a full mailbox and targets that are away can be in the way: one look in place of five."""
        self._ledger = route.ledger
        self._journal = journal
        self._clock = clock
        self._now = clock.now
        self._events = events
        self._looking: Timer | None = None
        self.waiters: deque[asyncio.Future[None]] = deque()
        """Sources that wait for room."""

    def rewire(self, plan: RoutePlan) -> None:
        """The route runs by another plan; what the journal has of it stays there until it is settled."""
        self._plan, self._durable = plan, plan.durable
        self.reconsider()

    def shut(self, why: str) -> None:
        """Take nothing in until it is opened: `why` continues a sentence that begins with the route's name."""
        self.refuses = why
        self.reconsider()

    def open(self) -> None:
        """Take messages in again."""
        self.refuses = ""
        self.reconsider()

    def close(self) -> None:
        """The router stops: take nothing more in."""
        self.closing = True
        self.reconsider()

    def reconsider(self) -> None:
        """Decide anew whether `offer` may take the short way; for whoever changes what may be in a message's way."""
        # What was journaled while the route was durable comes first.
        behind = self._backlog.size or self.committing
        self._plain = not (self._durable or self.closing or self.refuses or behind)

    # Acceptance

    def obstacle(self) -> Obstacle | None:
        """What is in the way of a message now."""
        if self.closing:
            return "stopping"
        if self.refuses:
            return "refuses"
        if self._durable:
            if self._journal.is_full:
                return "journal full"
            return "journal behind" if self.committing >= MAX_COMMITTING else None
        if len(self._mailbox.messages) >= self._mailbox.capacity or self._backlog.size or self.committing:
            return "full"
        return "away" if self._route.attempts.suspended else None

    def _refusal(self, obstacle: Obstacle) -> BackPressureError:
        name = self._route.name
        match obstacle:
            case "stopping":
                return BackPressureError(f"route {name} is stopping", route=name, retry_after_s=5.0)
            case "refuses":
                return BackPressureError(f"route {name} {self.refuses}", route=name, retry_after_s=5.0)
            case "journal full":
                return BackPressureError("the journal is full", route=name, retry_after_s=10.0)
            case "journal behind":
                return BackPressureError("the journal is behind", route=name)
            case "full":
                return BackPressureError(f"route {name} is full", route=name)
            case "away":
                return BackPressureError(f"every target of route {name} is away", route=name, retry_after_s=5.0)

    def check(self) -> None:
        """Raise why a message cannot be taken now, and count it."""
        obstacle = self.obstacle()
        if obstacle is not None:
            self._route.ledger.refused_at_source += 1
            raise self._refusal(obstacle)

    def offer(self, message: Message, receipt: Receipt | None) -> None:
        """Take a message, or raise `BackPressureError`."""
        if self._plain and len(self._messages) < self._capacity and not self._suspended:
            # What `accept` does, without the calls: most messages come this way.
            self._ledger.accepted += 1
            self._mailbox.offer(Delivery(self._route, message, receipt, self._now()))
        else:
            self.check()
            self.accept(message, receipt)

    def accept(self, message: Message, receipt: Receipt | None) -> None:
        """Take a message in; `check` must have passed in this turn of the loop."""
        route = self._route
        if not self._durable:
            route.ledger.accepted += 1
            route.mailbox.offer(Delivery(route, message, receipt, self._now()))
            return
        self.committing += 1
        entry = _Entry(message, receipt)
        entry.row = self._journal.append(route.name, message.to_bytes(), partial(self._committed, entry))

    def accept_again(self, message: Message, receipt: Receipt, redelivery: Redelivery) -> None:
        """`accept`, for what its source sends again: ways of it that have ended are not repeated."""
        route = self._route
        if self._durable:
            # What the journal keeps is the journal's to repeat.
            self.accept(message, receipt)
            return
        route.ledger.accepted += 1
        delivery = Delivery(route, message, receipt, self._now())
        delivery.attempt = redelivery.attempt
        if done := redelivery.done_on(route.name):
            delivery.more().done = done
        route.mailbox.offer(delivery)

    async def replay(
        self, message: Message, *, letter: str, target: str | None, timeout_s: float, position: int = 0
    ) -> Settlement | None:
        """Take a dead letter in anew, past a full mailbox; returns how it ended, or None when the journal has it.

        With a `target` it goes there, behind the steps; else the route is evaluated anew, from the step after
        `position` on. Where it is dead-lettered again, it stands in its letter's place. Raises `StorageError` where
        the journal cannot keep it, and `TimeoutError` where it has not ended in time.
        """
        probe = Probe(asyncio.get_running_loop().create_future())
        route = self._route
        if self._plan.durable and target is None and not position:
            self.accept(message, probe)
            await probe.wait(wait=False, timeout_s=timeout_s)
            return None
        route.ledger.accepted += 1
        delivery = Delivery(route, message, probe, self._now())
        details = delivery.more()
        details.letter = letter
        details.position = details.start = min(position, len(self._plan.steps))
        if target is not None:
            details.position = PAST_STEPS
            details.candidates = (target,)
        route.ready.append(delivery)
        route.pump()
        return await probe.wait(wait=True, timeout_s=timeout_s)

    def _committed(self, entry: _Entry, error: Exception | None) -> None:
        self.committing -= 1
        if not self._durable:
            self.reconsider()
        backlog = self._backlog
        backlog.committed_row = max(backlog.committed_row, entry.row)
        if error is not None:
            if entry.receipt is not None:
                wrapped = error if isinstance(error, RouterError) else RouterError(str(error))
                entry.receipt.refuse(wrapped)
            self._events.emit(Notice(f"route {self._route.name} cannot journal: {error}", "error"))
            return
        route = self._route
        route.ledger.accepted += 1
        mailbox = route.mailbox
        # A receipt that holds a request and its body, say, must not wait with its message for a target to return.
        receipt = None if entry.receipt is None or entry.receipt.until_accepted else entry.receipt
        if self.closing or backlog.size or len(mailbox.messages) >= mailbox.capacity:
            backlog.size += 1
            self.reconsider()
            if receipt is not None:
                backlog.receipts[entry.row] = receipt
        else:
            backlog.last_row = entry.row
            delivery = Delivery(route, entry.message, receipt, self._now())
            delivery.row = entry.row
            mailbox.offer(delivery)
        if entry.receipt is not None:
            entry.receipt.accept()
        if self.waiters:
            self.let_in()

    async def room(self) -> None:
        """Wait in line until there is room, which is the caller's if it offers at once."""
        first = True
        while not self.gone and (self.obstacle() is not None or (first and self.waiters)):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if first:
                self.waiters.append(waiter)
            else:
                # Somebody who does not wait was faster.
                self.waiters.appendleft(waiter)
            first = False
            self._look_again()
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self.waiters:
                    self.waiters.remove(waiter)
                else:
                    self.let_in()
                raise

    def _look_again(self) -> None:
        """Room in the journal is made by other routes too, and they do not know who waits here."""
        if self._looking is None and not self.closing:
            self._looking = self._clock.call_at(self._now() + LOOK_AGAIN_S, self._look)

    def _look(self) -> None:
        self._looking = None
        self.let_in()
        if self.waiters:
            self._look_again()

    def leave(self) -> None:
        """The route takes nothing more, ever: send those who wait for room elsewhere."""
        self.gone = True
        self.shut("is stopped")
        waiters, self.waiters = self.waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def let_in(self) -> None:
        """Wake the first who waits for room, where there is some."""
        while self.waiters and self.obstacle() is None:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def settled(self, delivery: Delivery) -> None:
        """It ended: its row may go, whenever that is convenient."""
        self._journal.settle(delivery.row)

    @property
    def busy(self) -> bool:
        """Whether messages are on their way into the mailbox."""
        return bool(self.committing or self._backlog.loading)


class _Entry:
    """A message that waits for its commit."""

    __slots__ = ("message", "receipt", "row")

    def __init__(self, message: Message, receipt: Receipt | None) -> None:
        self.message = message
        self.receipt = receipt
        self.row = 0
