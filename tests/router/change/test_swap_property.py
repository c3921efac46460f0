"""Random topologies, changed at random while messages are under way: nothing is lost, repeated or overtaken."""

from __future__ import annotations

import asyncio
import copy
import gc
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from actors.core.child import Child
from actors.core.errors import BackPressureError, ControlError
from router.change.preparation import NotReadyError
from router.routing.chain import Chain
from router.routing.delivery import Delivery
from router.routing.outlet import SourceOutlet
from router.routing.route import Route
from router.routing.route_actor import RouteActor
from tests.loop import Run
from tests.router.change.documents import FEEDS, PITS, ROUTES, documents, edits
from tests.router.change.virtual import TESTER, Document, World
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse, Reply

T = TypeVar("T")

DEADLINE_S = 60.0

ANSWERS: st.SearchStrategy[Answer] = st.sampled_from(
    [
        OK,
        OK,
        Reply({"ok": True}),
        Refuse(),
        Refuse(),
        Refuse("overload", retry_after_s=7.0),
        Refuse(retryable=False),
        Refuse("unknown"),
        Crash(),
        Hang(),
        Hang(),
    ]
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["x", "y", "x", ""]),
            "other": st.sampled_from(["p", "q", ""]),
            "dup": st.sampled_from(["", "", "d1", "d2"]),
            "parts": st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"], []]),
            "lifetime_s": st.sampled_from([None, None, None, 4.0]),
        }
    ),
    min_size=2,
    max_size=8,
)


class Changing(RuleBasedStateMachine):
    """A router under load that is changed; what must hold is looked at after every turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.folder = tempfile.TemporaryDirectory()
        self.world: World
        self.document: Document
        self.changing: asyncio.Task[Any] | None = None
        self.carried_out = 0
        self.sound = True
        """Nothing has failed so far: what follows a failure says nothing more."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        sound, self.sound = self.sound, False
        result = self.runner.run(asyncio.wait_for(work, DEADLINE_S))
        self.sound = sound
        return result

    @initialize(document=documents())
    def start(self, document: Document) -> None:
        async def work() -> None:
            self.world = World(Path(self.folder.name), document)
            await self.world.start()

        self.run(work())
        self.document = document

    def _one(self, names: Sequence[str], which: int) -> str:
        """One of those that are there."""
        there = [name for name in names if name in self.world.engine.supervisor.children]
        return there[which % len(there)]

    # What happens

    @rule(which=st.integers(0, 3), messages=MESSAGES)
    def send(self, which: int, messages: list[dict[str, Any]]) -> None:
        async def work() -> None:
            for message in messages:
                try:
                    self.world.send(self._one(FEEDS, which), **message)
                except BackPressureError:
                    break
            await self.world.turns(2)

        self.run(work())

    @rule(which=st.integers(0, 3), messages=MESSAGES)
    def wait_for_room(self, which: int, messages: list[dict[str, Any]]) -> None:
        async def work() -> None:
            for message in messages:
                self.world.put(self._one(FEEDS, which), **message)
            await self.world.turns(2)

        self.run(work())

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0, 12.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.world.advance(seconds))

    @rule(which=st.integers(0, 4), answers=st.lists(ANSWERS, min_size=2, max_size=10))
    def will_answer(self, which: int, answers: list[Answer]) -> None:
        self.world.scripts[self._one(PITS, which)].answers.extend(answers)

    @rule(which=st.integers(0, 4))
    def lets_go(self, which: int) -> None:
        self.world.scripts[self._one(PITS, which)].let_go()
        self.run(self.world.settle())

    @rule(which=st.integers(0, 4), away=st.booleans())
    def goes_or_comes(self, which: int, away: bool) -> None:
        async def work() -> None:
            child = self.world.engine.supervisor.children[self._one(PITS, which)]
            if away:
                child.unavailable("the cable is out")
            else:
                child.available()
            await self.world.settle()

        self.run(work())

    @rule(name=st.sampled_from([*PITS, *(f"route/{name}" for name in ROUTES)]))
    def restarts(self, name: str) -> None:
        async def work() -> None:
            supervisor = self.world.engine.supervisor
            if name in supervisor.children:
                await supervisor.restart(name)

        self.run(self.world.finish(work()))

    @rule(mode=st.sampled_from(["original", "current"]))
    def replays(self, mode: str) -> None:
        async def work() -> None:
            world = self.world
            for letter in await world.engine.dead_letters.page(limit=2):
                world.replayed.add(letter.message_id.partition("-")[0])
                world.replay(letter.id, mode)
            await world.settle()

        self.run(work())

    # Changes

    @rule(data=st.data(), sound=st.sampled_from([True, True, True, True, False]), turns=st.sampled_from([0, 1, 3, 40]))
    def change(self, data: st.DataObject, sound: bool, turns: int) -> None:
        """To other topologies; whatever comes next may come while this is under way."""
        self.run(self._changed())
        document = data.draw(edits(self.document, sound=sound))

        async def work() -> None:
            world = self.world
            topology = world.topology(document)
            assert topology is not None, f"{document}\n{world.problems}"
            self.changing = asyncio.create_task(world.apply(topology))
            self.changing.set_name("change")
            await world.turns(turns)

        self.run(work())

    @precondition(lambda self: self.carried_out > 0)
    @rule(turns=st.sampled_from([0, 40]))
    def roll_back(self, turns: int) -> None:
        async def work() -> None:
            await self._changed()
            self.changing = asyncio.create_task(self.world.engine.changes.rollback(None, who=TESTER))
            await self.world.turns(turns)

        self.run(work())

    async def _changed(self) -> None:
        """The change that is under way has been carried out."""
        if self.changing is None:
            return
        changing, self.changing = self.changing, None
        before = self.world.engine.topology
        try:
            changed = await self.world.finish(changing)
        except (NotReadyError, ControlError):
            assert self.world.engine.topology is before
        else:
            if changed.report is not None:
                assert changed.report.difference == 0
            self.carried_out += changed.revision is not None
            self.document = self.world.document()
        await self.world.settle()
        self.world.check_rest()

    # The end

    def teardown(self) -> None:
        try:
            if self.sound and hasattr(self, "world"):
                self.run(self._end())
        finally:
            self.runner.close()
            self.folder.cleanup()

    async def _end(self) -> None:
        world = self.world
        await self._changed()
        await world.heal()
        await world.ends()
        world.check_end()
        world.check_rest()
        await world.stop()


