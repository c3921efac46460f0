"""How values become the text that a column of some type reads."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.postgres.values import clean, parameter, uuid_of
from actors.core.errors import DeliveryError

TIME = "timestamp with time zone"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "jsonb", None),
        ("a\0b", "text", "a�b"),
        (True, "boolean", "true"),
        (True, "integer", "1"),
        (5.0, "bigint", "5"),
        (5.5, "bigint", "5.5"),
        (0, TIME, "1970-01-01T00:00:00+00:00"),
        (86400.5, "date", "1970-01-02"),
        ("yesterday", TIME, "yesterday"),
        (datetime(2026, 1, 1, tzinfo=UTC), TIME, "2026-01-01T00:00:00+00:00"),
        ({"a": [1]}, "text", '{"a":[1]}'),
        ("text", "jsonb", '"text"'),
        (b"\xff", "bytea", "\\xff"),
        ("ñ", "bytea", "\\xc3b1"),
        (b"\xff", "text", "�"),
        (["a", None, 'b"\\'], "text[]", '{"a",NULL,"b\\"\\\\"}'),
        ([[1, 2], [3, 4]], "integer[]", '{{"1","2"},{"3","4"}}'),
        ("[1]", "integer[]", "[1]"),
        ("6F6A4A52-3F0E-5C0A-9A55-6D2D4D8F2B10", "uuid", "6f6a4a52-3f0e-5c0a-9a55-6d2d4d8f2b10"),
    ],
)
def test_a_value_takes_the_form_of_its_column(value: Any, kind: str, text: str | None) -> None:
    """What a column of that type reads; the server says what is none."""
    assert parameter(value, kind) == text


@pytest.mark.parametrize(("value", "kind"), [(1e300, TIME), (float("nan"), "date"), (-1e300, "date")])
def test_what_is_no_time_is_refused(value: float, kind: str) -> None:
    """No repetition changes it."""
    with pytest.raises(DeliveryError) as error:
        parameter(value, kind)
    assert (error.value.reason, error.value.retryable) == ("invalid", False)


def test_what_json_does_not_know_is_told_as_text() -> None:
    """An object of somebody's own, in a step's result."""
    assert parameter({"x": Any}, "jsonb") == '{"x":"typing.Any"}'


@given(st.text())
def test_a_uuid_of_a_text_is_always_the_same(text: str) -> None:
    """So a message that is delivered again has the same key."""
    made = parameter(text, "uuid")
    assert made is not None
    assert made == parameter(text, "uuid") == parameter(made, "uuid")
    assert uuid.UUID(made)
    assert uuid_of(text) == uuid_of(text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=3),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), children, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_json_has_nothing_that_the_server_refuses(value: Any) -> None:
    """No NUL, no half of a surrogate pair, no NaN; and what is plain comes through as it is."""
    text = parameter(value, "jsonb")
    if value is None:
        assert text is None
        return
    assert text is not None
    text.encode()
    kept = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert "\0" not in str(flat(kept))
    if isinstance(value, str):
        assert kept == clean(value)


def flat(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for part in value.values() for text in flat(part))]
    if isinstance(value, list):
        return [text for part in value for text in flat(part)]
    return [value] if isinstance(value, str) else []
