"""An actor with a thread of its own works as an endpoint, and the loop never waits for it."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from actors.core.child import Child, ChildSpec
from actors.core.clock import ManualClock
from actors.core.errors import ActorCrashedError, ActorStoppedError, BackPressureError, DeliveryError, Reason
from actors.core.events import Events
from actors.core.mailbox import Mailbox
from actors.core.message import Message, Receipt
from actors.core.restart import RestartPolicy
from actors.core.supervisor import Supervisor
from actors.core.thread import ThreadBridge, ThreadOutlet
from tests.actors.core.answers import DEADLINE_S, message, send, until
from tests.loop import Run


class Blocking(pykka.ThreadingActor):
    """Does in its thread what a callable says, raises an exception, and answers all else."""

    use_daemon_thread = True

    def __init__(self, script: "Script") -> None:
        super().__init__()
        self._script = script
        script.met("init")

    def on_start(self) -> None:
        self._script.thread = threading.current_thread()
        self._script.met("start")

    def on_receive(self, message: Any) -> Any:
        data = message.data
        if isinstance(data, BaseException):
            raise data
        return data() if callable(data) else data

    def on_stop(self) -> None:
        self._script.met("stop")


class Script:
    """What threads went through, and where the next of them are held up or fail."""

    def __init__(self) -> None:
        self.life: list[str] = []
        self.obstacles: dict[str, Any] = {}
        self.thread: threading.Thread | None = None

    def met(self, place: str) -> None:
        self.life.append(place)
        obstacle = self.obstacles.pop(place, None)
        if isinstance(obstacle, Exception):
            raise obstacle
        if obstacle is not None:
            assert obstacle.wait(DEADLINE_S)


class Stage:
    """A supervised bridge to a `Blocking`."""

    def __init__(self, *, stop_timeout_s: float = DEADLINE_S) -> None:
        self.script = Script()
        self.clock = ManualClock()
        self.supervisor = Supervisor(clock=self.clock, events=Events(), random=lambda: 0.5)
        self.child: Child = self.supervisor.add(
            ChildSpec(
                "it",
                lambda: ThreadBridge(lambda: Blocking.start(self.script)),
                Mailbox("it", now=self.clock.now),
                RestartPolicy(min_delay_s=1.0),
                stop_timeout_s=stop_timeout_s,
            )
        )

    async def start(self) -> None:
        assert await self.supervisor.start("it").settled(DEADLINE_S), self.child.why

    async def stop(self) -> None:
        await self.supervisor.stop_all()

    @property
    def thread(self) -> threading.Thread:
        assert self.script.thread is not None
        return self.script.thread

    async def thread_ends(self, thread: threading.Thread | None = None) -> None:
        await asyncio.to_thread((thread or self.thread).join, DEADLINE_S)
        assert not (thread or self.thread).is_alive()


def test_it_answers_from_its_thread_and_its_thread_ends_with_it(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.start()
        assert await send(stage.child.mailbox, "hello").once() == "hello"
        worked_in = await send(stage.child.mailbox, threading.current_thread).once()
        assert worked_in is stage.thread is not threading.current_thread()
        await stage.stop()
        assert stage.script.life == ["init", "start", "stop"], "its on_stop is over when it is stopped"
        await stage.thread_ends()

    run(scenario())


def test_the_loop_goes_on_while_the_thread_works(run: Run) -> None:
    """The thread waits for what only the loop can give it."""

    async def scenario() -> None:
        stage = Stage()
        await stage.start()
        begun, go = threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            assert go.wait(DEADLINE_S)
            return "done"

        answer = send(stage.child.mailbox, work)
        await until(begun.is_set)
        assert answer.told == []
        go.set()
        assert await answer.once() == "done"
        await stage.stop()

    run(scenario())


def test_a_slow_init_does_not_hold_the_loop_and_it_is_ready_behind_on_start(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage()
        built, started = threading.Event(), threading.Event()
        stage.script.obstacles |= {"init": built, "start": started}
        stage.supervisor.start("it")
        await until(lambda: stage.script.life == ["init"])
        built.set()
        await until(lambda: stage.script.life == ["init", "start"])
        assert stage.child.state == "starting"
        started.set()
        assert await stage.child.settled(DEADLINE_S)
        await stage.stop()

    run(scenario())


@pytest.mark.parametrize("place", ["init", "start"])
def test_one_that_cannot_start_is_a_crash(run: Run, place: str) -> None:
    """Pykka logs what its `on_start` raised, and the thread ends."""

    async def scenario() -> None:
        stage = Stage()
        stage.script.obstacles[place] = OSError("port taken")
        stage.supervisor.start("it")
        await until(lambda: stage.child.state == "restarting")
        assert stage.child.why.startswith("OSError: port taken" if place == "init" else "Actor")
        await stage.clock.advance(1.0)
        assert await stage.child.settled(DEADLINE_S)
        await stage.stop()

    run(scenario())


def test_a_failed_attempt_in_the_thread_is_the_senders(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.start()
        error = DeliveryError("not now", reason="overload")
        assert await send(stage.child.mailbox, error).once() is error
        assert await send(stage.child.mailbox, "still here").once() == "still here"
        assert stage.child.restarts == 0
        await stage.stop()

    run(scenario())


def test_any_other_exception_in_the_thread_is_a_crash_and_another_thread_follows(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.start()
        first = stage.thread
        error = ValueError("oh")
        crash = await send(stage.child.mailbox, error).once()
        assert isinstance(crash, ActorCrashedError)
        assert crash.__cause__ is error
        await until(lambda: stage.child.state == "restarting")
        await stage.thread_ends(first)
        await stage.clock.advance(1.0)
        assert await stage.child.settled(DEADLINE_S)
        assert await send(stage.child.mailbox, "hello").once() == "hello"
        assert stage.thread is not first
        await stage.stop()
        await stage.thread_ends()

    run(scenario())


def test_a_thread_that_ends_by_itself_is_a_crash(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.start()

        def leave() -> None:
            ref = stage.child.actor
            assert isinstance(ref, ThreadBridge)
            assert ref._ref is not None
            ref._ref.stop(block=False)

        assert await send(stage.child.mailbox, leave).once() is None
        await stage.thread_ends()
        assert isinstance(await send(stage.child.mailbox, "anybody?").once(), ActorCrashedError)
        await until(lambda: stage.child.state == "restarting")
        await stage.stop()

    run(scenario())


def test_a_thread_that_dies_with_a_message_in_hand_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pykka answers nothing where an exception beside `Exception` ends the thread."""
    monkeypatch.setattr("actors.core.thread.STILL_ALIVE_S", 0.01)

    async def scenario() -> None:
        stage = Stage()
        await stage.start()
        crash = await send(stage.child.mailbox, SystemExit()).once()
        assert isinstance(crash, ActorCrashedError)
        assert isinstance(crash.__cause__, ActorStoppedError)
        await until(lambda: stage.child.state == "restarting")
        await stage.stop()

    run(scenario())


