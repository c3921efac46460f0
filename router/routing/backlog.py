"""A route's backlog: what the journal has of it and the mailbox has not, from this run or from the last."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
from actors.core.message import Message, Receipt
from actors.core.step import Adopting
from router.routing.delivery import Delivery
from router.store.journal import Journal, Row

if TYPE_CHECKING:
    from router.routing.route import Route

LOAD_AGAIN_S = 1.0
"""When a journal that could not be read is read again."""

POISON_STARTS = 3
"""A message that was in hand at so many starts in a row that died is quarantined."""


class Backlog:
    """Loads what is on disk alone, in its order, when the mailbox has emptied by half.

    What was there when the router died is suspected of having killed it: that it is taken in hand is committed
    before it is.
    """

    def __init__(self, route: Route, *, journal: Journal, clock: Clock, events: Events) -> None:
        self.size = 0
        """Messages that are in the journal and not in the mailbox."""
        self.last_row = 0
        """The newest that came into the mailbox."""
        self.committed_row = 0
        """The newest whose commit the loop has heard of."""
        self.receipts: dict[int, Receipt] = {}
        """Of what is in the backlog, by row."""
        self.loading = False
        self.marking: dict[Delivery, None] = {}
        """Suspects whose mark in the journal is being committed."""
        self._route = route
        self._journal = journal
        self._clock = clock
        self._now = clock.now
        self._events = events
        self._suspects = 0
        """How many of the rows to come were there when the router died."""
        self._load_at = 0.0
        """Not before this, since the journal could not be read."""

    def recover(self, *, unclean: bool) -> int:
        """At the start: take over what the last run left in the journal; returns how many messages."""
        self.size = self._journal.waiting(self._route.name)
        self._route.intake.reconsider()
        self.committed_row = self._journal.newest(self._route.name)
        self._route.ledger.accepted += self.size
        self._suspects = self.size if unclean else 0
        return self.size

    def refill(self) -> None:
        """Load more of the backlog where the mailbox has room for it."""
        mailbox = self._route.mailbox
        actor = self._route.actor
        if self.loading or actor is None or self._route.intake.closing or len(mailbox.messages) > mailbox.capacity // 2:
            return
        if self._now() < self._load_at:
            return
        self.loading = True
        task = actor.spawn(self._load(mailbox.capacity - len(mailbox.messages)))
        task.add_done_callback(self._loaded)

    async def _load(self, limit: int) -> None:
        try:
            rows = await self._journal.load(self._route.name, self.last_row, limit)
        except StorageError as error:
            self._events.emit(Notice(f"route {self._route.name} cannot read its journal: {error}", "error"))
            self._load_at = self._now() + LOAD_AGAIN_S
            self._clock.call_at(self._load_at, self._route.pump)
            return
        # A row whose commit the loop has not heard of yet comes by itself.
        rows = [row for row in rows if row.row <= self.committed_row]
        for row in rows:
            self.last_row = row.row
            self.size -= 1
            self._take_over(row)
        self._route.intake.reconsider()
        if not rows and self.size:
            self._events.emit(Notice(f"the journal lacks {self.size} messages of {self._route.name}", "error"))
            self._route.ledger.accepted -= self.size
            self.size = 0
            self._route.intake.reconsider()

    def _loaded(self, _: asyncio.Task[None]) -> None:
        # Also where the task was cancelled before it began.
        self.loading = False
        self._route.pump()

    def _take_over(self, row: Row) -> None:
        route = self._route
        message, key = route.order.unlabelled(Message.from_bytes(row.message))
        delivery = Delivery(route, message, self.receipts.pop(row.row, None), self._now())
        delivery.row = row.row
        delivery.accepted_at -= self._waited_s(message)
        delivery.attempt = max(1, row.attempts)
        if key is not None:
            delivery.more().kept_key = key
        if row.position or row.delivered:
            details = delivery.more()
            details.position = row.position
            details.done = row.delivered
        suspect = self._suspects > 0
        self._suspects -= suspect
        if row.hands >= POISON_STARTS:
            why = f"it was in hand at {row.hands} starts in a row that died"
            route.give_up(delivery, "quarantined", why)
            return
        for step in self._route.plan.steps[: row.position]:
            if isinstance(step, Adopting):
                step.adopt(delivery.message.id, delivery)
        if suspect:
            delivery.more().suspect = True
        route.mailbox.messages.append(delivery)

    def _waited_s(self, message: Message) -> float:
        """How long a message was in the journal alone, as far as that can be known."""
        return max(0.0, self._clock.time() - message.time) if message.time else 0.0

    def mark(self, delivery: Delivery) -> None:
        """Commit that a suspect is taken in hand, before it is."""
        self.marking[delivery] = None
        self._route.engaged += 1
        self._journal.mark_in_hand(delivery.row, partial(self._marked, delivery))

    def _marked(self, delivery: Delivery, error: Exception | None) -> None:
        self.marking.pop(delivery, None)
        self._route.engaged -= 1
        if delivery.route is not None:
            # Where the mark cannot be kept the message goes on all the same: it is only a suspect.
            delivery.more().suspect = False
            self._route.ready.append(delivery)
            self._route.pump()
