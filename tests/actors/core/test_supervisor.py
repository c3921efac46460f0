"""Actors that end are started again as their policy says; what an operator says goes before that."""

import asyncio
from typing import Any

import pykka
import pytest

from actors.core.actor import AsyncioActor
from actors.core.child import ChildSpec
from actors.core.errors import ActorCrashedError
from actors.core.events import ActorCrashed, ActorFailed, ActorRestarting, Notice
from actors.core.mailbox import Mailbox
from actors.core.restart import Restart, RestartPolicy
from tests.actors.core.answers import send, until
from tests.actors.core.nursery import Infant, Nursery, never
from tests.loop import Run

QUICK = RestartPolicy(max_restarts=2, within_s=10.0, min_delay_s=1.0, jitter=0.0)


# Starting and stopping


def test_a_child_starts_gets_ready_and_stops(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a")
        assert child.state == "stopped"
        await nursery.start("a")
        assert nursery.supervisor.start("a") is child, "which does nothing"
        assert await send(child.mailbox, "hello").once() == "hello"
        await nursery.supervisor.stop(["a"])
        assert nursery.lives == [("start", "a"), ("stop", "a")]
        assert nursery.happened() == ["ActorStarted", "ActorReady", "ActorStopped"]
        assert nursery.states() == {"a": "stopped"}

    run(scenario())


def test_a_name_is_given_once(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a")
        with pytest.raises(ValueError, match="a is there already"):
            nursery.add("a")

    run(scenario())


def test_a_child_that_is_switched_off_stays_off_until_it_is_started(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", enabled=False)
        assert child.closed is not None
        await nursery.supervisor.stop_all()
        assert nursery.states() == {"a": "disabled"}
        await nursery.start("a")
        await nursery.supervisor.stop_all()
        assert nursery.states() == {"a": "stopped"}

    run(scenario())


def test_a_stop_while_it_starts_waits_for_on_start(run: Run) -> None:
    """An actor is never ready when it was asked to stop, and `on_stop` gives back what `on_start` took."""

    async def scenario() -> None:
        nursery = Nursery()
        go = asyncio.Event()
        nursery.obstacles["start", "a"].append(go)
        nursery.add("a")
        nursery.supervisor.start("a")
        await until(lambda: nursery.lives)
        stopping = asyncio.create_task(nursery.supervisor.stop(["a"]))
        await nursery.clock.advance()
        assert nursery.states() == {"a": "stopping"}
        go.set()
        await stopping
        assert nursery.lives == [("start", "a"), ("stop", "a")]
        assert nursery.happened() == ["ActorStarted", "ActorStopped"]

    run(scenario())


@pytest.mark.parametrize("hook", ["start", "receive", "stop"])
def test_one_that_hangs_is_cancelled_in_time(run: Run, hook: str) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", stop_timeout_s=0.01)
        if hook == "receive":
            await nursery.start("a")
            send(child.mailbox, lambda _: never().wait())
            await until(lambda: child.mailbox.in_hand)
        else:
            nursery.obstacles[hook, "a"].append(never())
            nursery.supervisor.start("a")
            await until(lambda: nursery.lives)
        await nursery.supervisor.stop(["a"])
        assert nursery.states() == {"a": "stopped"}
        assert nursery.lives[-1] == ("stop", "a")

    run(scenario())


def test_those_that_hang_are_waited_for_side_by_side(run: Run) -> None:
    """Each has its own deadline, and the deadlines run at the same time."""

    async def scenario() -> None:
        nursery = Nursery()
        for number in range(20):
            nursery.obstacles["stop", str(number)].append(never())
            nursery.add(str(number), stop_timeout_s=0.2)
            await nursery.start(str(number))
        async with asyncio.timeout(2.0):
            await nursery.supervisor.stop_all()
        assert set(nursery.states().values()) == {"stopped"}

    run(scenario())


class Immortal(AsyncioActor):
    """Takes no cancellation for an answer."""

    release = asyncio.Event()

    async def on_receive(self, message: Any) -> Any:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue


def test_one_that_does_not_end_is_reported_and_stays_stopping_until_it_does(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        Immortal.release = asyncio.Event()
        mailbox = Mailbox("a", now=nursery.clock.now)
        child = nursery.supervisor.add(ChildSpec("a", Immortal, mailbox, stop_timeout_s=0.01))
        await nursery.start("a")
        send(mailbox)
        await until(lambda: mailbox.in_hand)
        await nursery.supervisor.stop(["a"])
        (notice,) = [event for event in nursery.emitted if isinstance(event, Notice)]
        assert (notice.text, notice.level) == ("actor a does not end, though it was cancelled", "error")
        assert nursery.supervisor.start("a").state == "stopping", "there is one already"
        Immortal.release.set()
        await until(lambda: child.state == "stopped")
        assert nursery.happened("a")[-1] == "ActorStopped"

    run(scenario())


def test_one_that_does_not_end_can_be_removed_and_its_name_given_anew(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        Immortal.release = asyncio.Event()
        mailbox = Mailbox("a", now=nursery.clock.now)
        old = nursery.supervisor.add(ChildSpec("a", Immortal, mailbox, stop_timeout_s=0.01))
        await nursery.start("a")
        task = old.actor._task if old.actor is not None else None
        assert task is not None
        send(mailbox)
        await until(lambda: mailbox.in_hand)
        await nursery.supervisor.remove(["a"])
        new = nursery.add("a")
        await nursery.start("a")
        Immortal.release.set()
        await asyncio.wait([task])
        assert new.state == "ready"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_stop_finds_an_actor_that_is_ending_by_a_crash(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        go = asyncio.Event()
        nursery.obstacles["stop", "a"].append(go)
        child = nursery.add("a")
        await nursery.start("a")
        assert child.actor is not None
        child.actor._crash(ValueError("oh"))
        await until(lambda: nursery.lives[-1] == ("stop", "a"))
        stopping = asyncio.create_task(nursery.supervisor.stop(["a"]))
        await nursery.clock.advance()
        go.set()
        await stopping
        assert nursery.states() == {"a": "stopped"}
        assert child.why == "ValueError: oh"
        await nursery.clock.advance(100.0)
        await nursery.start("a")
        await nursery.clock.advance()
        assert nursery.states() == {"a": "ready"}, "the stop was not left behind for this one"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_stopping_twice_at_once_waits_for_the_same_end(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a")
        await nursery.start("a")
        await asyncio.gather(nursery.supervisor.stop(["a"]), nursery.supervisor.stop(["a"]))
        assert nursery.lives == [("start", "a"), ("stop", "a")]
        assert nursery.happened() == ["ActorStarted", "ActorReady", "ActorStopped"]

    run(scenario())


# Restarts


@pytest.mark.parametrize(
    ("restart", "crashes", "state"),
    [
        ("permanent", True, "restarting"),
        ("permanent", False, "restarting"),
        ("transient", True, "restarting"),
        ("transient", False, "stopped"),
        ("temporary", True, "stopped"),
        ("temporary", False, "stopped"),
    ],
)
def test_what_follows_an_end_is_said_by_the_restart_type(run: Run, restart: Restart, crashes: bool, state: str) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", RestartPolicy(restart, min_delay_s=1.0, jitter=0.0))
        await nursery.start("a")
        if crashes:
            await nursery.crash("a")
        else:
            assert child.actor is not None
            child.actor.stop()
            await until(lambda: child.actor is None)
        assert nursery.states() == {"a": state}
        await nursery.clock.advance(1.0)
        assert nursery.states() == {"a": "ready" if state == "restarting" else "stopped"}
        await nursery.supervisor.stop_all()

    run(scenario())


def test_it_comes_back_after_its_delay_and_says_why_it_went(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", QUICK)
        await nursery.start("a")
        error = ValueError("oh")
        await nursery.crash("a", error)
        assert child.why == "ValueError: oh"
        await nursery.clock.advance(0.9)
        assert nursery.states() == {"a": "restarting"}
        await nursery.clock.advance(0.1)
        assert nursery.states() == {"a": "ready"}
        assert child.restarts == 1
        await nursery.supervisor.stop_all()
        assert [event for event in nursery.emitted if isinstance(event, ActorCrashed)] == [ActorCrashed("a", error)]
        assert [event for event in nursery.emitted if isinstance(event, ActorRestarting)] == [
            ActorRestarting("a", 1.0, 1)
        ]

    run(scenario())


def test_chance_makes_the_delay_shorter_or_longer(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a", RestartPolicy(min_delay_s=1.0, max_delay_s=1.0, jitter=0.2))
        nursery.chance = lambda: 0.0
        await nursery.start("a")
        await nursery.crash("a")
        await nursery.clock.advance(0.8)
        assert nursery.states() == {"a": "ready"}
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_crash_too_many_is_a_failure_that_an_operator_can_revive(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", QUICK)
        await nursery.start("a")
        for delay_s in (1.0, 2.0):
            await nursery.crash("a")
            await nursery.clock.advance(delay_s)
        error = ValueError("the last")
        await nursery.crash("a", error)
        assert nursery.states() == {"a": "failed"}
        assert child.closed is not None
        assert child.closed.reason == "failed"
        assert ActorFailed("a", 2, 10.0, error) in nursery.emitted
        await nursery.clock.advance(100.0)
        assert nursery.states() == {"a": "failed"}
        assert await (await nursery.supervisor.restart("a")).settled(5.0)
        await nursery.crash("a")
        assert nursery.states() == {"a": "restarting"}, "its history is clean"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_after_a_quiet_period_the_count_begins_anew(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a", QUICK)
        await nursery.start("a")
        for _ in range(6):
            await nursery.crash("a")
            await nursery.clock.advance(6.0)
            assert nursery.states() == {"a": "ready"}
        await nursery.supervisor.stop_all()

    run(scenario())


@pytest.mark.parametrize("where", ["make", "start"])
def test_a_crash_before_it_is_ready_counts_like_any_other(run: Run, where: str) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.obstacles[where, "a"] += [OSError("port taken"), OSError("port taken")]
        child = nursery.add("a", QUICK)
        nursery.supervisor.start("a")
        await until(lambda: child.state == "restarting")
        assert child.why == "OSError: port taken"
        await nursery.clock.advance(1.0)
        assert nursery.states() == {"a": "restarting"}
        await nursery.clock.advance(2.0)
        assert nursery.states() == {"a": "ready"}
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_stop_while_it_restarts_ends_that(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a", QUICK)
        await nursery.start("a")
        await nursery.crash("a")
        await nursery.supervisor.stop(["a"])
        await nursery.clock.advance(100.0)
        assert nursery.states() == {"a": "stopped"}
        assert nursery.lives == [("start", "a"), ("stop", "a")]

    run(scenario())


def test_a_start_while_it_restarts_happens_at_once_and_once(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a", QUICK)
        await nursery.start("a")
        await nursery.crash("a")
        await nursery.start("a")
        await nursery.clock.advance(100.0)
        assert nursery.lives.count(("start", "a")) == 2
        await nursery.supervisor.stop_all()

    run(scenario())


# The mailbox outlives its actor


def test_what_waits_is_handled_by_the_next_incarnation(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a")
        await nursery.start("a")
        poison, waiting = send(child.mailbox, ValueError("poison")), send(child.mailbox, "hello")
        assert isinstance(await poison.once(), ActorCrashedError)
        await until(lambda: child.state == "restarting")
        while_away = send(child.mailbox, "are you there?")
        assert waiting.told == []
        await nursery.clock.advance(1.0)
        assert await waiting.once() == "hello"
        assert await while_away.once() == "are you there?"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_second_crash_of_the_same_actor_does_not_end_the_next_incarnation(run: Run) -> None:
    """Two of its tasks may fail in one turn of the loop."""

    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", QUICK)
        await nursery.start("a")
        assert child.actor is not None
        child.actor._crash(ValueError("one"))
        child.actor._crash(ValueError("two"))
        await until(lambda: child.state == "restarting")
        await nursery.clock.advance(1.0)
        assert (child.state, child.restarts, child.why) == ("ready", 1, "ValueError: one")
        await nursery.supervisor.stop_all()

    run(scenario())


@pytest.mark.parametrize("end", ["stop", "failure"])
def test_who_waits_in_pykkas_ask_is_told_when_nobody_will_come(run: Run, end: str) -> None:
    """A thread that blocks there would keep the process from ending."""

    async def scenario() -> None:
        nursery = Nursery()
        child = nursery.add("a", RestartPolicy(max_restarts=0))
        await nursery.start("a")
        assert child.actor is not None
        ref = child.actor.actor_ref
        hold = asyncio.Event()

        async def ask_and_end(actor: Infant) -> None:
            await hold.wait()
            if end == "failure":
                raise ValueError

        send(child.mailbox, ask_and_end)
        waiting = ref.ask("hello", block=False)
        stopping = asyncio.create_task(nursery.supervisor.stop(["a"] if end == "stop" else []))
        await nursery.clock.advance()
        hold.set()
        with pytest.raises(pykka.ActorDeadError):
            await waiting
        await stopping

    run(scenario())


# Removing and draining


def test_a_removed_child_is_forgotten(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a")
        nursery.add("b")
        await nursery.start("a", "b")
        await nursery.supervisor.remove(["a"])
        assert nursery.states() == {"b": "ready"}
        await nursery.supervisor.stop_all()

    run(scenario())


def test_draining_waits_until_each_source_has_stopped_taking_in(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        for name in "ab":
            nursery.add(name)
        await nursery.start("a", "b")
        go = asyncio.Event()
        nursery.obstacles["drain", "b"].append(go)
        draining = asyncio.create_task(nursery.supervisor.drain(["a", "b"], 5.0))
        await until(lambda: nursery.lives[-2:] == [("drain", "a"), ("drain", "b")])
        assert not draining.done()
        go.set()
        await draining
        assert nursery.states() == {"a": "ready", "b": "ready"}, "what they took they still acknowledge"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_draining_ends_in_time_and_does_not_wait_for_one_that_crashes(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        for name in "ab":
            nursery.add(name, stop_timeout_s=0.01)
        await nursery.start("a", "b")
        nursery.obstacles["drain", "a"].append(ValueError("cannot"))
        async with asyncio.timeout(2.0):
            await nursery.supervisor.drain(["a"], 5.0)
        nursery.obstacles["drain", "b"].append(never())
        await nursery.supervisor.drain(["b"], 0.01)
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_source_that_is_about_to_start_does_not_begin_while_others_drain(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a")
        nursery.add("b")
        await nursery.start("a", "b")
        await nursery.crash("b")
        await nursery.supervisor.drain(["a", "b"], 5.0)
        await nursery.clock.advance(100.0)
        assert nursery.states() == {"a": "ready", "b": "stopped"}
        await nursery.supervisor.stop_all()

    run(scenario())


@pytest.mark.slow
def test_a_great_many_children_start_and_stop_and_nothing_is_left(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        names = [str(number) for number in range(2000)]
        for name in names:
            nursery.add(name)
            nursery.supervisor.start(name)
        for name in names:
            assert await nursery.supervisor.children[name].settled(5.0)
        await nursery.supervisor.stop(reversed(names[:1000]))
        await nursery.supervisor.stop_all()
        assert set(nursery.states().values()) == {"stopped"}
        assert len(asyncio.all_tasks()) == 2, "this one and the fixture's"

    run(scenario())
