"""Values as they may be shown: masked, expressible in JSON, harmless to a terminal, cheap to preview."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from router.telemetry.shown import Redaction, printable, without_credentials

KEYS = st.one_of(
    st.text(max_size=5), st.sampled_from(["token", "Token", "TOKEN"]), st.integers(), st.binary(max_size=3)
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=20), st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda parts: st.one_of(st.lists(parts, max_size=4), st.dictionaries(KEYS, parts, max_size=4)),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_becomes_strict_json(value: Any) -> None:
    """Whatever a message holds, a machine can read what is shown of it."""
    text = json.dumps(Redaction(("token",)).plain(value), allow_nan=False)
    assert json.loads(text) == Redaction(("token",)).plain(value)


@given(VALUES, st.integers(min_value=2, max_value=200))
def test_a_preview_is_one_printable_line_of_bounded_width(value: Any, width: int) -> None:
    """No payload breaks a table or speaks to a terminal."""
    preview = Redaction(("token",)).preview(value, width)
    assert len(preview) <= width
    assert not preview or preview.isprintable()


@given(VALUES)
def test_what_is_masked_is_in_neither_form(value: Any) -> None:
    """A secret under a masked name shows nowhere, at any depth and in any case."""
    hidden = {"a": [{"ToKeN": {"deep": ["hunter2", value]}}], "token": "hunter2"}
    assert "hunter2" not in json.dumps(Redaction(("token",)).plain(hidden))
    assert "hunter2" not in Redaction(("token",)).preview(hidden, 1000)


def test_bytes_are_text_where_they_are_utf8_and_base64_where_not() -> None:
    assert Redaction().plain([b"caf\xc3\xa9", b"\xff\xfe"]) == ["café", "base64://4="]


def test_what_json_cannot_hold_is_shown_as_python_would() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    shown = Redaction().plain(
        [float("nan"), datetime(2026, 1, 2, tzinfo=UTC), ValueError("no"), SecretStr("x"), Broken()]
    )
    assert shown == ["nan", "2026-01-02T00:00:00+00:00", "ValueError: no", "SecretStr('**********')", "<Broken>"]


def test_a_huge_integer_is_described() -> None:
    """Turning a million bits into digits would hold the loop, and Python refuses it."""
    assert Redaction().plain(1 << 1_000_000) == "an integer of 1000001 bits"


def test_nesting_without_end_is_masked() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert json.dumps(Redaction().plain(loop)).count("[") == 100
    assert Redaction().preview(loop).startswith("[[[")


def test_a_preview_looks_only_at_the_beginning() -> None:
    """The cost of a preview does not grow with the message."""

    class Endless(Mapping[str, int]):
        asked = 0

        def __getitem__(self, key: str) -> int:
            self.asked += 1
            return 1

        def __iter__(self) -> Iterator[str]:
            return (f"k{number}" for number in range(1_000_000))

        def __len__(self) -> int:
            return 1_000_000

    endless = Endless()
    assert Redaction().preview(endless).endswith("…")
    assert endless.asked < 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two lines"),
        ("\x1b[2Jgone", "�[2Jgone"),
        ("right\u202eleft", "right�left"),
        ("café 🦉", "café 🦉"),
    ],
)
def test_a_terminal_is_told_nothing(text: str, shown: str) -> None:
    """Escapes, line breaks and marks that turn text around are replaced."""
    assert printable(text) == shown


def test_what_is_to_be_kept_is_kept() -> None:
    assert printable("a\nb\x07", keep="\n") == "a\nb�"


def test_the_user_part_of_urls_is_masked() -> None:
    assert without_credentials("cannot reach mqtt://me:pw@host:1883/x") == "cannot reach mqtt://***@host:1883/x"
