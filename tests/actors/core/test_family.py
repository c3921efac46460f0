"""Children that an actor starts for itself: cheap, never started again, and gone with their parent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.core.actor import AsyncioActor
from actors.core.child import ChildSpec
from actors.core.clock import ManualClock
from actors.core.envelope import Envelope
from actors.core.events import ActorCrashed, ActorReady, ActorStarted, ActorStopped, Event, Events
from actors.core.family import Family
from actors.core.mailbox import Mailbox
from actors.core.message import Message
from actors.core.restart import RestartPolicy
from actors.core.supervisor import Supervisor
from tests.actors.core.answers import DEADLINE_S, until
from tests.loop import Run


class Parent(AsyncioActor):
    """Does nothing by itself."""


class Infant(AsyncioActor):
    """Crashes where it is told to, and waits where it is told to."""

    async def on_receive(self, message: Any) -> None:
        if message.data == "crash":
            raise RuntimeError("enough")
        if message.data == "wait":
            await asyncio.Event().wait()


@dataclass
class Home:
    """A supervisor with one actor that has a family."""

    clock: ManualClock = field(default_factory=ManualClock)
    emitted: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        events = Events()
        events.subscribe(Event, self.emitted.append)
        self.supervisor = Supervisor(clock=self.clock, events=events, random=lambda: 0.5)
        self.supervisor.add(
            ChildSpec("panel", Parent, Mailbox("panel", now=self.clock.now), RestartPolicy(min_delay_s=1.0))
        )

    @property
    def family(self) -> Family:
        return self.supervisor.family("panel")

    async def start(self, *names: str) -> None:
        """Start the parent, and these children of it."""
        await self.supervisor.start("panel").settled(DEADLINE_S)
        for name in names:
            self.family.start(name, Infant, Mailbox(f"panel/{name}", now=self.clock.now))
        await until(lambda: all(member.state == "ready" for member in self.family.members.values()))

    def tell(self, name: str, data: str) -> None:
        self.family.members[f"panel/{name}"].mailbox.put(Envelope(Message(data, "it", data)))

    def kinds(self, name: str) -> list[type[Event]]:
        return [type(event) for event in self.emitted if getattr(event, "actor", None) == name]


def scenario(body: Callable[[Home], Awaitable[None]]) -> Callable[[Run], None]:
    """Make a test of a coroutine that is given a home, which is left with nobody in it."""

    def test(run: Run) -> None:
        async def main() -> None:
            home = Home()
            await body(home)
            await home.supervisor.stop_all()
            assert not home.family.members

        run(main())

    test.__name__ = body.__name__
    test.__doc__ = body.__doc__
    return test


@scenario
async def test_a_child_is_known_by_its_parents_name_and_its_own(home: Home) -> None:
    """A name is taken while it lives."""
    await home.start("1", "2")
    assert list(home.family.members) == ["panel/1", "panel/2"]
    assert home.supervisor.member("panel/2") is home.family.members["panel/2"]
    assert home.supervisor.member("panel/3") is home.supervisor.member("panel") is home.supervisor.member("x/1") is None
    with pytest.raises(ValueError, match="there already"):
        home.family.start("1", Infant, Mailbox("panel/1", now=home.clock.now))


@scenario
async def test_one_that_ends_is_forgotten(home: Home) -> None:
    """By itself or by a crash; it is not started again, and the others go on."""
    await home.start("1", "2", "3")
    home.family.members["panel/1"].actor.stop()
    home.tell("2", "crash")
    await until(lambda: len(home.family) == 1)
    assert home.kinds("panel/1") == [ActorStarted, ActorReady, ActorStopped]
    assert home.kinds("panel/2") == [ActorStarted, ActorReady, ActorCrashed]
    assert (home.family.started, home.family.crashed) == (3, 1)
    assert home.supervisor.children["panel"].state == "ready"


@scenario
async def test_what_they_did_is_counted_over_their_lives(home: Home) -> None:
    """What is left in the mailbox of one that ended counts as dropped."""
    await home.start("1", "2")
    for text in ("a", "b", "wait", "c", "d"):
        home.tell("1", text)
    await until(lambda: home.family.counts()["handled"] == 2)
    mailbox = home.family.members["panel/1"].mailbox
    home.family.members["panel/1"].actor._task.cancel()
    await until(lambda: len(home.family) == 1)
    assert home.family.counts() == {"handled": 2, "failed": 0, "dropped": 3}
    assert not mailbox.messages


@scenario
async def test_children_end_when_their_parent_crashes(home: Home) -> None:
    """The next incarnation begins with none."""
    await home.start("1", "2")
    actor = home.supervisor.children["panel"].actor
    assert actor is not None
    actor._crash(RuntimeError("enough"))
    await until(lambda: not home.family.members)
    await home.clock.advance(2.0)
    assert home.supervisor.children["panel"].state == "ready"
    await home.start("1")


@scenario
async def test_stopping_a_parent_waits_for_its_children(home: Home) -> None:
    """Also for one that has to be cancelled."""
    await home.start("1", "2")
    home.tell("1", "wait")
    await home.supervisor.stop(["panel"], timeout_s=0.05)
    assert not home.family.members


@scenario
async def test_thousands_come_and_go(home: Home) -> None:
    """None of them is known to the supervisor's own table, and none is left over."""
    await home.start(*map(str, range(2000)))
    assert list(home.supervisor.children) == ["panel"]
    await home.supervisor.stop(["panel"])
    assert (len(home.family), home.family.started) == (0, 2000)
