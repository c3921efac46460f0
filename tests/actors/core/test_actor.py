"""An actor on the loop: pykka's interface, hooks that may be coroutines, and a life with one end."""

import asyncio
import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pykka
import pytest

from actors.core.actor import TURN, AsyncioActor, Drain
from actors.core.errors import ActorCrashedError, ActorStoppedError, DeliveryError
from actors.core.message import Message
from actors.core.ref import ask
from tests.actors.core.answers import message, send, until
from tests.loop import Run


class Echo(AsyncioActor):
    """Answers a message with its data, and anything else with itself."""

    def __init__(self, name: str = "echo") -> None:
        super().__init__()
        self.name = name
        self.life: list[str] = []

    def on_start(self) -> None:
        self.life.append("start")

    def on_receive(self, message: Any) -> Any:
        return message.data if isinstance(message, Message) else message

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.life.append(f"failure {exception_value!r}")

    def on_stop(self) -> None:
        self.life.append("stop")

    def greet(self, whom: str) -> str:
        return f"{self.name} greets {whom}"

    async def greet_later(self, whom: str) -> str:
        await asyncio.sleep(0)
        return self.greet(whom)


class AsyncEcho(Echo):
    """The same with coroutines for hooks."""

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        await asyncio.sleep(0)
        super().on_start()

    async def on_receive(self, message: Any) -> Any:
        await asyncio.sleep(0)
        return super().on_receive(message)

    async def on_failure(  # type: ignore[override]
        self, exception_type: Any, exception_value: Any, traceback: Any
    ) -> None:
        await asyncio.sleep(0)
        super().on_failure(exception_type, exception_value, traceback)

    async def on_stop(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().on_stop()


class Broken(Echo):
    """Raises what it is sent."""

    def on_receive(self, message: Any) -> Any:
        error = super().on_receive(message)
        if isinstance(error, BaseException):
            raise error
        return error


class AsyncBroken(AsyncEcho):
    """The same, later."""

    async def on_receive(self, message: Any) -> Any:
        error = await super().on_receive(message)
        if isinstance(error, BaseException):
            raise error
        return error


ECHOES = pytest.mark.parametrize("actor_class", [Echo, AsyncEcho])


def actor_of(ref: pykka.ActorRef[Any]) -> Any:
    actor = ref._actor_weakref()
    assert actor is not None
    return actor


async def ended(ref: pykka.ActorRef[Any]) -> None:
    async with asyncio.timeout(5.0):
        await asyncio.wait([actor_of(ref)._task])


async def in_thread(function: Callable[[], Any]) -> Any:
    async with asyncio.timeout(5.0):
        return await asyncio.to_thread(function)


# Pykka's interface


@ECHOES
def test_an_actor_starts_answers_and_stops(run: Run, actor_class: type[Echo]) -> None:
    async def scenario() -> None:
        ref = actor_class.start("it")
        actor = actor_of(ref)
        assert await ref.ask("hello", block=False) == "hello"
        assert await ref.ask(message("data"), block=False) == "data"
        assert ref.is_alive()
        assert await ref.stop(block=False) is True
        assert not ref.is_alive()
        assert actor.life == ["start", "stop"]
        assert await ref.stop(block=False) is False

    run(scenario())


def test_actors_are_not_in_pykkas_registry(run: Run) -> None:
    """It is a list, which takes long to leave; and `stop_all` is for those with threads."""

    async def scenario() -> None:
        ref = Echo.start()
        assert ref not in pykka.ActorRegistry.get_all()
        await ref.stop(block=False)

    run(scenario())


def test_what_was_told_before_a_stop_may_be_refused_but_never_hangs(run: Run) -> None:
    """A stop is a control message, so it is taken before all that waits; pykka's askers are told."""

    async def scenario() -> None:
        ref = Echo.start()
        waiting = ref.ask("hello", block=False)
        stopped = ref.stop(block=False)
        again = ref.stop(block=False)
        with pytest.raises(pykka.ActorDeadError):
            await waiting
        assert await stopped is True
        assert await again is True, "it was being stopped"
        with pytest.raises(pykka.ActorDeadError):
            await ref.ask("late", block=False)
        with pytest.raises(pykka.ActorDeadError):
            ref.tell("late")

    run(scenario())


@ECHOES
def test_proxies_call_methods_and_read_and_write_attributes(run: Run, actor_class: type[Echo]) -> None:
    async def scenario() -> None:
        ref = actor_class.start("it")
        proxy = ref.proxy()
        assert await proxy.greet("you") == "it greets you"
        assert await proxy.greet_later("you") == "it greets you"
        assert await proxy.name == "it"

        def rename() -> str:
            proxy.name = "that"
            renamed: str = proxy.greet("you").get(timeout=5.0)
            return renamed

        assert await in_thread(rename) == "that greets you"
        await ref.stop(block=False)

    run(scenario())


def test_another_thread_asks_tells_and_stops_as_in_pykka(run: Run) -> None:
    async def scenario() -> None:
        ref = Echo.start()

        def visit() -> list[Any]:
            ref.tell("told")
            asked = ref.ask("asked", timeout=5.0)
            later = ref.ask("later", block=False).get(timeout=5.0)
            return [asked, later, ref.stop(timeout=5.0), ref.is_alive(), ref.stop(timeout=5.0)]

        assert await in_thread(visit) == ["asked", "later", True, False, False]

    run(scenario())


def test_blocking_on_the_loop_raises_before_anything_is_sent(run: Run) -> None:
    """Each of these would wait for what the blocked loop has to do."""

    async def scenario() -> None:
        ref = Echo.start()
        with pytest.raises(RuntimeError, match="block=False"):
            ref.ask("hello")
        with pytest.raises(RuntimeError, match="block=False"):
            ref.stop()
        with pytest.raises(RuntimeError, match="block=False"):
            ref.proxy().name = "new"
        assert actor_of(ref).actor_inbox.received == 0
        assert await ref.ask("still here", block=False) == "still here"
        await ref.stop(block=False)

    run(scenario())


class ThreadEcho(pykka.ThreadingActor):
    """Answers from its own thread; asks `other` first if it has one."""

    def __init__(self, other: pykka.ActorRef[Any] | None = None) -> None:
        super().__init__()
        self._other = other

    def on_receive(self, message: Any) -> Any:
        asked = self._other.ask(message, timeout=5.0) if self._other is not None else message
        return (threading.current_thread().name.split("-")[0], asked)


def test_an_actor_with_a_thread_asks_one_on_the_loop_and_the_other_way_round(run: Run) -> None:
    async def scenario() -> None:
        on_loop = Echo.start()
        in_thread_ref = ThreadEcho.start(on_loop)
        async with asyncio.timeout(5.0):
            assert await ask(in_thread_ref, "hello") == ("ThreadEcho", "hello")
        await in_thread(in_thread_ref.stop)
        with pytest.raises(pykka.ActorDeadError):
            await ask(in_thread_ref, "late")
        await on_loop.stop(block=False)

    run(scenario())


def test_an_actor_can_stop_itself(run: Run) -> None:
    class Leaver(Echo):
        def on_receive(self, message: Any) -> Any:
            self.stop()
            return "bye"

    async def scenario() -> None:
        ref = Leaver.start()
        actor = actor_of(ref)
        assert await ref.ask("go", block=False) == "bye"
        await ended(ref)
        assert actor.life == ["start", "stop"]

    run(scenario())


# Failures


def test_a_failed_attempt_is_the_senders_and_the_actor_goes_on(run: Run) -> None:
    async def scenario() -> None:
        ref = Broken.start()
        actor = actor_of(ref)
        with pytest.raises(DeliveryError, match="not now"):
            await ref.ask(message(DeliveryError("not now")), block=False)
        assert await ref.ask("still here", block=False) == "still here"
        assert (actor.actor_inbox.handled, actor.actor_inbox.failed) == (1, 1)
        await ref.stop(block=False)

    run(scenario())


@pytest.mark.parametrize("actor_class", [Broken, AsyncBroken])
def test_any_other_exception_is_a_crash_that_ends_the_actor(run: Run, actor_class: type[Echo]) -> None:
    async def scenario() -> None:
        error = ValueError("oh")
        ref = actor_class.start()
        actor = actor_of(ref)
        with pytest.raises(ActorCrashedError) as caught:
            await ref.ask(message(error), block=False)
        assert caught.value.__cause__ is error
        await ended(ref)
        assert actor.life == ["start", "failure ValueError('oh')", "stop"]
        assert not ref.is_alive()

    run(scenario())


def test_a_crash_in_on_start_still_runs_on_stop(run: Run) -> None:
    class Stillborn(Echo):
        def on_start(self) -> None:
            raise ValueError("no")

    async def scenario() -> None:
        ref = Stillborn.start()
        actor = actor_of(ref)
        with pytest.raises(pykka.ActorDeadError):
            await ref.ask("anybody?", block=False)
        assert actor.life == ["failure ValueError('no')", "stop"]

    run(scenario())


def test_a_stop_during_on_start_ends_the_actor_when_that_has_returned(run: Run) -> None:
    class Slow(Echo):
        async def on_start(self) -> None:  # type: ignore[override]
            self.life.append("starting")
            await asyncio.sleep(0)
            self.life.append("started")

    async def scenario() -> None:
        ref = Slow.start()
        actor = actor_of(ref)
        await until(lambda: actor.life)
        assert await ref.stop(block=False) is True
        assert actor.life == ["starting", "started", "stop"]

    run(scenario())


def test_a_cancelled_error_out_of_a_handler_is_a_crash_of_that_actor_alone(run: Run) -> None:
    """Awaiting a task that somebody else cancelled raises it, and nobody has cancelled the actor."""

    async def scenario() -> None:
        bystander = Echo.start()
        ref = Broken.start()
        actor = actor_of(ref)
        with pytest.raises(ActorCrashedError):
            await ref.ask(asyncio.CancelledError(), block=False)
        await ended(ref)
        assert "stop" in actor.life
        assert await bystander.ask("here", block=False) == "here"
        await bystander.stop(block=False)

    run(scenario())


def test_an_exception_beside_exception_is_a_crash_too(run: Run) -> None:
    """It passes through, as it must, but whoever waits for the actor is told what happened."""

    class Abort(BaseException):
        pass

    async def scenario() -> None:
        ref = Broken.start()
        actor = actor_of(ref)
        with pytest.raises(ActorCrashedError):
            await ref.ask(Abort(), block=False)
        await ended(ref)
        assert actor.life[-1] == "stop"
        assert isinstance(actor._task.exception(), Abort)

    run(scenario())


def test_a_sender_that_raises_on_its_reply_is_no_crash_of_the_actor(run: Run) -> None:
    async def scenario() -> None:
        ref = Broken.start()
        mailbox = actor_of(ref).actor_inbox
        for data in ("fine", DeliveryError("refused")):
            answer = send(mailbox, data)
            answer.set = unpleasant  # type: ignore[method-assign]  # on this one alone
        assert await ref.ask("still here", block=False) == "still here"
        assert (mailbox.handled, mailbox.failed) == (2, 1)
        await ref.stop(block=False)

    def unpleasant(value: Any = None) -> None:
        raise ValueError("do not tell me")

    run(scenario())


# The end


def test_a_hook_that_fails_at_the_end_keeps_nothing_from_ending(run: Run) -> None:
    class Clumsy(Broken):
        def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
            raise RuntimeError("first")

        def on_stop(self) -> None:
            super().on_stop()
            raise RuntimeError("second")

    async def scenario() -> None:
        ref = Clumsy.start()
        actor = actor_of(ref)
        with pytest.raises(ActorCrashedError):
            await ref.ask(ValueError(), block=False)
        await ended(ref)
        assert actor.life == ["start", "stop"]
        assert not actor._task.cancelled()
        assert actor._task.exception() is None

    run(scenario())


@pytest.mark.parametrize("hook", ["on_failure", "on_stop"])
def test_a_hook_that_hangs_at_the_end_is_cancelled_in_time(run: Run, hook: str) -> None:
    """Or a crashed actor would never be started again."""

    async def hang(self: Echo, *_: Any) -> None:
        self.life.append(hook)
        await asyncio.Event().wait()

    hanging: type[Broken] = type("Hanging", (Broken,), {hook: hang, "stop_timeout_s": 0.01})

    async def scenario() -> None:
        ref = hanging.start()
        actor = actor_of(ref)
        with pytest.raises(ActorCrashedError):
            await ref.ask(ValueError(), block=False)
        await ended(ref)
        assert hook in actor.life
        assert actor.life[-1] == ("on_stop" if hook == "on_stop" else "stop")

    run(scenario())


def test_on_stop_runs_once_where_the_actor_is_cancelled(run: Run) -> None:
    class Hanging(Echo):
        async def on_receive(self, message: Any) -> Any:
            self.life.append("hang")
            await asyncio.Event().wait()

    async def scenario() -> None:
        ref = Hanging.start()
        actor = actor_of(ref)
        answer = send(actor.actor_inbox)
        await until(lambda: "hang" in actor.life)
        actor._task.cancel()
        error = await answer.once()
        assert isinstance(error, DeliveryError)
        assert error.reason == "unknown", "it may have had its effect"
        await ended(ref)
        assert actor.life == ["start", "hang", "stop"]
        assert actor._task.cancelled()

    run(scenario())


def test_a_second_cancellation_cuts_on_stop_short_and_everybody_is_told_all_the_same(run: Run) -> None:
    class Stubborn(Echo):
        async def on_receive(self, message: Any) -> Any:
            self.life.append("hang")
            await asyncio.Event().wait()

        async def on_stop(self) -> None:  # type: ignore[override]
            self.life.append("stopping")
            await asyncio.Event().wait()

    async def scenario() -> None:
        ref = Stubborn.start()
        actor = actor_of(ref)
        answer, waiting = send(actor.actor_inbox), send(actor.actor_inbox)
        await until(lambda: "hang" in actor.life)
        stopped = ref.stop(block=False)
        actor._task.cancel()
        await until(lambda: "stopping" in actor.life)
        actor._task.cancel()
        await ended(ref)
        await answer.once()
        assert isinstance(await waiting.once(), pykka.ActorDeadError)
        assert await stopped is True

    run(scenario())


def test_an_actor_whose_loop_is_given_up_goes_without_a_word_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can be awaited any more, so it does not try."""

    async def scenario() -> list[str]:
        ref = AsyncEcho.start()
        await ref.ask("ready?", block=False)
        life: list[str] = actor_of(ref).life
        return life

    loop = asyncio.new_event_loop()
    life = loop.run_until_complete(scenario())
    loop.close()
    del loop
    gc.collect()
    assert life == ["start"]
    assert "failed while it ended" not in caplog.text


# Tasks of its own


def test_a_spawned_task_is_cancelled_when_the_actor_ends(run: Run) -> None:
    class Spawner(Echo):
        def on_start(self) -> None:
            self.task = self.spawn(asyncio.Event().wait())

    async def scenario() -> None:
        ref = Spawner.start()
        actor = actor_of(ref)
        await ref.ask("ready?", block=False)
        await ref.stop(block=False)
        assert actor.task.cancelled()

    run(scenario())


def test_an_exception_in_a_spawned_task_is_a_crash(run: Run) -> None:
    class Spawner(Echo):
        def on_receive(self, message: Any) -> Any:
            self.spawn(fail())

    async def fail() -> None:
        raise ValueError("behind the scenes")

    async def scenario() -> None:
        ref = Spawner.start()
        actor = actor_of(ref)
        ref.tell("go")
        await ended(ref)
        assert actor.life == ["start", "failure ValueError('behind the scenes')", "stop"]

    run(scenario())


def test_a_spawned_task_that_ends_or_is_cancelled_is_no_crash(run: Run) -> None:
    async def scenario() -> None:
        ref = Echo.start()
        actor = actor_of(ref)
        done = actor.spawn(asyncio.sleep(0, "done"))
        dropped = actor.spawn(asyncio.Event().wait())
        dropped.cancel()
        assert await done == "done"
        assert await ref.ask("still here", block=False) == "still here"
        await ref.stop(block=False)

    run(scenario())


def test_a_task_spawned_in_on_stop_does_not_outlive_the_actor(run: Run) -> None:
    class Spawner(Echo):
        def on_stop(self) -> None:
            self.task = self.spawn(asyncio.Event().wait())

    async def scenario() -> None:
        ref = Spawner.start()
        actor = actor_of(ref)
        await ref.stop(block=False)
        assert actor.task.cancelled()
        with pytest.raises(ActorStoppedError):
            actor.spawn(asyncio.sleep(0))

    run(scenario())


def test_a_task_that_does_not_end_is_given_up(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    class Spawner(Echo):
        stop_timeout_s = 0.01

        def on_start(self) -> None:
            self.task = self.spawn(stubborn())

    async def scenario() -> None:
        ref = Spawner.start()
        actor = actor_of(ref)
        await ref.ask("ready?", block=False)
        await ref.stop(block=False)
        assert actor.life == ["stop"]
        release.set()
        await actor.task

    run(scenario())
    assert "1 tasks of actor do not end" in caplog.text


# Control messages and fairness


def test_control_messages_are_taken_before_all_others(run: Run) -> None:
    class Source(Echo):
        def on_drain(self) -> None:
            self.life.append("drain")

        def on_receive(self, message: Any) -> Any:
            self.life.append(message)

    async def scenario() -> None:
        ref = Source.start()
        actor = actor_of(ref)
        ref.tell("one")
        ref.tell("two")
        await ref.ask(Drain(), block=False)
        await until(lambda: len(actor.life) == 4)
        assert actor.life == ["start", "drain", "one", "two"]
        await ref.stop(block=False)

    run(scenario())


def test_a_drain_is_answered_when_its_hook_has_returned_or_crashed(run: Run) -> None:
    class Source(Echo):
        async def on_drain(self) -> None:
            await asyncio.sleep(0)
            self.life.append("drained")
            if self.name == "broken":
                raise ValueError("cannot")

    async def scenario() -> None:
        for name in ("whole", "broken"):
            ref = Source.start(name)
            actor = actor_of(ref)
            await ref.ask(Drain(), block=False)
            assert actor.life[:2] == ["start", "drained"]
            await ref.stop(block=False)
        assert actor.life[2:] == ["failure ValueError('cannot')", "stop"]

    run(scenario())


def test_a_busy_actor_lets_others_run(run: Run) -> None:
    """One that never has to wait gives way after so many messages."""

    class Looker(Echo):
        def on_receive(self, message: Any) -> Any:
            return message.handled

    async def scenario() -> None:
        busy, other = Echo.start(), Looker.start()
        mailbox = actor_of(busy).actor_inbox
        for _ in range(3 * TURN):
            busy.tell("work")
        assert await other.ask(mailbox, block=False) == TURN
        await busy.stop(block=False)
        await other.stop(block=False)

    run(scenario())


@pytest.mark.slow
def test_a_great_many_actors_start_and_stop_in_any_order_and_nothing_is_left(run: Run) -> None:
    """The fixture fails the test where a task is left."""

    async def scenario() -> None:
        for order in (list, reversed, partial(sorted, key=str)):
            refs = [Echo.start() for _ in range(2000)]
            replies = [ref.ask(number, block=False) for number, ref in enumerate(refs)]
            assert [await reply for reply in replies] == list(range(2000))
            stops = [ref.stop(block=False) for ref in order(refs)]
            assert all([await stop for stop in stops])
        assert len(asyncio.all_tasks()) == 2, "this one and the fixture's"

    run(scenario())
