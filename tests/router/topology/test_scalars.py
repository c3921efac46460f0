"""Plain scalars are typed as YAML 1.2 has it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.topology.scalars import typed


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "Yes", "y", "n", "tRUE", "nULL", "None"])
def test_words_of_yaml_1_1_are_strings(text: str) -> None:
    assert typed(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
    ],
)
def test_null_booleans_and_numbers(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


def test_not_a_number_is_one() -> None:
    assert math.isnan(typed(".nan"))  # type: ignore[arg-type]  # a float, which the assertion is about


@pytest.mark.parametrize(
    "text",
    [
        "1_000",
        "12:30:45",
        "2024-01-01",
        "0b11",
        "1e",
        "+",
        "-",
        ".",
        "..",
        "0x",
        "0o8",
        "1.2.3",
        "٣",
        "5s",
        "-x",
        "9" * 5000,
    ],
)
def test_everything_else_is_a_string(text: str) -> None:
    assert typed(text) == text


@given(st.integers(-(10**30), 10**30))
def test_every_integer_is_read_back(number: int) -> None:
    assert typed(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back(number: float) -> None:
    assert typed(repr(number)) == number
