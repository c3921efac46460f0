"""Calls from a thread to the loop."""

import asyncio
import threading
from functools import partial

from actors.kit.outbox import Outbox
from tests.loop import Run


def test_calls_run_on_the_loops_thread_in_their_order(run: Run) -> None:
    async def scenario() -> None:
        outbox = Outbox(asyncio.get_running_loop())
        seen: list[tuple[int, int]] = []
        done = asyncio.Event()

        def note(number: int) -> None:
            seen.append((number, threading.get_ident()))

        def send() -> None:
            for number in range(1_000):
                outbox.send(partial(note, number))
            outbox.send(done.set)

        thread = threading.Thread(target=send)
        thread.start()
        await done.wait()
        thread.join(10)
        assert seen == [(number, threading.get_ident()) for number in range(1_000)]

    run(scenario())


def test_a_call_that_raises_does_not_stop_the_others(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        raised: list[object] = []
        loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
        outbox = Outbox(loop)
        done = asyncio.Event()

        def fail() -> None:
            raise LookupError

        outbox.send(fail)
        outbox.send(done.set)
        await done.wait()
        assert [type(problem) for problem in raised] == [LookupError]

    run(scenario())


def test_a_closed_loop_is_no_reason_to_fail() -> None:
    """The thread of a database may end after the loop it served."""
    loop = asyncio.new_event_loop()
    loop.close()
    called: list[int] = []
    outbox = Outbox(loop)
    outbox.send(partial(called.append, 1))
    outbox.send(partial(called.append, 2))
    assert called == []
