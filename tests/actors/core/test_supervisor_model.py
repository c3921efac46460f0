"""Whatever crashes, and whatever operators do meanwhile: a child has one actor at most, and all can be stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.core.clock import settle
from actors.core.group import Group
from actors.core.restart import Restart, RestartPolicy, Strategy
from tests.actors.core.nursery import Infant, Nursery

NAMES = ("a", "b", "c", "d")
STRATEGIES: tuple[Strategy, ...] = ("one_for_one", "one_for_all", "rest_for_one")
RESTARTS: tuple[Restart, ...] = ("permanent", "transient", "temporary")

names = st.sampled_from(NAMES)


class Counting(Nursery):
    """Remembers all that it made."""

    def make(self, name: str) -> Infant:
        infant = super().make(name)
        self.made.append(infant)
        return infant

    def __post_init__(self) -> None:
        super().__post_init__()
        self.made: list[Infant] = []


class SupervisorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.complaints: list[Any] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.operations: set[asyncio.Task[Any]] = set()
        self.obstacles: list[asyncio.Event] = []

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Begin an operation, which may last beyond what comes next."""
        self.operations.add(self.loop.create_task(coroutine))
        self.loop.run_until_complete(settle())

    @initialize(
        strategy=st.sampled_from(STRATEGIES),
        restarts=st.lists(st.sampled_from(RESTARTS), min_size=4, max_size=4),
        max_restarts=st.integers(0, 3),
    )
    def grow(self, strategy: Strategy, restarts: list[Restart], max_restarts: int) -> None:
        """a, b and c are a group; d is on its own."""

        async def grown() -> None:
            self.nursery = Counting()
            for name, restart in zip(NAMES, restarts, strict=True):
                policy = RestartPolicy(restart, max_restarts, within_s=20.0, min_delay_s=1.0, jitter=0.0)
                self.nursery.add(name, policy, stop_timeout_s=60.0)
            policy = RestartPolicy(max_restarts=max_restarts, within_s=20.0, min_delay_s=1.0, jitter=0.0)
            self.nursery.supervisor.group(Group("family", strategy, NAMES[:3], policy))
            for name in NAMES:
                self.nursery.supervisor.start(name)

        self.do(grown())

    # What happens

    @rule(name=names)
    def crash(self, name: str) -> None:
        actor = self.nursery.supervisor.children[name].actor
        if actor is not None:
            actor._crash(ValueError("crash"))
            self.loop.run_until_complete(settle())

    @rule(name=names)
    def leave(self, name: str) -> None:
        actor = self.nursery.supervisor.children[name].actor
        if actor is not None and actor.actor_ref.is_alive():
            actor.stop()
            self.loop.run_until_complete(settle())

    @rule(name=names, hook=st.sampled_from(["start", "stop"]), fails=st.booleans())
    def obstruct(self, name: str, hook: str, fails: bool) -> None:
        obstacle: Any = ValueError("obstacle") if fails else asyncio.Event()
        if not fails:
            self.obstacles.append(obstacle)
        self.nursery.obstacles[hook, name].append(obstacle)

    @rule(name=names)
    def spoil(self, name: str) -> None:
        self.nursery.obstacles["make", name].append(OSError("cannot be made"))

    @precondition(lambda self: self.obstacles)
    @rule()
    def release(self) -> None:
        self.obstacles.pop(0).set()
        self.loop.run_until_complete(settle())

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(self.nursery.clock.advance(seconds))

    # What operators do

    @rule(some=st.sets(names, min_size=1))
    def stop(self, some: set[str]) -> None:
        self.do(self.nursery.supervisor.stop(sorted(some)))

    @rule(name=names)
    def start(self, name: str) -> None:
        async def started() -> None:
            self.nursery.supervisor.start(name)

        self.do(started())

    @rule(name=names)
    def restart(self, name: str) -> None:
        self.do(self.nursery.supervisor.restart(name))

    # What holds always

    @invariant()
    def a_child_has_one_actor_at_most(self) -> None:
        for name in NAMES:
            child = self.nursery.supervisor.children[name]
            living = [infant for infant in self.nursery.made if infant.name == name and not infant._over]
            assert len(living) <= 1
            assert (child.actor is not None) is bool(living)
            assert (child.state in ("starting", "ready", "stopping")) is bool(living)
            assert not (child.state == "ready" and child.closed is not None)

    @invariant()
    def nothing_complains(self) -> None:
        assert not self.complaints
        for task in [task for task in self.operations if task.done()]:
            task.result()
            self.operations.discard(task)

    def teardown(self) -> None:
        if hasattr(self, "nursery"):
            self.nursery.obstacles.clear()
            for obstacle in self.obstacles:
                obstacle.set()
            self.wait(60.0)
            assert set(self.nursery.states().values()) <= {"ready", "stopped", "failed"}, "nobody is stuck"
            self.loop.run_until_complete(asyncio.wait_for(self.nursery.supervisor.stop_all(), 10.0))
            self.loop.run_until_complete(settle())
            assert not asyncio.all_tasks(self.loop)
            assert set(self.nursery.states().values()) == {"stopped"}
            self.loop.run_until_complete(self.nursery.clock.advance(1000.0))
            assert set(self.nursery.states().values()) == {"stopped"}, "nothing was left to start it"
        self.loop.close()
        self.nothing_complains()


TestSupervisor = SupervisorMachine.TestCase
TestSupervisor.settings = settings(max_examples=60, stateful_step_count=30)
