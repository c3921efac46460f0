"""Whatever senders, waiters, operators and the actor do in whatever order: a mailbox loses and doubles nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.core.clock import ManualClock, settle
from actors.core.envelope import Envelope, Place
from actors.core.errors import MailboxFullError
from actors.core.mailbox import Mailbox, Overflow

POLICIES: tuple[Overflow, ...] = ("wait", "reject", "drop_oldest", "drop_newest")


class Letter(Envelope):
    """Knows when it was handed in, since when its sender was in line for that, and how often it was given up."""

    __slots__ = ("given_up", "number", "since")

    def __init__(self, number: int, since: int) -> None:
        super().__init__(number)
        self.number = number
        self.since = since
        self.given_up = 0

    def dropped(self, reason: str) -> None:
        self.given_up += 1


@dataclass
class Waiter:
    """Somebody who waits for room since a moment, and then hands a letter in or not."""

    since: int
    uses_it: bool
    task: asyncio.Task[None] | None = None
    served: bool = False


@dataclass
class Seen:
    """What the model knows: every letter is in exactly one of these, or in the mailbox."""

    handled: list[Letter] = field(default_factory=list)
    failed: list[Letter] = field(default_factory=list)
    withdrawn: list[Letter] = field(default_factory=list)
    rejected: list[Letter] = field(default_factory=list)


class MailboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.letters: list[Letter] = []
        self.waiters: list[Waiter] = []
        self.seen = Seen()
        self.moments = 0
        self.crashes = 0
        self.last_taken = -1

    @initialize(capacity=st.integers(1, 4), overflow=st.sampled_from(POLICIES))
    def make(self, capacity: int, overflow: Overflow) -> None:
        async def made() -> Mailbox:
            return Mailbox("box", now=ManualClock().now, capacity=capacity, overflow=overflow)

        self.mailbox = self.loop.run_until_complete(made())

    def moment(self) -> int:
        self.moments += 1
        return self.moments

    # Senders

    @rule()
    def offer(self) -> None:
        moment = self.moment()
        self.hand_in(Letter(moment, since=moment))

    def hand_in(self, letter: Letter) -> bool:
        self.letters.append(letter)
        try:
            taken = self.mailbox.offer(letter)
        except MailboxFullError:
            self.seen.rejected.append(letter)
            return False
        assert taken == (letter in self.mailbox.messages)
        return taken

    @rule(uses_it=st.booleans())
    def wait_for_room(self, uses_it: bool) -> None:
        waiter = Waiter(self.moment(), uses_it)

        async def waits() -> None:
            await self.mailbox.room()
            assert not any(self.is_in_line(other, before=waiter) for other in self.waiters), "served in turn"
            waiter.served = True
            if waiter.uses_it:
                assert self.hand_in(Letter(self.moment(), waiter.since)), "the room was promised"

        waiter.task = self.loop.create_task(waits())
        self.waiters.append(waiter)
        self.loop.run_until_complete(settle())

    def is_in_line(self, waiter: Waiter, before: Waiter) -> bool:
        assert waiter.task is not None
        return waiter.since < before.since and not waiter.served and not waiter.task.cancelling()

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def stop_waiting(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(self.waiters))
        assert waiter.task is not None
        waiter.task.cancel()

    @precondition(lambda self: self.letters)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        letter = data.draw(st.sampled_from(self.letters))
        lanes: dict[str, Any] = {
            "lobby": self.mailbox.lobby,
            "queued": self.mailbox.messages,
            "in_hand": self.mailbox.in_hand,
        }
        was = next((where for where, lane in lanes.items() if letter in lane), None)
        where = self.mailbox.withdraw(letter)
        assert where == was
        if where in ("lobby", "queued"):
            self.seen.withdrawn.append(letter)

    # The actor

    @precondition(lambda self: self.mailbox.messages)
    @rule()
    def take(self) -> None:
        letter = self.mailbox.take()
        assert isinstance(letter, Letter)
        # Where a sender waits for room, others that come meanwhile may be before it or behind it.
        assert letter.number >= self.last_taken, "first in, first out"
        self.last_taken = max(self.last_taken, letter.since)
        self.mailbox.in_hand[letter] = None

    @precondition(lambda self: self.mailbox.in_hand)
    @rule(well=st.booleans(), data=st.data())
    def finish(self, well: bool, data: st.DataObject) -> None:
        letter: Any = data.draw(st.sampled_from(list(self.mailbox.in_hand)))
        del self.mailbox.in_hand[letter]
        if well:
            self.mailbox.handled += 1
            self.seen.handled.append(letter)
        else:
            self.mailbox.failed += 1
            self.seen.failed.append(letter)

    @precondition(lambda self: self.mailbox.in_hand)
    @rule()
    def crash(self) -> None:
        """All that is in hand comes back, in its order."""
        letters = list(self.mailbox.in_hand)
        self.mailbox.in_hand.clear()
        for letter in reversed(letters):
            self.mailbox.put_back(letter)
        self.crashes += 1
        self.last_taken = min(letter.message for letter in letters) - 1

    # Operators and time

    @rule()
    def clear(self) -> None:
        count = len(self.mailbox) + sum(isinstance(entry, Letter) for entry in self.mailbox.lobby)
        assert self.mailbox.clear("test") == count

    @rule()
    def let_the_loop_run(self) -> None:
        self.loop.run_until_complete(settle())
        for waiter in self.waiters:
            assert waiter.task is not None
            if waiter.task.done() and not waiter.task.cancelled():
                waiter.task.result()
        self.waiters = [waiter for waiter in self.waiters if waiter.task is not None and not waiter.task.done()]
        places = [entry for entry in self.mailbox.lobby if isinstance(entry, Place)]
        assert len(places) == len(self.waiters)
        if self.mailbox.lobby:
            assert len(self.mailbox) >= self.mailbox.capacity, "nobody waits outside while there is room"

    # What holds always

    @invariant()
    def every_letter_is_in_one_place(self) -> None:
        mailbox = self.mailbox
        dropped = [letter for letter in self.letters if letter.given_up]
        places = [
            *mailbox.messages,
            *(entry for entry in mailbox.lobby if isinstance(entry, Letter)),
            *mailbox.in_hand,
            *self.seen.handled,
            *self.seen.failed,
            *self.seen.withdrawn,
            *self.seen.rejected,
            *dropped,
        ]
        assert len(places) == len(self.letters) == len(set(places))
        assert all(letter.given_up == 1 for letter in dropped)
        assert mailbox.dropped == len(dropped)
        assert mailbox.withdrawn == len(self.seen.withdrawn)
        assert mailbox.received == len(self.letters) - len(self.seen.rejected)

    @invariant()
    def the_bound_holds(self) -> None:
        mailbox = self.mailbox
        assert len(mailbox) <= mailbox.high_water
        if not self.crashes:
            assert mailbox.high_water <= mailbox.capacity
        if mailbox.overflow != "wait":
            assert all(isinstance(entry, Place) for entry in mailbox.lobby)

    def teardown(self) -> None:
        for waiter in self.waiters:
            if waiter.task is not None:
                waiter.task.cancel()
        self.loop.run_until_complete(settle())
        self.loop.close()


TestMailbox = MailboxMachine.TestCase
TestMailbox.settings = settings(max_examples=100, stateful_step_count=40)
