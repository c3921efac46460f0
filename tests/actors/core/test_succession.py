"""One actor takes the place of another of its name: beside it first, then in its name, with what waited for it."""

from __future__ import annotations

import asyncio

from actors.core.child import Child, ChildSpec
from actors.core.clock import ManualClock, settle
from actors.core.envelope import Envelope
from actors.core.group import Group
from actors.core.line import Overflow
from actors.core.mailbox import Mailbox
from actors.core.restart import RestartPolicy
from tests.actors.core.answers import DEADLINE_S, Answer, added_up, send
from tests.actors.core.nursery import Infant, Nursery, never
from tests.loop import Run


def make(capacity: int = 2, overflow: Overflow = "wait") -> Mailbox:
    return Mailbox("box", now=ManualClock().now, capacity=capacity, overflow=overflow)


def letters(mailbox: Mailbox, *data: int) -> list[Envelope]:
    made = [Envelope(each, Answer()) for each in data]
    for envelope in made:
        mailbox.offer(envelope)
    return made


def beside(nursery: Nursery, name: str, new: str) -> Child:
    """A child named `name`, whose actor notes its life as `new`."""
    spec = ChildSpec(
        name,
        lambda: Infant(new, nursery),
        Mailbox(name, now=nursery.clock.now),
        RestartPolicy(min_delay_s=1.0),
        stop_timeout_s=1.0,
    )
    return nursery.supervisor.beside(spec)


# What waits


def test_what_waits_is_handed_over_in_its_order_with_what_waits_for_room(run: Run) -> None:
    """The successor's bound does not hold it up; what the predecessor has in hand stays there."""

    async def scenario() -> None:
        old, new = make(2), make(1)
        first, *rest = letters(old, 1, 2, 3, 4)
        old.in_hand[old.take()] = None
        assert old.hand_over(new) == rest
        assert [envelope.message for envelope in new] == [2, 3, 4]
        assert (len(old), len(old.lobby), list(old.in_hand)) == (0, 0, [first])
        assert (new.received, new.high_water, old.withdrawn) == (3, 3, 3)
        assert (added_up(old), added_up(new)) == (old.received, new.received)
        (late,) = letters(new, 5)
        assert list(new.lobby) == [late]

    run(scenario())


def test_an_actor_that_waits_for_messages_is_woken_by_what_is_handed_over(run: Run) -> None:
    async def scenario() -> None:
        old, new = make(), make()
        letters(old, 1)
        arrival = asyncio.create_task(new.arrival())
        await settle()
        old.hand_over(new)
        await asyncio.wait_for(arrival, DEADLINE_S)

    run(scenario())


def test_whoever_waits_for_room_gets_it_where_it_waits(run: Run) -> None:
    """It has not said what it wants to hand on, and to whom it has waited for room is whom it offers to."""

    async def scenario() -> None:
        old, new = make(1), make(1)
        letters(old, 1)
        room = asyncio.create_task(old.room())
        await settle()
        old.hand_over(new)
        await asyncio.wait_for(room, DEADLINE_S)
        assert len(new) == 1

    run(scenario())


# Who stands for a name


