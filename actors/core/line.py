"""Messages in line for an actor: bounded, in their order, and counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Literal

from actors.core.envelope import Envelope, Place
from actors.core.errors import MailboxFullError

Overflow = Literal["wait", "reject", "drop_oldest", "drop_newest"]
"""What a full mailbox does with one message more."""

Where = Literal["lobby", "queued", "in_hand"]


class Line:
    """First in, first out; `capacity` messages, and what happens to one more is said by `overflow`.

    `wait` lets deliveries wait in a lobby outside until there is room (a route gives them up at their
    deadline), `reject` raises `MailboxFullError`, `drop_oldest` and `drop_newest` give a message up and say so
    to its sender. The counts add up: `received = handled + failed + dropped + withdrawn + waiting + in the lobby
    + in hand`; a route, which counts in its ledger, does not keep `handled`, `failed` and `in_hand`.
    """

    __slots__ = (
        "_limit",
        "_loop",
        "_now",
        "_turns",
        "_waiter",
        "capacity",
        "dropped",
        "failed",
        "handled",
        "high_water",
        "in_hand",
        "lobby",
        "messages",
        "name",
        "overflow",
        "received",
        "withdrawn",
    )

    def __init__(self, name: str, *, now: Callable[[], float], capacity: int, overflow: Overflow) -> None:
        if capacity < 1:
            raise ValueError(f"the capacity of a mailbox is at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        """It does not change."""
        self.overflow: Overflow = overflow
        self.messages: deque[Envelope] = deque()
        self.lobby: deque[Envelope] = deque()
        self.in_hand: dict[Envelope, None] = {}
        """What the actor is working on."""
        self.received = 0
        """All that came in or waits outside; not what was rejected."""
        self.handled = 0
        self.failed = 0
        self.dropped = 0
        self.withdrawn = 0
        """What its sender took back."""
        self.high_water = 0
        self._limit = capacity
        """Less than the capacity by the places that are promised to those whom `room` has woken."""
        self._now = now
        self._turns = 0
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    # What senders use

    def offer(self, envelope: Envelope) -> bool:
        """Take it in, and say whether it is in: False says that it waits in the lobby, or was dropped.

        Raises `MailboxFullError` where the policy is `reject`.
        """
        messages = self.messages
        depth = len(messages)
        if depth >= self._limit:
            return self._overflow(envelope)
        messages.append(envelope)
        self.received += 1
        if depth >= self.high_water:
            self.high_water = depth + 1
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        return True

    def _overflow(self, envelope: Envelope) -> bool:
        if self.overflow == "reject":
            raise MailboxFullError(actor=self.name, capacity=self.capacity)
        self.received += 1
        if self.overflow == "wait":
            self.lobby.append(envelope)
            return False
        if self.overflow == "drop_newest":
            self.dropped += 1
            envelope.dropped(f"{self.name} drops the newest")
            return False
        oldest = self.messages.popleft() if self.messages else None
        self.messages.append(envelope)
        self.high_water = max(self.high_water, len(self.messages))
        self.wake()
        if oldest is not None:
            self.dropped += 1
            # Last, since whoever is told may offer the next message at once.
            oldest.dropped(f"{self.name} drops the oldest")
        return True

    async def room(self) -> None:
        """Wait until there is room for one message more, which is the caller's if it offers it at once.

        Those who wait are served in turn, deliveries in the lobby among them. What they are promised is room, not
        a position: a message gets that when it is offered, and until then others may come in where there is
        room besides. Raises `GoneError` where the actor ends meanwhile, and nobody takes its place.
        """
        place: Place | None = None
        # A place that its taker has not used is free for a moment, and for the next in line. Room that was promised
        # can be lost again, to the newest or to what comes back from a crash: then the same turn is waited for.
        while (ahead := self._ahead(place)) or len(self.messages) >= self._limit:
            if place is None:
                self._turns += 1
                place = Place(self._turns)
            place.future = self._loop.create_future()
            self.lobby.insert(ahead, place)
            try:
                await place.future
            except asyncio.CancelledError:
                self._leave(place)
                raise
            self._limit += 1
            # If the caller does not use its place after all, the next one shall have it.
            self._loop.call_soon(self._admit)

    def _ahead(self, place: Place | None) -> int:
        """How many in the lobby are to be served first: all, unless room was promised to this place before."""
        if place is None:
            return len(self.lobby)
        turn = place.turn
        return sum(1 for _ in takewhile(lambda entry: isinstance(entry, Place) and entry.turn < turn, self.lobby))

    def _leave(self, place: Place) -> None:
        """Somebody waits for room no longer, and may have been promised some already."""
        if place.future.done() and not place.future.cancelled() and place.future.exception() is None:
            self._limit += 1
            self._admit()
        else:
            with contextlib.suppress(ValueError):
                self.lobby.remove(place)

    def withdraw(self, envelope: Envelope) -> Where | None:
        """Take a message back that nobody has in hand yet, and say where it was."""
        if envelope in self.in_hand:
            return "in_hand"
        lanes: tuple[tuple[Where, deque[Envelope]], ...] = (("lobby", self.lobby), ("queued", self.messages))
        for where, lane in lanes:
            try:
                lane.remove(envelope)
            except ValueError:
                continue
            self.withdrawn += 1
            self._admit()
            return where
        return None

    # What the actor uses

    def take(self) -> Envelope:
        """The next message; the mailbox must not be empty."""
        envelope = self.messages.popleft()
        if self.lobby:
            self._admit()
        return envelope

    def put_back(self, envelope: Envelope) -> None:
        """The message in hand comes back to the front, since its actor crashed; the bound does not hold it up."""
        self.messages.appendleft(envelope)
        self.high_water = max(self.high_water, len(self.messages))
        self.wake()

    async def change(self) -> None:
        """Wait until something more comes in, or `wake` is called."""
        self._waiter = self._loop.create_future()
        await self._waiter

    def wake(self) -> None:
        """Let `arrival` and `change` return."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _admit(self) -> None:
        """Let in from the lobby what there is room for."""
        lobby, messages = self.lobby, self.messages
        while lobby and len(messages) < self._limit:
            waiting = lobby.popleft()
            if not isinstance(waiting, Place):
                messages.append(waiting)
                self.high_water = max(self.high_water, len(messages))
                self.wake()
            elif not waiting.future.done():
                self._limit -= 1
                waiting.future.set_result(None)

    def hand_over(self, other: Line) -> list[Envelope]:
        """Give what waits to the mailbox of a successor, whose bound does not hold it up; returns what that was."""
        moved = [*self.messages, *(entry for entry in self.lobby if not isinstance(entry, Place))]
        places = [entry for entry in self.lobby if isinstance(entry, Place)]
        self.messages.clear()
        self.lobby.clear()
        self.lobby.extend(places)
        self.withdrawn += len(moved)
        other.messages.extend(moved)
        other.received += len(moved)
        other.high_water = max(other.high_water, len(other.messages))
        other.wake()
        self._admit()
        return moved

    # What operators use

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Envelope]:
        """What waits, oldest first; a look that takes nothing."""
        return iter(tuple(self.messages))

    @property
    def oldest_age_s(self) -> float | None:
        """How long the oldest waiting message has waited, in seconds."""
        return self._now() - self.messages[0].enqueued_at if self.messages else None

    def clear(self, reason: str) -> int:
        """Give up all that waits, telling each sender; returns how many that were."""
        places = [entry for entry in self.lobby if isinstance(entry, Place)]
        given_up = [*self.messages, *(entry for entry in self.lobby if not isinstance(entry, Place))]
        self.messages.clear()
        self.lobby.clear()
        self.lobby.extend(places)
        self.dropped += len(given_up)
        self._admit()
        for envelope in given_up:
            envelope.dropped(reason)
        return len(given_up)
