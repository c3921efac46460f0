"""A reply can be awaited on the loop, and got and set by any thread."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from actors.core.future import LoopFuture
from tests.loop import Run


async def in_thread(function: Callable[[], Any]) -> Any:
    async with asyncio.timeout(5.0):
        return await asyncio.to_thread(function)


def test_a_reply_is_awaited_as_often_as_one_likes(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        reply.set("yes")
        assert [await reply, await reply] == ["yes", "yes"]

    run(scenario())


def test_a_reply_set_by_another_thread_wakes_whoever_awaits_it(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        thread = threading.Thread(target=reply.set, args=("from afar",))
        asyncio.get_running_loop().call_soon(thread.start)
        async with asyncio.timeout(5.0):
            assert await reply == "from afar"
        thread.join(5.0)

    run(scenario())


def test_the_exception_at_hand_is_the_default(run: Run) -> None:
    """As in pykka, `set_exception()` in an `except` block takes what was caught, in that thread."""

    async def scenario() -> None:
        reply = LoopFuture()

        def fail() -> None:
            try:
                raise ValueError("no")
            except ValueError:
                reply.set_exception()

        await in_thread(fail)
        with pytest.raises(ValueError, match="no"):
            await reply

    run(scenario())


def test_an_exception_given_as_a_class_alone_is_made(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        reply.set_exception((ValueError, None, None))
        with pytest.raises(ValueError):
            await reply

    run(scenario())


@pytest.mark.parametrize("error", [StopIteration("end"), asyncio.CancelledError()])
def test_an_exception_that_means_something_to_the_loop_is_wrapped(run: Run, error: BaseException) -> None:
    """A future refuses the one, and the other would look as if the asker had been cancelled."""

    async def scenario() -> None:
        reply = LoopFuture()
        reply.set_exception((type(error), error, None))
        with pytest.raises(RuntimeError) as caught:
            await reply
        assert caught.value.__cause__ is error

    run(scenario())


def test_only_the_first_reply_counts(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        reply.set(1)
        reply.set(2)
        reply.set_exception((ValueError, ValueError(), None))
        assert await reply == 1

    run(scenario())


def test_a_failure_that_nobody_asks_for_is_no_complaint(run: Run) -> None:
    """The fixture fails the test when asyncio complains of an exception that nobody took."""

    async def scenario() -> None:
        LoopFuture().set_exception((ValueError, ValueError(), None))

    run(scenario())


def test_whoever_is_cancelled_takes_the_reply_from_nobody(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()

        async def wait() -> Any:
            return await reply

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        reply.set("still there")
        async with asyncio.timeout(5.0):
            assert await second == "still there"

    run(scenario())


def test_waiting_for_a_reply_says_whether_it_came(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        assert not await reply.wait(0.001)
        reply.set_exception((ValueError, ValueError(), None))
        assert await reply.wait(5.0)

    run(scenario())


# Threads


def test_a_thread_gets_what_the_loop_sets(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        asyncio.get_running_loop().call_soon(reply.set, "here")
        assert await in_thread(lambda: reply.get(timeout=5.0)) == "here"
        assert await in_thread(reply.get) == "here"

    run(scenario())


def test_a_thread_gets_the_exception_as_it_is(run: Run) -> None:
    """Also a `TimeoutError`, which is not that the thread has waited for too long."""

    async def scenario() -> None:
        reply = LoopFuture()
        reply.set_exception((TimeoutError, TimeoutError("of the actor's own"), None))
        with pytest.raises(TimeoutError, match="own"):
            await in_thread(lambda: reply.get(timeout=5.0))

    run(scenario())


def test_a_thread_that_waits_too_long_is_told_as_pykka_does(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        with pytest.raises(pykka.Timeout):
            await in_thread(lambda: reply.get(timeout=0.001))
        reply.set("late")
        assert await in_thread(reply.get) == "late"

    run(scenario())


def test_getting_on_the_loop_raises_in_place_of_blocking(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        reply.set(1)
        with pytest.raises(RuntimeError, match="await"):
            reply.get()

    run(scenario())


def test_replies_that_pykka_derives_can_be_awaited(run: Run) -> None:
    async def scenario() -> None:
        reply = LoopFuture()
        loud = reply.map(lambda word: word.upper())
        asyncio.get_running_loop().call_soon(reply.set, "word")
        async with asyncio.timeout(5.0):
            assert await loud == "WORD"

    run(scenario())


def test_a_thread_that_sets_a_reply_when_the_loop_is_closed_goes_on() -> None:
    async def scenario() -> LoopFuture:
        return LoopFuture()

    reply = asyncio.run(scenario())
    raised: list[BaseException] = []

    def late() -> None:
        reply.set("nobody listens")
        try:
            reply.get(timeout=1.0)
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    thread.join(5.0)
    assert len(raised) == 1


def test_a_reply_that_came_can_be_got_when_the_loop_is_closed() -> None:
    async def scenario() -> LoopFuture:
        reply = LoopFuture()
        reply.set("in time")
        return reply

    reply = asyncio.run(scenario())
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(reply.get(timeout=1.0)))
    thread.start()
    thread.join(5.0)
    assert got == ["in time"]
