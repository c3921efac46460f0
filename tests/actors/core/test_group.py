"""Actors of a group are restarted together, in their order, and fail together."""

import asyncio
from typing import Literal

import pytest

from actors.core.events import ActorFailed
from actors.core.group import Group
from actors.core.restart import RestartPolicy, Strategy
from tests.actors.core.answers import send, until
from tests.actors.core.nursery import Nursery, never
from tests.loop import Run

POLICY = RestartPolicy(max_restarts=2, within_s=100.0, min_delay_s=1.0, jitter=0.0)


async def grouped(strategy: Strategy, names: str = "abc", policy: RestartPolicy = POLICY) -> tuple[Nursery, Group]:
    """A nursery with a group whose members are ready, and nothing noted yet."""
    nursery = Nursery()
    for name in names:
        nursery.add(name, stop_timeout_s=1.0)
    group = Group("family", strategy, tuple(names), policy)
    nursery.supervisor.group(group)
    await nursery.start(*names)
    nursery.lives.clear()
    return nursery, group


def life(text: str) -> list[tuple[str, str]]:
    """`-a +b` is: a stopped, b started."""
    return [("start" if word[0] == "+" else "stop", word[1:]) for word in text.split()]


@pytest.mark.parametrize(
    ("strategy", "crashed", "lives"),
    [
        ("one_for_one", "b", "-b +b"),
        ("one_for_all", "a", "-a -c -b +a +b +c"),
        ("one_for_all", "b", "-b -c -a +a +b +c"),
        ("rest_for_one", "a", "-a -c -b +a +b +c"),
        ("rest_for_one", "b", "-b -c +b +c"),
        ("rest_for_one", "c", "-c +c"),
    ],
)
def test_the_strategy_says_who_stops_last_first_and_starts_in_order(
    run: Run, strategy: Strategy, crashed: str, lives: str
) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped(strategy)
        await nursery.crash(crashed)
        await nursery.clock.advance(0.9)
        stops = [entry for entry in life(lives) if entry[0] == "stop"]
        assert nursery.lives == stops, "the delay is not over"
        await nursery.clock.advance(0.1)
        await nursery.is_ready("a", "b", "c")
        assert nursery.lives == life(lives)
        await nursery.supervisor.stop_all()

    run(scenario())