def test_one_beside_starts_without_a_name_and_gets_it_when_it_succeeds(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        old = nursery.add("a")
        await nursery.start("a")
        new = beside(nursery, "a", "A")
        nursery.supervisor.begin(new)
        assert await new.settled(DEADLINE_S)
        assert nursery.supervisor.children["a"] is old
        assert nursery.supervisor.succeed(new) is old
        assert nursery.supervisor.children == {"a": new}
        assert await send(old.mailbox, "still here").once() == "still here"
        await nursery.supervisor.dismiss([old])
        assert nursery.lives == [("start", "a"), ("start", "A"), ("stop", "a")]
        assert not nursery.supervisor._unnamed
        assert await send(new.mailbox, "hello").once() == "hello"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_one_that_was_to_succeed_is_dismissed_and_nothing_is_left_of_it(run: Run) -> None:
    """Also one that has crashed, is about to be started again, or does not end."""

    async def scenario() -> None:
        nursery = Nursery()
        await nursery.start(nursery.add("a").name)
        crashing, hanging = beside(nursery, "a", "C"), beside(nursery, "a", "H")
        nursery.obstacles["start", "C"] = [ValueError("no")]
        nursery.obstacles["start", "H"] = [never()]
        for child in (crashing, hanging):
            nursery.supervisor.begin(child)
        await settle()
        assert (crashing.state, hanging.state) == ("restarting", "starting")
        await nursery.supervisor.dismiss([crashing, hanging], timeout_s=0.01)
        await nursery.clock.advance(10.0)
        assert nursery.lives.count(("start", "C")) == 1
        supervisor = nursery.supervisor
        assert [len(left) for left in (supervisor._unnamed, supervisor._endings, supervisor._timers)] == [0, 0, 0]
        assert nursery.states() == {"a": "ready"}
        await nursery.supervisor.stop_all()

    run(scenario())


def test_dismissing_leaves_alone_who_has_the_name(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a")
        await nursery.start("a")
        await nursery.supervisor.dismiss([child])
        assert child.state == "ready"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_one_that_gave_its_name_away_is_restarted_for_what_it_has_left(run: Run) -> None:
    """Until it is dismissed it has messages, and a crash on one of them is not the end of the others."""

    async def scenario() -> None:
        nursery = Nursery()
        old = nursery.add("a", RestartPolicy(min_delay_s=1.0, jitter=0.0))
        await nursery.start("a")
        new = beside(nursery, "a", "A")
        nursery.supervisor.begin(new)
        await settle()
        nursery.supervisor.succeed(new)
        send(old.mailbox, ValueError("a poisonous one"))
        rest = send(old.mailbox, "and a good one")
        await settle()
        assert (old.state, new.state) == ("restarting", "ready")
        await nursery.clock.advance(1.0)
        assert await rest.once() == "and a good one"
        await nursery.supervisor.dismiss([old])
        await nursery.supervisor.stop_all()

    run(scenario())


def test_all_end_together_with_or_without_a_name(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        await nursery.start(nursery.add("a").name)
        new = beside(nursery, "a", "A")
        nursery.supervisor.begin(new)
        await settle()
        await nursery.supervisor.stop_all()
        assert sorted(nursery.lives[2:]) == [("stop", "A"), ("stop", "a")]

    run(scenario())


# Groups


def test_only_the_one_of_its_name_belongs_to_a_group(run: Run) -> None:
    """A crash of who is to succeed, or was succeeded, restarts nobody else."""

    async def scenario() -> None:
        nursery = Nursery()
        old, _ = nursery.add("a", stop_timeout_s=1.0), nursery.add("b", stop_timeout_s=1.0)
        group = Group("g", "one_for_all", ("a", "b"), RestartPolicy(min_delay_s=1.0, jitter=0.0))
        nursery.supervisor.group(group)
        await nursery.start("a", "b")
        new = beside(nursery, "a", "A")
        nursery.supervisor.begin(new)
        await settle()
        groups = nursery.supervisor._groups
        assert (groups.of(old), groups.of(new)) == (group, None)
        nursery.lives.clear()
        send(new.mailbox, ValueError("too early"))
        await nursery.clock.advance(2.0)
        assert nursery.lives == [("stop", "A"), ("start", "A")]
        nursery.supervisor.succeed(new)
        assert (groups.of(old), groups.of(new)) == (None, group)
        nursery.lives.clear()
        send(old.mailbox, ValueError("too late"))
        await nursery.clock.advance(2.0)
        assert nursery.lives == [("stop", "a"), ("start", "a")]
        nursery.lives.clear()
        await nursery.crash("b")
        await nursery.clock.advance(2.0)
        assert nursery.lives == [("stop", "b"), ("stop", "A"), ("start", "A"), ("start", "b")]
        await nursery.supervisor.dismiss([old])
        assert groups.of(new) is group, "the one with the name stays in it"
        await nursery.supervisor.stop_all()

    run(scenario())
