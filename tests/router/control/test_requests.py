"""Requests are checked before anything is done, and a mistake is told by the field it is in."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from router.control.problem import RequestError
from router.control.requests import (
    DeadLettersQuery,
    Drop,
    MailboxQuery,
    Moment,
    NewMessage,
    NoQuery,
    Replay,
    read_body,
    read_query,
)

NOW = 1_000_000.0


def refused(model: type[BaseModel], document: Any) -> list[tuple[str, str, str]]:
    """Field, message and suggestion of each mistake."""
    with pytest.raises(RequestError) as caught:
        read_body(json.dumps(document).encode(), "application/json", model)
    return [(one.field, one.message, one.suggestion) for one in caught.value.mistakes]


def test_a_message_needs_data_alone() -> None:
    message = read_body(b'{"data": null}', "application/json; charset=utf-8", NewMessage)
    assert (message.data, message.wait, message.timeout_s, message.type) == (None, False, 10.0, "message")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "data"),
        ({"data": 1, "wait": "yes"}, "wait"),
        ({"data": 1, "wait": 1}, "wait"),
        ({"data": 1, "timeout_s": "5"}, "timeout_s"),
        ({"data": 1, "timeout_s": 0}, "timeout_s"),
        ({"data": 1, "timeout_s": True}, "timeout_s"),
        ({"data": 1, "headers": {"a": 1}}, "headers.a"),
        ({"data": 1, "headers": ["a"]}, "headers"),
        ({"data": 1, "id": ""}, "id"),
        ({"data": 1, "id": 5}, "id"),
        ({"data": 1, "key": "k" * 1025}, "key"),
    ],
)
def test_a_wrong_type_is_told_by_its_field(document: Any, field: str) -> None:
    ((named, message, _),) = refused(NewMessage, document)
    assert named == field
    assert message


def test_all_mistakes_are_told_at_once_with_what_was_probably_meant() -> None:
    assert refused(NewMessage, {"data": 1, "wait": "x", "heders": {}}) == [
        ("wait", "should be a valid boolean", ""),
        ("heders", "unknown field", "did you mean 'headers'?"),
    ]


def test_a_value_is_never_repeated_in_a_mistake() -> None:
    """It may be a secret, and answers are logged."""
    assert "hunter2" not in str(refused(NewMessage, {"data": 1, "wait": "hunter2", "timeout_s": "hunter2"}))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"data": NaN}', b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_body(body, "application/json", NewMessage)
    assert caught.value.status == 400


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_has_to_be_declared_as_json(content_type: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_body(b'{"data": 1}', content_type, NewMessage)
    assert caught.value.status == 415


@pytest.mark.parametrize("model", [Replay, Drop])
def test_dead_letters_are_chosen_by_ids_or_by_a_filter(model: type[Replay | Drop]) -> None:
    """Never by neither, or a slip would drop everything; an empty filter says so on purpose."""
    assert refused(model, {})[0][0] == ""
    assert refused(model, {"ids": ["d1"], "filter": {}})[0][0] == ""
    assert refused(model, {"ids": []})[0][0] == "ids"
    everything = read_body(b'{"filter": {}}', "application/json", model)
    assert everything.filter is not None


def test_a_mistake_in_a_filter_is_told_by_its_path() -> None:
    assert refused(Drop, {"filter": {"rout": "r"}}) == [("filter.rout", "unknown field", "did you mean 'route'?")]
    assert [field for field, _, _ in refused(Drop, {"filter": {"reason": "conect", "since": "x"}})] == [
        "filter.reason",
        "filter.since",
    ]


def test_a_replay_says_as_what() -> None:
    assert read_body(b'{"ids": ["d1"]}', "application/json", Replay).mode == "original"
    assert read_body(b'{"ids": ["d1"], "as": "current"}', "application/json", Replay).mode == "current"
    assert refused(Replay, {"ids": ["d1"], "as": "new"})[0][0] == "as"
    assert refused(Replay, {"ids": ["d1"], "mode": "current"})[0][0] == "mode"


def test_numbers_in_a_query_are_text_and_are_read() -> None:
    assert read_query([("limit", "7")], MailboxQuery).limit == 7
    assert read_query([], MailboxQuery).limit == 50


@pytest.mark.parametrize(
    ("parameters", "mistake"),
    [
        ([("limit", "0")], "limit: should be greater than or equal to 1"),
        ([("limit", "1001")], "limit: should be less than or equal to 1000"),
        ([("limit", "5"), ("limit", "6")], "limit: given more than once"),
        ([("limt", "5")], "limt: unknown query parameter; did you mean 'limit'?"),
    ],
)
def test_a_mistake_in_a_query_names_the_parameter(parameters: list[tuple[str, str]], mistake: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_query(parameters, MailboxQuery)
    assert str(caught.value) == mistake


def test_where_no_parameters_are_known_any_is_a_mistake() -> None:
    with pytest.raises(RequestError, match="verbose: unknown query parameter"):
        read_query([("verbose", "1")], NoQuery)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", NOW - 7200),
        ("90s", NOW - 90),
        ("1970-01-02T00:00:00Z", 86400.0),
        ("1970-01-02T02:00:00+02:00", 86400.0),
        ("1970-01-02", 86400.0),
        ("12.5", 12.5),
    ],
)
def test_a_moment_is_a_date_a_number_or_how_long_ago(text: str, seconds: float) -> None:
    query = read_query([("since", text)], DeadLettersQuery)
    assert query.filter(NOW).since == seconds


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "2 fortnights", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="since: expected a date and time"):
        read_query([("since", text)], DeadLettersQuery)


@given(st.floats(min_value=0, max_value=4e9, allow_nan=False))
def test_epoch_seconds_come_through_exactly(seconds: float) -> None:
    assert Moment.parse(seconds).at(NOW) == seconds
    assert Moment.parse(repr(seconds)).at(NOW) == seconds


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda p: st.lists(p) | st.dictionaries(st.text(), p)
    )
)
def test_no_body_raises_anything_else(document: Any) -> None:
    """Whatever comes is taken or refused with a problem, and is never a defect."""
    for model in (NewMessage, Replay, Drop):
        with contextlib.suppress(RequestError):
            read_body(json.dumps(document).encode(), "application/json", model)