def test_the_next_starts_when_the_one_before_is_ready(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        go = asyncio.Event()
        nursery.obstacles["start", "a"].append(go)
        await nursery.crash("b")
        await nursery.clock.advance(5.0)
        assert nursery.states() == {"a": "starting", "b": "restarting", "c": "restarting"}
        go.set()
        await nursery.is_ready("a", "b", "c")
        await nursery.supervisor.stop_all()

    run(scenario())


def test_mailboxes_take_deliveries_all_the_while(run: Run) -> None:
    """A member that is stopped to be started again keeps what waits, as one that crashed does."""

    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        child = nursery.supervisor.children["c"]
        refusals: list[bool] = []
        child.watch(lambda: refusals.append(child.closed is not None))
        await nursery.crash("a")
        await nursery.clock.advance(0.5)
        answer = send(child.mailbox, "hello")
        await nursery.clock.advance(5.0)
        assert await answer.once() == "hello"
        assert refusals == []
        await nursery.supervisor.stop_all()

    run(scenario())


def test_one_count_is_shared_and_all_fail_together(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("rest_for_one")
        for name in "bc":
            await nursery.crash(name)
            await nursery.clock.advance(5.0)
            await nursery.is_ready("a", "b", "c")
        error = ValueError("the last")
        nursery.lives.clear()
        await nursery.crash("b", error)
        await until(lambda: set(nursery.states().values()) == {"failed"})
        assert nursery.lives == life("-b -c -a"), "also those before the one that crashed"
        for name in "abc":
            assert ActorFailed(name, 2, 100.0, error) in nursery.emitted
        assert nursery.supervisor.children["b"].why == "ValueError: the last"
        assert nursery.supervisor.children["a"].why == "its group failed with b"
        closed = nursery.supervisor.children["a"].closed
        assert closed is not None
        assert closed.why == "a failed: its group failed with b"
        await nursery.clock.advance(100.0)
        assert set(nursery.states().values()) == {"failed"}

    run(scenario())


def test_even_one_for_one_shares_its_count_in_a_group(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_one")
        for name in "ab":
            await nursery.crash(name)
            await nursery.clock.advance(5.0)
        await nursery.crash("c")
        await until(lambda: set(nursery.states().values()) == {"failed"})

    run(scenario())


def test_an_operator_revives_a_failed_group_by_any_of_its_members(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all", policy=RestartPolicy(max_restarts=0))
        await nursery.supervisor.stop(["c"])
        await nursery.crash("a")
        await until(lambda: nursery.states() == {"a": "failed", "b": "failed", "c": "stopped"})
        nursery.lives.clear()
        await nursery.supervisor.restart("b")
        await nursery.is_ready("a", "b")
        assert nursery.lives == life("+a +b")
        assert nursery.states()["c"] == "stopped", "that one did not fail"
        await nursery.supervisor.stop_all()

    run(scenario())


def test_restarting_one_that_runs_leaves_the_others_alone(run: Run) -> None:
    async def scenario() -> None:
        nursery, group = await grouped("one_for_all")
        await nursery.crash("b")
        await nursery.clock.advance(5.0)
        await nursery.is_ready("a", "b", "c")
        assert group.history
        nursery.lives.clear()
        await nursery.supervisor.restart("b")
        await nursery.is_ready("b")
        assert nursery.lives == life("-b +b")
        assert not group.history
        await nursery.supervisor.stop_all()

    run(scenario())


def test_the_restart_type_is_each_members_own(run: Run) -> None:
    """The intensity is the group's, as in OTP."""

    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a", RestartPolicy("temporary"))
        nursery.add("b")
        nursery.supervisor.group(Group("family", "one_for_all", ("a", "b"), POLICY))
        await nursery.start("a", "b")
        await nursery.crash("a")
        await nursery.clock.advance(5.0)
        assert nursery.states() == {"a": "stopped", "b": "ready"}
        await nursery.crash("b")
        await nursery.clock.advance(5.0)
        assert nursery.states() == {"a": "stopped", "b": "ready"}, "it does not come back with the others"
        await nursery.supervisor.stop_all()

    run(scenario())


# What comes between


def test_a_second_crash_during_a_restart_brings_back_those_of_both(run: Run) -> None:
    """While c is being stopped for a's sake, b crashes, whose restart alone would leave a out."""

    async def scenario() -> None:
        nursery, _ = await grouped("rest_for_one")
        go = asyncio.Event()
        nursery.obstacles["stop", "c"].append(go)
        await nursery.crash("a")
        await until(lambda: nursery.lives[-1] == ("stop", "c"))
        await nursery.crash("b")
        go.set()
        await nursery.clock.advance(1.5)
        assert set(nursery.states().values()) == {"restarting"}, "the second delay is the longer one"
        await nursery.clock.advance(0.5)
        await nursery.is_ready("a", "b", "c")
        assert nursery.lives == life("-a -c -b +a +b +c")
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_crash_too_many_during_a_restart_fails_all_of_them(run: Run) -> None:
    """Also the one that is just being stopped to be started again."""

    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all", policy=RestartPolicy(max_restarts=1))
        go = asyncio.Event()
        nursery.obstacles["stop", "c"].append(go)
        await nursery.crash("a")
        await until(lambda: nursery.lives[-1] == ("stop", "c"))
        await nursery.crash("b")
        go.set()
        await nursery.clock.advance(5.0)
        assert set(nursery.states().values()) == {"failed"}

    run(scenario())


def test_a_crash_while_the_others_are_being_started_begins_anew(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        nursery.obstacles["start", "b"].append(OSError("port taken"))
        await nursery.crash("a")
        await nursery.clock.advance(1.0)
        await until(lambda: nursery.states()["b"] == "restarting")
        await nursery.clock.advance(2.0)
        await nursery.is_ready("a", "b", "c")
        assert nursery.lives == life("-a -c -b +a +b -b -a +a +b +c")
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_member_that_cannot_be_made_is_a_crash_like_any_other(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        nursery.obstacles["make", "b"].append(OSError("no such file"))
        await nursery.crash("a")
        await nursery.clock.advance(1.0)
        await until(lambda: nursery.states()["b"] == "restarting")
        await nursery.clock.advance(2.0)
        await nursery.is_ready("a", "b", "c")
        await nursery.supervisor.stop_all()

    run(scenario())


@pytest.mark.parametrize("when", ["stopping", "waiting"])
def test_a_member_that_an_operator_stops_stays_stopped(run: Run, when: Literal["stopping", "waiting"]) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        go = asyncio.Event()
        nursery.obstacles["stop", "c"].append(go)
        await nursery.crash("a")
        await until(lambda: nursery.lives[-1] == ("stop", "c"))
        if when == "waiting":
            go.set()
            await until(lambda: nursery.states()["c"] == "restarting")
        stopping = asyncio.create_task(nursery.supervisor.stop(["c"]))
        await nursery.clock.advance()
        go.set()
        await stopping
        await nursery.clock.advance(5.0)
        await nursery.is_ready("a", "b")
        assert nursery.states() == {"a": "ready", "b": "ready", "c": "stopped"}
        assert ("start", "c") not in nursery.lives
        await nursery.supervisor.stop_all()

    run(scenario())


def test_those_that_did_not_run_are_not_started_with_the_others(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        nursery.add("a")
        nursery.add("b", enabled=False)
        nursery.add("c")
        nursery.supervisor.group(Group("family", "one_for_all", ("a", "b", "c"), POLICY))
        await nursery.start("a", "c")
        await nursery.supervisor.stop(["c"])
        await nursery.crash("a")
        await nursery.clock.advance(5.0)
        assert nursery.states() == {"a": "ready", "b": "disabled", "c": "stopped"}
        await nursery.supervisor.stop_all()

    run(scenario())


@pytest.mark.parametrize("when", ["stopping", "waiting", "waiting again", "starting"])
def test_stopping_everything_ends_a_restart_wherever_it_is(run: Run, when: str) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        go = asyncio.Event()
        if when == "stopping":
            nursery.obstacles["stop", "c"].append(go)
        if when == "starting":
            nursery.obstacles["start", "a"].append(go)
        if when == "waiting again":
            nursery.obstacles["stop", "c"].append(go)
            await nursery.crash("a")
            await until(lambda: nursery.lives[-1] == ("stop", "c"))
        await nursery.crash("b")
        if when == "waiting again":
            go.set()
        await nursery.clock.advance(1.0 if when == "starting" else 0.0)
        stopping = asyncio.create_task(nursery.supervisor.stop_all())
        await nursery.clock.advance()
        go.set()
        await stopping
        assert set(nursery.states().values()) == {"stopped"}
        await nursery.clock.advance(100.0)
        assert set(nursery.states().values()) == {"stopped"}

    run(scenario())


def test_one_that_does_not_end_for_the_others_is_cancelled(run: Run) -> None:
    async def scenario() -> None:
        nursery = Nursery()
        for name in "ab":
            nursery.add(name, stop_timeout_s=0.01)
        nursery.supervisor.group(Group("family", "one_for_all", ("a", "b"), POLICY))
        await nursery.start("a", "b")
        nursery.obstacles["stop", "b"].append(never())
        await nursery.crash("a")
        await until(lambda: nursery.states()["b"] == "restarting")
        await nursery.clock.advance(1.0)
        await nursery.is_ready("a", "b")
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_removed_member_leaves_the_group(run: Run) -> None:
    async def scenario() -> None:
        nursery, group = await grouped("one_for_all")
        await nursery.supervisor.remove(["b"])
        assert group.members == ("a", "c")
        nursery.lives.clear()
        await nursery.crash("a")
        await nursery.clock.advance(5.0)
        await nursery.is_ready("a", "c")
        assert nursery.lives == life("-a -c +a +c")
        await nursery.supervisor.stop_all()

    run(scenario())


def test_a_member_can_be_removed_while_its_group_restarts(run: Run) -> None:
    async def scenario() -> None:
        nursery, _ = await grouped("one_for_all")
        await nursery.crash("a")
        await nursery.clock.advance(0.5)
        await nursery.supervisor.remove(["b", "a"])
        await nursery.clock.advance(5.0)
        assert nursery.states() == {"c": "ready"}
        await nursery.supervisor.stop_all()

    run(scenario())
