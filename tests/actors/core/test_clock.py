"""Time stands still until a test moves it, and then everything happens in its order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clock import LoopClock, ManualClock
from tests.actors.core.answers import until
from tests.loop import Run


def test_time_moves_only_when_it_is_moved(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock(epoch_s=1000.0)
        assert (clock.now(), clock.time()) == (0.0, 1000.0)
        await clock.advance(2.5)
        assert (clock.now(), clock.time()) == (2.5, 1002.5)

    run(scenario())


@given(st.lists(st.floats(0.0, 100.0), max_size=30))
def test_timers_fire_in_the_order_of_their_times_each_at_its_own(times: list[float]) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        fired: list[tuple[int, float]] = []
        for number, when in enumerate(times):
            clock.call_at(when, lambda number=number: fired.append((number, clock.now())))  # type: ignore[misc]
        await clock.advance(100.0)
        assert fired == sorted(enumerate(times), key=lambda entry: (entry[1], entry[0]))

    asyncio.run(scenario())


def test_a_timer_that_another_one_sets_within_the_time_fires_too(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        fired: list[float] = []

        def again() -> None:
            fired.append(clock.now())
            clock.call_at(clock.now() + 1.0, again)

        clock.call_at(1.0, again)
        await clock.advance(3.5)
        assert fired == [1.0, 2.0, 3.0]

    run(scenario())


def test_a_cancelled_timer_does_not_fire(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        fired: list[str] = []
        first = clock.call_at(1.0, lambda: fired.append("first"))
        second = clock.call_at(1.0, first.cancel)
        third = clock.call_at(0.5, lambda: second.cancel())
        third.cancel()
        second.cancel()
        clock.call_at(0.9, first.cancel)
        await clock.advance(2.0)
        assert fired == []

    run(scenario())


def test_what_sleeps_wakes_at_its_time(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        woken: list[tuple[float, float]] = []

        async def sleep(delay_s: float) -> None:
            await clock.sleep(delay_s)
            woken.append((delay_s, clock.now()))

        async with asyncio.TaskGroup() as tasks:
            for delay_s in (3.0, 1.0, 2.0, 0.0):
                tasks.create_task(sleep(delay_s))
            await clock.advance()
            await clock.advance(2.0)
            assert woken == [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]
            await clock.advance(1.0)
        assert woken[-1] == (3.0, 3.0)

    run(scenario())


def test_a_sleep_that_is_cancelled_leaves_no_timer(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        sleeping = asyncio.create_task(clock.sleep(1.0))
        await clock.advance()
        sleeping.cancel()
        await clock.advance(2.0)
        assert sleeping.cancelled()

    run(scenario())


def test_the_loops_clock_calls_on_the_loop_and_not_too_early(run: Run) -> None:
    async def scenario() -> None:
        clock = LoopClock()
        fired: list[float] = []
        due = clock.now() + 0.005
        clock.call_at(due, lambda: fired.append(clock.now()))
        clock.call_at(0.0, lambda: fired.append(0.0))
        clock.call_at(due, lambda: fired.append(-1.0)).cancel()
        await until(lambda: len(fired) == 2)
        await clock.sleep(0.001)
        assert fired == [0.0, pytest.approx(due, abs=1.0)]
        assert clock.time() > 1.6e9

    run(scenario())
