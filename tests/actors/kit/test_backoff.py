"""How long a retry waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kit.backoff import Backoff

delays = st.floats(0.001, 3600)
jitters = st.floats(0, 1)
randoms = st.floats(0, 1)
attempts = st.integers(1, 10_000)


def test_exponential_waits_double_up_to_the_limit() -> None:
    backoff = Backoff(delay_s=1, max_delay_s=10, jitter=0)
    assert [backoff.delay(attempt, 0.5) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_fixed_waits_stay() -> None:
    backoff = Backoff("fixed", delay_s=3, max_delay_s=60, jitter=0)
    assert {backoff.delay(attempt, 0.5) for attempt in range(1, 50)} == {3}


def test_a_jitter_of_a_fifth_is_twenty_percent_both_ways() -> None:
    backoff = Backoff(delay_s=10, max_delay_s=60, jitter=0.2)
    assert backoff.delay(1, 0) == pytest.approx(8)
    assert backoff.delay(1, 0.5) == pytest.approx(10)
    assert backoff.delay(1, 1) == pytest.approx(12)


@given(delays, delays, jitters, attempts, randoms)
def test_no_wait_leaves_its_bounds(
    delay_s: float, max_delay_s: float, jitter: float, attempt: int, random: float
) -> None:
    backoff = Backoff("exponential", delay_s, max_delay_s, jitter)
    nominal = min(delay_s * 2.0 ** min(attempt - 1, 64), max_delay_s)
    waited = backoff.delay(attempt, random)
    assert 0 <= waited <= max_delay_s * (1 + 1e-9)
    assert nominal * (1 - jitter) * (1 - 1e-9) <= waited <= nominal * (1 + jitter) * (1 + 1e-9)


@given(delays, delays, jitters, attempts, randoms)
def test_a_later_attempt_never_waits_less(
    delay_s: float, max_delay_s: float, jitter: float, attempt: int, random: float
) -> None:
    backoff = Backoff("exponential", delay_s, max_delay_s, jitter)
    assert backoff.delay(attempt + 1, random) >= backoff.delay(attempt, random) * (1 - 1e-9)


@given(jitters.filter(lambda jitter: jitter > 0.01), attempts)
def test_waits_are_spread_even_at_the_limit(jitter: float, attempt: int) -> None:
    """Many that fail together must not come back together."""
    backoff = Backoff("exponential", 1, 60, jitter)
    assert backoff.delay(attempt, 0) < backoff.delay(attempt, 0.5) < backoff.delay(attempt, 1)
