"""Durations, sizes, percentages and rates as a topology writes them."""

import json
from contextlib import suppress
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from actors.kit.units import (
    Between,
    Duration,
    Percentage,
    Rate,
    Size,
    format_duration,
    format_percentage,
    format_size,
    parse_duration,
    parse_percentage,
    parse_size,
)


class Options(BaseModel):
    wait: Annotated[Duration, Between("1s", "1h")] = Duration("10s")
    limit: Size | None = Size("64KiB")
    share: Percentage = Field(Percentage("50%"), description="How much of it.")


def complaint(value: object, kind: Any = Duration) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    (error,) = caught.value.errors()
    return str(error["msg"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("10m", 600), ("1h", 3600), ("1d", 86400), ("1.5s", 1.5), ("0s", 0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("100B", 100), ("64KiB", 65536), ("1MiB", 2**20), ("1.5GiB", 3 * 2**29), ("1TiB", 2**40)]
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "fraction"), [("50%", 0.5), ("0.1%", 0.001), ("100%", 1), ("0%", 0)])
def test_percentages_are_fractions(text: str, fraction: float) -> None:
    assert parse_percentage(text) == fraction


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250ms"), (5, "5s"), (90, "90s"), (60, "1m"), (5400, "90m"), (86400, "1d"), (0, "0s"), (0.0005, "0.5ms")],
)
def test_a_duration_is_shown_in_the_largest_unit_that_needs_no_fraction(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1000, "1000B"), (65536, "64KiB"), (3 * 2**29, "1536MiB"), (2**30, "1GiB")]
)
def test_a_size_is_shown_in_the_largest_unit_that_needs_no_fraction(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 10**9).map(lambda ms: ms / 1000) | st.floats(1e-6, 1e9))
def test_every_duration_survives_being_written(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 2**63 - 1))
def test_every_size_survives_being_written(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.floats(1e-6, 1))
def test_every_percentage_survives_being_written(fraction: float) -> None:
    assert parse_percentage(format_percentage(fraction)) == fraction


@given(st.text() | st.from_regex(r"[0-9]{1,3}\s?[a-zA-Z%]{0,3}"))
def test_whatever_is_written_is_a_duration_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_duration(text) >= 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, "write 5s or 5ms, not 5"),
        ("5", "write 5s or 5ms, not 5"),
        (2.5, "write 2.5s or 2.5ms, not 2.5"),
        (1000000, "write 1000000s or 1000000ms"),
        ("5 s", "write 5s, not 5 s"),
        ("5sec", "write 5s, not 5sec"),
        ("5 Minutes", "write 5m"),
        ("5S", "write 5s"),
        ("1h30m", "such as 5s or 5ms"),
        ("5w", "'w' is no unit of a duration: choose from ms, s, m, h, d"),
        ("-5s", "such as 5s"),
        ("٣s", "such as 5s"),
        ("", "such as 5s"),
        (True, "such as 250ms"),
        (None, "such as 250ms"),
        ("999999999d", "longer than a century"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(value: object, words: str) -> None:
    assert words in complaint(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "write 3KiB or 3MiB, not 3"),
        ("64KB", "write 64KiB, not 64KB"),
        ("64k", "write 64KiB"),
        ("1 MiB", "write 1MiB"),
        ("0.1B", "not a whole number of bytes"),
        ("99999999999TiB", "more than any machine holds"),
        ("3x", "'x' is no unit of a size"),
    ],
)
def test_what_is_no_size_is_refused_with_what_to_write(value: object, words: str) -> None:
    assert words in complaint(value, Size)


@pytest.mark.parametrize(
    ("value", "words"), [(0.5, "write 0.5%, not 0.5"), ("5", "write 5%"), ("101%", "more than 100%"), ("x", "50%")]
)
def test_what_is_no_percentage_is_refused_with_what_to_write(value: object, words: str) -> None:
    assert words in complaint(value, Percentage)


def test_bounds_are_named_with_their_unit() -> None:
    """Both ends are inside."""
    assert Options.model_validate({"wait": "1s"}).wait == 1.0
    assert Options.model_validate({"wait": "1h"}).wait == 3600.0
    assert "the least is 1s" in complaint({"wait": "999ms"}, Options)
    assert "the most is 1h" in complaint({"wait": "61m"}, Options)


def test_a_value_is_a_number_that_shows_its_unit() -> None:
    wait = Duration("90s")
    assert wait == 90.0
    assert wait + 1 == 91.0
    assert f"{wait}" == str(wait) == "90s"
    assert repr(Size("64KiB")) == "Size('64KiB')"
    assert Size(2048) == Size("2KiB") == 2048


def test_a_model_gives_back_what_was_written() -> None:
    options = Options.model_validate({"wait": "90s", "limit": None, "share": "12.5%"})
    assert options.model_dump() == {"wait": "90s", "limit": None, "share": "12.5%"}
    assert Options.model_validate_json(options.model_dump_json()) == options


def test_the_schema_has_pattern_examples_bounds_and_defaults_as_they_are_written() -> None:
    schema = Options.model_json_schema()["properties"]
    assert schema["wait"]["type"] == "string"
    assert schema["wait"]["default"] == "10s"
    assert schema["wait"]["pattern"] == r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"
    assert "5s" in schema["wait"]["examples"]
    assert (schema["wait"]["x-minimum"], schema["wait"]["x-maximum"]) == ("1s", "1h")
    assert schema["limit"]["default"] == "64KiB"
    assert schema["share"]["default"] == "50%"
    json.dumps(schema)


def test_a_rate_is_a_count_in_a_window() -> None:
    rate = Rate.model_validate({"max": 80, "per": "1s"})
    assert (rate.max, rate.per, str(rate)) == (80, 1.0, "80 per 1s")
    with pytest.raises(ValidationError):
        Rate.model_validate({"max": 0, "per": "1s"})
    with pytest.raises(ValidationError):
        Rate.model_validate({"max": 1, "per": "0s"})
