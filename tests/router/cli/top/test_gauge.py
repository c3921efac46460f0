"""Numbers and bars in few columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli.top.gauge import EMPTY, FULL, bar, compact, took


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((None, "–"), (0, "0"), (0.34, "0.3"), (3, "3"), (9.94, "9.9"), (12.4, "12"), (1024, "1,024")),
        *((9999.4, "9,999"), (9999.6, "10.0k"), (12_345, "12.3k"), (123_456, "123k"), (999_960, "1.0M"), (5e9, "5.0G")),
    ],
)
def test_numbers_are_rounded_as_they_grow(number: float | None, text: str) -> None:
    """To what matters at a glance."""
    assert compact(number) == text


@given(st.floats(0, 9e14))
def test_a_number_takes_six_columns_at_most(number: float) -> None:
    """So that columns of figures need not move."""
    assert len(compact(number)) <= 6


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(2, 40))
def test_a_bar_shows_whether_something_waits_and_whether_it_is_full(part: int, whole: int, columns: int) -> None:
    """One message in a large mailbox is seen, and so is the last place that is free."""
    drawn = bar(part, whole, columns)
    assert len(drawn) == columns
    assert drawn == FULL * drawn.count(FULL) + EMPTY * drawn.count(EMPTY)
    assert (FULL in drawn) == (part > 0)
    assert (EMPTY not in drawn) == (part >= whole and part > 0)


@pytest.mark.parametrize(("seconds", "text"), [(None, "–"), (0.0001, "<1ms"), (0.0021, "2ms"), (75.0, "1m 15s")])
def test_a_latency_is_never_nothing(seconds: float | None, text: str) -> None:
    """Every message takes some time."""
    assert took(seconds) == text
