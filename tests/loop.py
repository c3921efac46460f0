"""Runs a test's coroutine to its end on production's loop, and sees that it leaves nothing behind."""

import asyncio
import warnings
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol, TypeVar

import uvloop

T = TypeVar("T")

DEADLINE_S = 30.0

# What a closed connection or a cancelled task may still need to end by itself.
LAST_TURNS = 10

# How long cancelled tasks may take to end before their loop is given up.
CANCEL_TIMEOUT_S = 2.0


class Run(Protocol):
    """Run a coroutine to its end, and return its result; see `run_to_end`."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], /, *, deadline_s: float = DEADLINE_S) -> T: ...


def run_to_end(coroutine: Coroutine[Any, Any, T], /, *, deadline_s: float = DEADLINE_S) -> T:
    """Run a coroutine on uvloop and return its result, or raise what it raised.

    Raises AssertionError where it takes longer than the deadline, where tasks are left over (they are then
    cancelled), where servers or connections are left open, and where the loop was told of an exception that
    nobody took: a callback failed, or a task was collected before anyone asked for its result.
    """
    untaken: list[dict[str, Any]] = []

    async def main() -> tuple[asyncio.Task[T], bool, str, str]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: untaken.append(context))
        test = asyncio.create_task(coroutine, name="test")
        await asyncio.wait([test], timeout=deadline_s)
        late = not test.done()
        if not late:
            for _ in range(LAST_TURNS):
                await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        left = places(others)
        for task in others:
            task.cancel()
        _, stuck = await asyncio.wait(others, timeout=CANCEL_TIMEOUT_S) if others else ((), ())
        return test, late, left, places(stuck)

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    stuck = ""
    unclosed: list[str] = []
    try:
        test, late, left, stuck = runner.run(main())
    finally:
        # Closing waits for every task, without a deadline.
        if not stuck:
            unclosed = close(runner)
    assert not stuck, f"still running {CANCEL_TIMEOUT_S} s after they were cancelled:\n{stuck}"
    assert not late, f"not done after {deadline_s} s; still running:\n{left}"
    result = test.result()
    assert not left, f"tasks left over:\n{left}"
    assert not unclosed, "left open:\n" + "\n".join(unclosed)
    assert not untaken, "exceptions that nobody took:\n" + "\n".join(map(describe, untaken))
    return result


def close(runner: asyncio.Runner) -> list[str]:
    """Close the runner and its loop, and return what was still open, one a line.

    uvloop warns of each handle before it closes it. Where the warning is an exception it never closes that one,
    and waits for it without a deadline.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        runner.close()
    return [f"  {warning.message}" for warning in caught]


def places(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """The tasks, one a line, with the place where each waits."""
    return "\n".join(sorted(f"  {place(task)}" for task in tasks))


def place(task: asyncio.Task[Any]) -> str:
    """A task's name, its coroutine, and the innermost line of it that is known."""
    frames = task.get_stack(limit=1)
    where = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "not started"
    return f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '?')}) at {where}"


def describe(context: dict[str, Any]) -> str:
    """What the loop's exception handler was told, in one line."""
    return f"  {context.get('message')}: {context.get('exception')!r}"