@pytest.mark.slow
def test_changes_of_a_router_under_load_lose_nothing_and_keep_the_order_of_keys() -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    default = settings.default
    assert default is not None
    examples = 2 * default.max_examples  # 200, and fewer where only a look is wanted
    run_state_machine_as_test(
        Changing, settings=settings(max_examples=examples, stateful_step_count=25, suppress_health_check=checks)
    )


# What is left behind


def kept_alive(world: World) -> Counter[str]:
    """How many there are of what a swap makes and ends, in all of this process's memory, and of timers and tasks."""
    gc.collect()
    kinds = (Child, Route, Chain, Delivery, SourceOutlet, RouteActor, *(type(feed) for feed in world.feeds.values()))
    found = Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))
    found["timers"] = sum(timer.callback is not None for _, _, timer in world.clock._timers)
    found["tasks"] = len(asyncio.all_tasks())
    return found


@pytest.mark.slow
def test_fifty_swaps_leave_nothing_behind(run: Run) -> None:
    """Actors, routes, steps, connections to watch, timers and tasks: as many as before, though messages were under
    way, were refused, and waited at each."""
    first: Document = {
        "actors": {
            "s1": {"type": "feed", "way": "beside"},
            "s2": {"type": "feed"},
            "t1": {"type": "pit"},
            "t2": {"type": "pit", "way": "handed_over", "hole": "north"},
            "t3": {"type": "pit", "way": "break", "at_once": 3},
        },
        "routes": {
            "r1": {"from": "s1", "to": ["t1", "t2"], "durable": True, "order_by": "{{ data.key }}"},
            "r2": {"from": ["s1", "s2"], "to": "t3", "steps": [{"linger": {"seconds": 0.5}}], "concurrency": 3},
            "r3": {"from": "s2", "to": "t1", "fallback": "t2", "steps": [{"dedup": {"key": "{{ data.dup }}"}}]},
        },
    }

    def other(number: int) -> Document:
        document: Document = copy.deepcopy(first)
        document["actors"][f"t{number % 3 + 1}"]["note"] = number
        document["actors"][f"s{number % 2 + 1}"]["note"] = number
        document["routes"]["r2"]["steps"] = [{"linger": {"seconds": 0.5 + number % 2}}]
        document["routes"]["r1"]["to"] = ["t2", "t1"] if number % 2 else ["t1", "t3"]
        document["routes"]["r1"]["durable"] = number % 4 != 3
        document["routes"]["r1"]["order_by"] = "{{ data.key }}" if number % 5 else "{{ data.other }}"
        document["routes"][f"way{number}"] = {"from": "s2", "to": "t2", "steps": [{"map": {"set": {"data.x": 1}}}]}
        document["actors"][f"more{number}"] = {"type": "pit"}
        document["routes"]["r3"]["to"] = f"more{number}"
        return document

    async def scenario(folder: Path) -> None:
        world = World(folder, first)
        await world.start()
        before: Counter[str] = Counter()
        for number in range(60):
            if number == 10:
                await world.change(first)
                await world.ends()
                before = kept_alive(world)
            for name in ("t1", "t2", "t3"):
                world.scripts[name].answers.extend([Hang(), Refuse(), OK, Crash()])
            for source in ("s1", "s2"):
                for key in "xyx":
                    world.send(source, key=key, other="p", dup=f"d{number}", parts=[])
            report = (await world.change(other(number))).report
            assert report is not None
            assert report.difference == 0
            world.check_rest()
            for script in world.scripts.values():
                script.answers.clear()
            await world.ends()
        await world.change(first)
        await world.ends()
        world.check_end()
        # An actor's task has its last message at hand, and a timer that nobody waits for is not due yet; what each
        # swap left behind would be fifty.
        grown = kept_alive(world) - before
        assert all(number < 10 for number in grown.values()), grown
        await world.stop()

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))
