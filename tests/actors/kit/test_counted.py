"""What an id counts, and what stands in front of that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kit.counted import parted


@pytest.mark.parametrize(
    ("id", "wanted"),
    [
        ("job-17", ("job-", 17)),
        ("17", ("", 17)),
        ("a07", ("a0", 7)),
        ("a0", ("a0", None)),
        ("job", ("job", None)),
        ("", ("", None)),
        ("x" + "9" * 16, ("x" + "9" * 16, None)),
        ("٣", ("٣", None)),
    ],
)
def test_an_id_ends_with_its_number(id: str, wanted: tuple[str, int | None]) -> None:
    assert parted(id) == wanted


@given(st.text(st.characters() | st.sampled_from("0123456789")))
def test_both_together_are_that_id_and_no_other(id: str) -> None:
    stem, number = parted(id)
    assert stem + ("" if number is None else str(number)) == id
