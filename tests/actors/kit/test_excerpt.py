"""The beginning of a payload keeps its structure, and its size is bounded."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.kit.excerpt import excerpt

payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(payloads)
def test_what_fits_is_left_as_it_is(payload: Any) -> None:
    """With room enough nothing is cut."""
    assert excerpt(payload, 1_000_000) == payload


@given(st.recursive(st.text(max_size=500), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_is_kept_is_about_as_large_as_asked(payload: Any) -> None:
    """However large the payload is."""
    kept = excerpt(payload, 50)
    longest_key = max((len(key) for key in _keys(payload)), default=0)
    assert len(json.dumps(kept, ensure_ascii=False)) < 2000 + 4 * longest_key


def _keys(payload: Any) -> list[str]:
    if isinstance(payload, dict):
        return [*payload, *(key for part in payload.values() for key in _keys(part))]
    return [key for part in payload for key in _keys(part)] if isinstance(payload, list) else []


def test_cuts_are_marked() -> None:
    """A reader sees that there is more, and how much."""
    assert excerpt("x" * 100, 10) == "x" * 10 + "…"
    assert excerpt(["a" * 20, 1, 2, 3], 10) == ["a" * 9 + "…", "… 3 more"]
    assert excerpt({"a": "x" * 20, "b": 1}, 10) == {"a": "x" * 9 + "…", "…": "1 more"}
    assert excerpt(b"x" * 100, 10) == b"x" * 10 + "…".encode()


def test_what_is_nested_too_deeply_is_cut() -> None:
    """And costs no recursion without end."""
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert "more" in json.dumps(excerpt(deep, 100_000))
