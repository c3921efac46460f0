"""Secrets stay out of sight."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from actors.kit.secrets import MASK, Secret, redact, redact_url

NAMES = frozenset({"Phone", "token"})

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("hidden"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["phone", "PHONE", "Token", "a", "b"]), inner, max_size=4)
    ),
    max_leaves=20,
)


class Options(BaseModel):
    token: Secret


def names_in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        found = [part for key, part in value.items() if key.casefold() in ("phone", "token")]
        return found + [
            deeper
            for key, part in value.items()
            if key.casefold() not in ("phone", "token")
            for deeper in names_in(part)
        ]
    return [deeper for part in value for deeper in names_in(part)] if isinstance(value, list) else []


def test_a_secret_is_read_only_on_purpose() -> None:
    options = Options.model_validate({"token": "hush"})
    assert "hush" not in repr(options) + str(options.token) + options.model_dump_json()
    assert options.token.reveal() == "hush"
    assert options.token.reveal_bytes() == b"hush"


def test_the_schema_marks_a_secret() -> None:
    schema = Options.model_json_schema()["properties"]["token"]
    assert (schema["format"], schema["writeOnly"]) == ("password", True)


def test_names_are_masked_at_any_depth_in_any_case() -> None:
    value = {"to": [{"PHONE": "+593", "name": "Ana"}], "token": {"a": 1}, "n": 1, "t": ({"phone": 1},)}
    assert redact(value, NAMES) == {
        "to": [{"PHONE": MASK, "name": "Ana"}],
        "token": MASK,
        "n": 1,
        "t": ({"phone": MASK},),
    }


@given(values)
def test_nothing_under_a_name_is_left_and_nothing_is_changed_in_place(value: Any) -> None:
    before = copy.deepcopy(value)
    redacted = redact(value, NAMES)
    assert value == before
    assert all(found == MASK for found in names_in(redacted))
    if not names_in(value):
        assert redacted is value


def test_what_is_nested_without_end_is_masked_rather_than_followed() -> None:
    value: Any = "deep"
    for _ in range(5000):
        value = [value]
    assert MASK in json.dumps(redact(value, NAMES))


def test_without_names_the_value_is_handed_back() -> None:
    value = {"phone": 1}
    assert redact(value, frozenset()) is value


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtts://me:hush@broker:8883", "mqtts://***@broker:8883"),
        ("rediss://:hush@host:6379/0", "rediss://***@host:6379/0"),
        ("https://hush@host/p@th?a=b@c", "https://***@host/p@th?a=b@c"),
        ("https://me:hu@sh@host/", "https://***@host/"),
        ("postgres://me:hu/sh@host/db", "postgres://***@host/db"),
        ("postgres://me:hu#sh@host/db", "postgres://***@host/db"),
        ("https://host:8080/p@th", "https://host:8080/p@th"),
        ("https://[::1]:8080/p@th", "https://[::1]:8080/p@th"),
        ("https://host/", "https://host/"),
        ("embedded:", "embedded:"),
        ("a://u:hush@h,b://u:hush@h", "a://***@h,b://***@h"),
        ("cannot reach redis://u:hush@h:1: refused", "cannot reach redis://***@h:1: refused"),
    ],
)
def test_the_user_part_of_a_url_is_never_shown(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert "hush" not in shown


@given(st.text(), st.from_regex(r"[^\s@:/?#\[\]]{1,20}", fullmatch=True))
def test_no_password_survives_in_any_text(around: str, password: str) -> None:
    url = f"redis://user:§{password}§@host"
    assert f"§{password}§" not in redact_url(f"{around} {url} {around}")


def test_a_long_text_is_redacted_in_linear_time() -> None:
    """A quadratic one would take minutes."""
    redact_url("a" * 300_000 + "://" + "b" * 300_000)
