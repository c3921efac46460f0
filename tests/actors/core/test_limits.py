"""A limiter lets through what it may and says when the next may come; a breaker opens, tries and closes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clock import ManualClock
from actors.core.limits import Breaker, BreakerPolicy, Limiter
from tests.loop import Run

TINY = 1e-6


# The token bucket


def test_a_burst_of_the_maximum_passes_and_the_next_waits() -> None:
    limiter = Limiter(3, 6.0)
    assert [limiter.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.take(100.0) == pytest.approx(2.0)
    assert limiter.take(101.0) == pytest.approx(1.0)
    assert limiter.take(102.0) == 0.0


def test_a_token_is_there_at_the_moment_that_was_named() -> None:
    """A timer may fire a rounding error too early, and waiting once more would cost a turn."""
    limiter = Limiter(3, 0.7)
    now = 1e6
    for _ in range(20):
        wait_s = limiter.take(now)
        if wait_s:
            now += wait_s
            assert limiter.take(now) == 0.0


@given(
    st.integers(1, 50),
    st.floats(0.01, 100.0),
    st.lists(st.floats(0.0, 10.0), min_size=1, max_size=100),
)
def test_no_stretch_of_time_sees_more_than_a_burst_and_the_refill(
    maximum: int, per_s: float, gaps: list[float]
) -> None:
    limiter = Limiter(maximum, per_s)
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        if limiter.take(now) == 0.0:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            span_s = passed[last] - passed[first]
            assert last - first + 1 <= maximum + span_s * maximum / per_s + 1e-3


@given(st.integers(1, 50), st.floats(0.01, 100.0), st.integers(1, 200))
def test_whoever_waits_as_told_passes(maximum: int, per_s: float, takes: int) -> None:
    limiter = Limiter(maximum, per_s)
    now = 0.0
    for _ in range(takes):
        wait_s = limiter.take(now)
        assert 0.0 <= wait_s <= per_s / maximum * (1 + TINY)
        if wait_s:
            now += wait_s
            assert limiter.take(now) == 0.0
    assert now <= max(0, takes - maximum) * per_s / maximum * (1 + TINY) + TINY


# The breaker


class Watched:
    """A breaker, its clock, and what it said."""

    def __init__(self, **policy: float) -> None:
        self.clock = ManualClock()
        self.changes: list[bool] = []
        settings = {"failures": 0.5, "window_s": 10.0, "open_s": 5.0} | policy
        min_requests = int(settings.pop("min_requests", 4))
        self.breaker = Breaker(BreakerPolicy(min_requests=min_requests, **settings), self.clock, self.changes.append)

    def record(self, results: str) -> None:
        """`+` is an attempt that went well, `-` one that did not."""
        for result in results:
            self.breaker.record(ok=result == "+")


@pytest.mark.parametrize("results", ["---", "+-+-", "++--", "+"])
def test_it_stays_closed_up_to_its_share_and_below_its_minimum(results: str) -> None:
    watched = Watched()
    watched.record(results)
    assert not watched.breaker.is_open
    assert watched.changes == []


@pytest.mark.parametrize("results", ["----", "+---", "---+"])
def test_it_opens_above_its_share(results: str) -> None:
    watched = Watched()
    watched.record(results)
    assert watched.breaker.is_open
    assert watched.changes == [True]


def test_what_is_older_than_the_window_does_not_count(run: Run) -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.record("---")
        await watched.clock.advance(10.0)
        watched.record("-++")
        assert watched.changes == []
        watched.record("--")
        assert watched.changes == [True]

    run(scenario())


def test_open_it_is_left_alone_for_its_time_and_then_tried(run: Run) -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.record("----")
        await watched.clock.advance(4.9)
        assert watched.changes == [True]
        await watched.clock.advance(0.1)
        assert watched.changes == [True, False]
        assert not watched.breaker.is_open

    run(scenario())


@pytest.mark.parametrize(("first", "opens"), [("+", False), ("-", True)])
def test_the_first_result_of_a_trial_decides(run: Run, first: str, opens: bool) -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.record("----")
        await watched.clock.advance(5.0)
        watched.record(first)
        assert watched.breaker.is_open is opens
        if not opens:
            watched.record("---")
            assert not watched.breaker.is_open, "it counts from nothing again"

    run(scenario())


def test_results_that_come_while_it_is_open_are_of_the_past(run: Run) -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.record("----")
        watched.record("++++++++")
        assert watched.changes == [True]
        await watched.clock.advance(5.0)
        watched.record("+---")
        assert watched.changes == [True, False]

    run(scenario())


@given(st.lists(st.one_of(st.sampled_from("+-"), st.floats(0.1, 20.0)), max_size=60))
def test_it_says_open_and_closed_in_turn_and_is_never_stuck(history: list[str | float]) -> None:
    async def scenario() -> None:
        watched = Watched()
        for entry in history:
            if isinstance(entry, str):
                watched.record(entry)
            else:
                await watched.clock.advance(entry)
            assert watched.breaker.is_open is (bool(watched.changes) and watched.changes[-1])
        assert watched.changes == [number % 2 == 0 for number in range(len(watched.changes))]
        await watched.clock.advance(5.0)
        assert not watched.breaker.is_open

    asyncio.run(scenario())
