"""A mailbox keeps its bound and its order, and loses nothing."""

import asyncio
import threading
from functools import partial

import pykka
import pytest
from pykka import messages as pykka_messages
from pykka._envelope import Envelope as PykkaEnvelope

from actors.core.actor import Drain
from actors.core.clock import ManualClock, settle
from actors.core.envelope import Envelope, Told
from actors.core.errors import DeliveryError, MailboxFullError
from actors.core.future import LoopFuture
from actors.core.mailbox import Mailbox, Overflow
from tests.actors.core.answers import Answer, added_up, until
from tests.loop import Run


def make(capacity: int = 2, overflow: Overflow = "wait", clock: ManualClock | None = None) -> Mailbox:
    return Mailbox("box", now=(clock or ManualClock()).now, capacity=capacity, overflow=overflow)


def letter(data: object = None) -> Envelope:
    return Envelope(data, Answer())


def waiting(mailbox: Mailbox) -> list[object]:
    return [envelope.message for envelope in mailbox]


def fill(mailbox: Mailbox) -> list[Envelope]:
    letters = [letter(number) for number in range(mailbox.capacity)]
    for envelope in letters:
        assert mailbox.offer(envelope)
    return letters


def told(envelope: Envelope) -> list[object]:
    assert isinstance(envelope.reply_to, Answer)
    return envelope.reply_to.told


def test_messages_leave_in_the_order_in_which_they_came(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=3)
        letters = fill(mailbox)
        assert [mailbox.take() for _ in letters] == letters

    run(scenario())


def test_a_capacity_below_one_is_refused(run: Run) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="at least 1"):
            make(capacity=0)

    run(scenario())


