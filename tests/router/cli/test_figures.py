"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli import figures


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (-1.0, "0ms"),
        (0.0, "0ms"),
        (0.0124, "12ms"),
        (0.9996, "1.0s"),
        (3.44, "3.4s"),
        (9.96, "10s"),
        (59.6, "1m"),
        (125, "2m 5s"),
        (11405.2, "3h 10m"),
        (86400, "1d"),
        (4 * 86400 + 7300, "4d 2h"),
        (1102 * 86400 + 7300, "1102d"),
    ],
)
def test_a_span_is_rounded_to_two_units(seconds: float | None, shown: str) -> None:
    """Nobody wants the seconds of three hours."""
    assert figures.span(seconds) == shown


@given(st.floats(0, 1e9))
def test_a_span_is_short(seconds: float) -> None:
    """It fits a column of a table, whatever it is."""
    assert len(figures.span(seconds)) <= 7


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, "–"), (0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (20 * 1024**2, "20MiB"), (3 * 1024**4, "3.0TiB")],
)
def test_a_size_has_a_binary_unit(number: int | None, shown: str) -> None:
    """As topologies write them."""
    assert figures.size(number) == shown


def test_counts_have_thousands_and_words_their_plural() -> None:
    """`1 actor`, `2 actors`."""
    assert figures.count(1234567) == "1,234,567"
    assert figures.count(None) == "–"
    assert [figures.plural(number, "actor") for number in (0, 1, 2)] == ["0 actors", "1 actor", "2 actors"]
