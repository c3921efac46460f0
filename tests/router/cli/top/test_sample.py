"""How fast counters grow, from what the router said at two moments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli.top.sample import History
from tests.router.cli.top.readings import actor, reading, route, sample


def test_a_rate_is_the_difference_of_two_readings_by_their_time() -> None:
    """Of any counter, by its path in the view."""
    taken = sample(reading(10.0, route("r", 100)), reading(12.0, route("r", 150)))
    assert taken.rate("r", "ledger", "accepted") == 25.0
    assert taken.rate("r", "ledger", "expired") == 0.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [actor("a", 5)]),
        ([actor("a", 9)], [actor("a", 5)]),
        ([actor("a", 5)], []),
        ([actor("a", 5, counts={})], [actor("a", 5)]),
    ],
)
def test_nothing_is_told_of_what_was_not_there_or_began_anew(before: list[object], after: list[object]) -> None:
    """A swap puts an actor in the place of another, and its counters begin at zero."""
    taken = sample(reading(1.0, *before), reading(2.0, *after))  # type: ignore[arg-type]  # views
    assert taken.rate("a", "counts", "succeeded") is None


def test_one_reading_has_no_rates() -> None:
    """Nor does a restarted router, although its counters may be higher by now."""
    assert sample(reading(1.0, actor("a"))).rate("a", "counts", "succeeded") is None
    restarted = sample(reading(1.0, actor("a", 5)), reading(2.0, actor("a", 500), started_at=1.8e9))
    assert restarted.rate("a", "counts", "succeeded") is None


@given(st.lists(st.tuples(st.floats(0.01, 20.0), st.integers(0, 1000)), min_size=2, max_size=40))
def test_rates_are_taken_over_the_span_or_one_step(steps: list[tuple[float, int]]) -> None:
    """Never over more than the span where a later reading is within it, and never over less than one step."""
    history = History(span_s=3.0)
    at, total, seen = 0.0, 0, []
    for seconds, more in steps:
        at, total = at + seconds, total + more
        seen.append((at, total))
        taken = history.add(reading(at, actor("a", total)))
        rate = taken.rate("a", "counts", "succeeded")
        if len(seen) == 1:
            assert rate is None
            continue
        within = [pair for pair in seen[:-1] if at - pair[0] <= 3.0] or seen[-2:-1]
        began, counted = within[0]
        assert rate == pytest.approx((total - counted) / (at - began))