def test_a_stop_does_not_wait_for_a_busy_thread_which_ends_when_it_can(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage(stop_timeout_s=0.01)
        await stage.start()
        begun, go = threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            assert go.wait(DEADLINE_S)
            return "too late"

        answer = send(stage.child.mailbox, work)
        await until(begun.is_set)
        async with asyncio.timeout(1.0):
            await stage.stop()
        error = await answer.once()
        assert isinstance(error, DeliveryError)
        assert error.reason == "unknown"
        go.set()
        await stage.thread_ends()
        assert stage.script.life == ["init", "start", "stop"]
        assert len(answer.told) == 1

    run(scenario())


def test_a_thread_that_starts_after_its_bridge_was_given_up_is_stopped(run: Run) -> None:
    async def scenario() -> None:
        stage = Stage(stop_timeout_s=0.01)
        built = threading.Event()
        stage.script.obstacles["init"] = built
        stage.supervisor.start("it")
        await until(lambda: stage.script.life)
        await stage.stop()
        built.set()
        await until(lambda: stage.script.life == ["init", "start", "stop"])
        await stage.thread_ends()

    run(scenario())


# The outlet of one that is a source


class Route:
    """An outlet that keeps what comes, on which thread, and can be full."""

    safe = True
    routed = True

    def __init__(self) -> None:
        self.came: list[Any] = []
        self.refusal: Exception | None = None
        self.has_room = asyncio.Event()
        self.has_room.set()

    def offer(self, message: Message, receipt: Receipt | None = None) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.came.append((message.data, threading.current_thread()))

    def offer_again(self, message: Message, receipt: Receipt) -> None:
        self.came.append((f"{message.data} again", threading.current_thread()))

    async def room(self) -> None:
        await self.has_room.wait()

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        await self.room()
        self.offer(message, receipt)

    def reject(self, message: Message, receipt: Receipt | None, *, reason: Reason, error: str) -> None:
        self.came.append((reason, error))


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        return await asyncio.to_thread(function, *args)


def test_what_a_thread_hands_on_arrives_on_the_loops_thread(run: Run) -> None:
    async def scenario() -> None:
        route = Route()
        outlet = ThreadOutlet(route, asyncio.get_running_loop())
        assert outlet.safe
        await in_thread(outlet.offer, message("offered"))
        await in_thread(outlet.put, message("put"))
        await in_thread(outlet.room)
        await in_thread(outlet.offer_again, message("offered"), Receipt())
        await in_thread(lambda: outlet.reject(message("bad"), None, reason="undecodable", error="no JSON"))
        here = threading.current_thread()
        assert route.came == [
            ("offered", here),
            ("put", here),
            ("offered again", here),
            ("undecodable", "no JSON"),
        ]

    run(scenario())


def test_a_refusal_is_raised_in_the_thread(run: Run) -> None:
    async def scenario() -> None:
        route = Route()
        route.refusal = BackPressureError("full", route="r")
        outlet = ThreadOutlet(route, asyncio.get_running_loop())
        with pytest.raises(BackPressureError):
            await in_thread(outlet.offer, message())

    run(scenario())


def test_a_put_waits_for_room_and_gives_up_in_time(run: Run) -> None:
    async def scenario() -> None:
        route = Route()
        route.has_room.clear()
        outlet = ThreadOutlet(route, asyncio.get_running_loop(), timeout_s=0.01)
        with pytest.raises(TimeoutError):
            await in_thread(outlet.put, message("impatient"))
        patient = ThreadOutlet(route, asyncio.get_running_loop())
        waiting = asyncio.create_task(in_thread(patient.put, message("patient")))
        asyncio.get_running_loop().call_later(0.001, route.has_room.set)
        await waiting
        assert [data for data, _ in route.came] == ["patient"], "the one that gave up was not handed on"

    run(scenario())


def test_on_the_loops_own_thread_it_raises_in_place_of_waiting_for_itself(run: Run) -> None:
    async def scenario() -> None:
        outlet = ThreadOutlet(Route(), asyncio.get_running_loop())
        with pytest.raises(RuntimeError, match="use the outlet as it is"):
            outlet.offer(message())

    run(scenario())


def test_when_the_loop_is_closed_it_raises() -> None:
    async def scenario() -> ThreadOutlet:
        return ThreadOutlet(Route(), asyncio.get_running_loop())

    outlet = asyncio.run(scenario())
    with pytest.raises(RuntimeError):
        outlet.put(message())