def test_a_look_takes_nothing_and_survives_a_change_meanwhile(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        fill(mailbox)
        look = iter(mailbox)
        mailbox.take()
        mailbox.take()
        assert [envelope.message for envelope in look] == [0, 1]

    run(scenario())


def test_depth_high_water_and_the_oldest_age_are_told(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        mailbox = make(clock=clock)
        assert [mailbox.oldest_age_s] == [None]
        mailbox.offer(Envelope("first", None, clock.now()))
        await clock.advance(2.0)
        mailbox.offer(Envelope("second", None, clock.now()))
        await clock.advance(1.0)
        assert mailbox.oldest_age_s == 3.0
        mailbox.take()
        assert mailbox.oldest_age_s == 1.0
        assert (len(mailbox), mailbox.high_water, mailbox.received) == (1, 2, 2)

    run(scenario())


# The four overflow policies


def test_wait_lets_a_delivery_in_when_one_is_taken(run: Run) -> None:
    """Those in the lobby come in by their order, and before whoever comes later."""

    async def scenario() -> None:
        mailbox = make()
        fill(mailbox)
        assert not mailbox.offer(letter("a"))
        assert not mailbox.offer(letter("b"))
        assert waiting(mailbox) == [0, 1]
        mailbox.take()
        assert waiting(mailbox) == [1, "a"]
        assert not mailbox.offer(letter("c"))
        assert [mailbox.take().message for _ in range(4)] == [1, "a", "b", "c"]
        assert mailbox.high_water == 2

    run(scenario())


def test_reject_raises_and_counts_nothing(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(overflow="reject")
        fill(mailbox)
        with pytest.raises(MailboxFullError) as caught:
            mailbox.offer(letter())
        assert (caught.value.actor, caught.value.capacity) == ("box", 2)
        assert (mailbox.received, mailbox.dropped) == (2, 0)

    run(scenario())


def test_drop_newest_tells_the_newcomer(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(overflow="drop_newest")
        fill(mailbox)
        newest = letter("new")
        assert not mailbox.offer(newest)
        assert waiting(mailbox) == [0, 1]
        (error,) = told(newest)
        assert isinstance(error, DeliveryError)
        assert (error.reason, str(error)) == ("full", "dropped: box drops the newest")
        assert (mailbox.received, mailbox.dropped) == (3, 1)

    run(scenario())


def test_drop_oldest_tells_the_oldest(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(overflow="drop_oldest")
        oldest, _ = fill(mailbox)
        assert mailbox.offer(letter("new"))
        assert waiting(mailbox) == [1, "new"]
        assert len(told(oldest)) == 1
        assert (mailbox.received, mailbox.dropped) == (3, 1)

    run(scenario())


def test_a_sender_that_answers_a_drop_with_a_message_finds_the_mailbox_in_order(run: Run) -> None:
    """The one who is told may be a route, which goes on with its next message at once."""

    async def scenario() -> None:
        mailbox = make(overflow="drop_oldest")

        class Again(Envelope):
            def dropped(self, reason: str) -> None:
                mailbox.offer(letter("again"))

        mailbox.offer(Again("first"))
        mailbox.offer(letter("second"))
        mailbox.offer(letter("third"))
        assert waiting(mailbox) == ["third", "again"]
        assert mailbox.received == added_up(mailbox) == 4

    run(scenario())


# Taking back


def test_withdraw_says_where_the_message_was(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        first, second = fill(mailbox)
        third = letter("third")
        mailbox.offer(third)
        fourth = letter("fourth")
        mailbox.offer(fourth)
        assert mailbox.withdraw(fourth) == "lobby"
        assert mailbox.withdraw(second) == "queued"
        assert waiting(mailbox) == [0, "third"], "the room that it left is filled"
        mailbox.in_hand[mailbox.take()] = None
        assert mailbox.withdraw(first) == "in_hand"
        assert mailbox.withdraw(fourth) is None
        assert mailbox.withdrawn == 2
        assert mailbox.received == added_up(mailbox) == 4

    run(scenario())


def test_clear_tells_every_sender_and_leaves_nothing(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        letters = [*fill(mailbox), letter("outside")]
        mailbox.offer(letters[-1])
        assert mailbox.clear("an operator asked for it") == 3
        assert [len(told(envelope)) for envelope in letters] == [1, 1, 1]
        assert not mailbox.messages
        assert not mailbox.lobby
        assert mailbox.received == added_up(mailbox) == 3

    run(scenario())


def test_what_comes_back_from_a_crash_is_first_again(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        first, second = fill(mailbox)
        mailbox.take()
        mailbox.offer(letter("third"))
        mailbox.put_back(first)
        assert waiting(mailbox) == [0, 1, "third"], "over the bound, since it was in already"
        assert not mailbox.offer(letter("fourth"))
        assert mailbox.take() is first
        assert mailbox.take() is second
        assert waiting(mailbox) == ["third", "fourth"]

    run(scenario())


# Waiting for room


async def waits_for_room(mailbox: Mailbox, served: list[str], name: str, *, use: bool = True) -> None:
    await mailbox.room()
    served.append(name)
    if use:
        assert mailbox.offer(letter(name)), "the room was promised"


def test_those_who_wait_for_room_are_served_in_turn(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        fill(mailbox)
        served: list[str] = []
        async with asyncio.TaskGroup() as tasks:
            for name in "abc":
                tasks.create_task(waits_for_room(mailbox, served, name))
            await until(lambda: len(mailbox.lobby) == 3)
            for name in "abc":
                mailbox.take()
                await until(partial(served.__contains__, name))
        assert served == ["a", "b", "c"]
        assert waiting(mailbox) == ["b", "c"]

    run(scenario())


def test_room_that_was_promised_cannot_be_taken_by_whoever_comes_first(run: Run) -> None:
    """Between a place and its taker lies a turn of the loop, in which a route may offer its next message."""

    async def scenario() -> None:
        mailbox = make()
        fill(mailbox)
        served: list[str] = []
        waiter = asyncio.create_task(waits_for_room(mailbox, served, "patient"))
        await until(lambda: mailbox.lobby)
        mailbox.take()
        assert not mailbox.offer(letter("hasty"))
        await waiter
        assert waiting(mailbox) == [1, "patient"]
        mailbox.take()
        assert waiting(mailbox) == ["patient", "hasty"]

    run(scenario())


def test_a_message_gets_its_position_when_it_is_offered_not_when_its_sender_begins_to_wait(run: Run) -> None:
    """Who was promised room has still to offer; a delivery in the lobby behind it comes in at once."""

    async def scenario() -> None:
        mailbox = make()
        first, second = fill(mailbox)
        served: list[str] = []
        waiter = asyncio.create_task(waits_for_room(mailbox, served, "promised"))
        await until(lambda: mailbox.lobby)
        mailbox.offer(letter("outside"))
        mailbox.withdraw(first)
        mailbox.withdraw(second)
        assert waiting(mailbox) == ["outside"]
        assert served == []
        await waiter
        assert waiting(mailbox) == ["outside", "promised"]

    run(scenario())


def test_a_place_whose_taker_was_cancelled_goes_to_the_next(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=1)
        fill(mailbox)
        served: list[str] = []
        first = asyncio.create_task(waits_for_room(mailbox, served, "first"))
        second = asyncio.create_task(waits_for_room(mailbox, served, "second"))
        await until(lambda: len(mailbox.lobby) == 2)
        mailbox.take()
        first.cancel()
        async with asyncio.timeout(1.0):
            await second
        assert served == ["second"]
        assert first.cancelled()

    run(scenario())


def test_a_place_that_its_taker_does_not_use_goes_to_the_next(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=1)
        fill(mailbox)
        served: list[str] = []
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as tasks:
            tasks.create_task(waits_for_room(mailbox, served, "first", use=False))
            tasks.create_task(waits_for_room(mailbox, served, "second"))
            await until(lambda: len(mailbox.lobby) == 2)
            mailbox.take()
        assert served == ["first", "second"]

    run(scenario())


def test_a_place_that_its_taker_does_not_use_is_not_for_a_newcomer(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=1)
        fill(mailbox)
        served: list[str] = []
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as tasks:
            tasks.create_task(waits_for_room(mailbox, served, "first", use=False))
            tasks.create_task(waits_for_room(mailbox, served, "second"))
            await until(lambda: len(mailbox.lobby) == 2)
            mailbox.take()
            tasks.create_task(waits_for_room(mailbox, served, "newcomer"))
            await until(lambda: len(served) == 2)
            mailbox.take()
        assert served == ["first", "second", "newcomer"]

    run(scenario())


def test_who_gives_up_waiting_leaves_the_line(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=1)
        fill(mailbox)
        served: list[str] = []
        waiter = asyncio.create_task(waits_for_room(mailbox, served, "impatient"))
        await until(lambda: mailbox.lobby)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert not mailbox.lobby
        mailbox.take()
        assert mailbox.offer(letter())

    run(scenario())


def test_clearing_makes_room_for_those_who_wait(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        fill(mailbox)
        served: list[str] = []
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as tasks:
            tasks.create_task(waits_for_room(mailbox, served, "a"))
            tasks.create_task(waits_for_room(mailbox, served, "b"))
            await until(lambda: len(mailbox.lobby) == 2)
            mailbox.clear("test")
        assert waiting(mailbox) == ["a", "b"]

    run(scenario())


def test_those_who_lose_the_room_that_was_promised_keep_their_turns(run: Run) -> None:
    """The next incarnation is given what the crashed actor had in hand, though its place may be promised."""

    async def scenario() -> None:
        mailbox = make()
        letters = fill(mailbox)
        served: list[str] = []
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as tasks:
            for name in "abc":
                tasks.create_task(waits_for_room(mailbox, served, name, use=False))
            await until(lambda: len(mailbox.lobby) == 3)
            for _ in letters:
                mailbox.take()
            for envelope in reversed(letters):
                mailbox.put_back(envelope)
            await settle()
            assert served == []
            mailbox.take()
        assert served == ["a", "b", "c"]

    run(scenario())


def test_drop_oldest_lets_nobody_pass_who_waits_for_room(run: Run) -> None:
    """A newcomer took the first one's place; the second is promised one, and leaves it to the first."""

    async def scenario() -> None:
        mailbox = make(overflow="drop_oldest")
        fill(mailbox)
        served: list[str] = []
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as tasks:
            for name in "ab":
                tasks.create_task(waits_for_room(mailbox, served, name))
            await until(lambda: len(mailbox.lobby) == 2)
            mailbox.clear("test")
            mailbox.offer(letter("hasty"))
            await until(lambda: served)
            assert served == ["a"]
            mailbox.take()
        assert served == ["a", "b"]
        assert waiting(mailbox) == ["a", "b"]

    run(scenario())


def test_drop_oldest_does_not_need_something_to_drop(run: Run) -> None:
    """The only place may be promised while nothing waits; who loses it so stays the first in line."""

    async def scenario() -> None:
        mailbox = make(capacity=1, overflow="drop_oldest")
        fill(mailbox)
        served: list[str] = []
        first = asyncio.create_task(waits_for_room(mailbox, served, "first"))
        second = asyncio.create_task(waits_for_room(mailbox, served, "second"))
        await until(lambda: len(mailbox.lobby) == 2)
        mailbox.take()
        assert mailbox.offer(letter("hasty"))
        await settle()
        assert served == []
        mailbox.take()
        await first
        assert waiting(mailbox) == ["first"]
        mailbox.take()
        await second

    run(scenario())


# Pykka's inbox


def test_a_message_from_another_thread_wakes_the_reader(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        thread = threading.Thread(target=mailbox.put, args=(PykkaEnvelope("hello"),))
        thread.start()
        async with asyncio.timeout(5.0):
            await mailbox.arrival()
        thread.join(5.0)
        envelope = mailbox.take()
        assert isinstance(envelope, Told)
        assert envelope.message == "hello"

    run(scenario())


def test_control_messages_have_a_lane_of_their_own_that_is_never_full(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=1, overflow="reject")
        fill(mailbox)
        mailbox.put(PykkaEnvelope(Drain()))
        mailbox.put(PykkaEnvelope(pykka_messages._ActorStop()))
        assert len(mailbox.control) == 2
        assert (len(mailbox), mailbox.received) == (1, 1)
        assert not mailbox.empty()

    run(scenario())


def test_a_rejected_tell_raises_and_a_rejected_ask_is_answered(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make(capacity=1, overflow="reject")
        fill(mailbox)
        with pytest.raises(MailboxFullError):
            mailbox.put(PykkaEnvelope("told"))
        reply = LoopFuture()
        mailbox.put(PykkaEnvelope("asked", reply_to=reply))
        with pytest.raises(MailboxFullError):
            await reply

    run(scenario())


def test_a_tell_from_a_thread_that_is_rejected_counts_as_dropped(run: Run) -> None:
    """Its sender has gone on, so nobody can be told."""

    async def scenario() -> None:
        mailbox = make(capacity=1, overflow="reject")
        fill(mailbox)
        thread = threading.Thread(target=mailbox.put, args=(PykkaEnvelope("told"),))
        thread.start()
        await until(lambda: mailbox.dropped)
        thread.join(5.0)
        assert mailbox.received == added_up(mailbox) == 2

    run(scenario())


def test_a_mailbox_whose_loop_is_closed_says_that_its_actor_is_dead() -> None:
    """Threads outlive the loop when the router ends."""

    async def scenario() -> Mailbox:
        return make()

    mailbox = asyncio.run(scenario())
    raised: list[type[BaseException]] = []
    reply: pykka.ThreadingFuture[None] = pykka.ThreadingFuture()

    def later() -> None:
        try:
            mailbox.put(PykkaEnvelope("told"))
        except pykka.ActorDeadError as error:
            raised.append(type(error))
        mailbox.put(PykkaEnvelope("asked", reply_to=reply))

    thread = threading.Thread(target=later)
    thread.start()
    thread.join(5.0)
    assert len(raised) == 1
    with pytest.raises(pykka.ActorDeadError):
        reply.get(timeout=1.0)


# What becomes of it when its actor ends


def test_what_waits_is_kept_for_the_next_incarnation_and_control_messages_are_not(run: Run) -> None:
    """A stop was meant for the actor that ended; the next one must not find it."""

    async def scenario() -> None:
        mailbox = make()
        letters = fill(mailbox)
        stopped = LoopFuture()
        mailbox.put(PykkaEnvelope(pykka_messages._ActorStop(), reply_to=stopped))
        mailbox.leave(for_good=False)
        assert not mailbox.control
        assert await stopped is None
        late = LoopFuture()
        mailbox.put(PykkaEnvelope(pykka_messages._ActorStop(), reply_to=late))
        assert not mailbox.control
        assert await late is None
        mailbox.attend()
        mailbox.put(PykkaEnvelope(pykka_messages._ActorStop()))
        assert len(mailbox.control) == 1
        assert list(mailbox) == letters

    run(scenario())


def test_without_a_next_incarnation_all_that_waits_is_refused(run: Run) -> None:
    async def scenario() -> None:
        mailbox = make()
        letters = [*fill(mailbox), letter("outside")]
        mailbox.offer(letters[-1])
        waiter = asyncio.create_task(mailbox.room())
        await until(lambda: len(mailbox.lobby) == 2)
        mailbox.leave(for_good=True)
        for envelope in letters:
            (error,) = told(envelope)
            assert isinstance(error, pykka.ActorDeadError)
        with pytest.raises(pykka.ActorDeadError):
            await waiter
        late = LoopFuture()
        mailbox.put(PykkaEnvelope("late", reply_to=late))
        with pytest.raises(pykka.ActorDeadError):
            await late
        assert mailbox.received == added_up(mailbox) == 3

    run(scenario())


def test_askers_are_told_that_nobody_comes_while_deliveries_stay(run: Run) -> None:
    """Pykka's `ask` blocks its thread, so a stopped actor must not keep it; routes have deadlines of their own."""

    async def scenario() -> None:
        mailbox = make(capacity=3)
        delivery = letter("delivery")
        mailbox.offer(delivery)
        reply = LoopFuture()
        mailbox.put(PykkaEnvelope("asked", reply_to=reply))
        mailbox.put(PykkaEnvelope("told"))
        mailbox.refuse_askers()
        with pytest.raises(pykka.ActorDeadError):
            await reply
        assert waiting(mailbox) == ["delivery", "told"]
        assert told(delivery) == []
        assert mailbox.received == added_up(mailbox) == 3

    run(scenario())
