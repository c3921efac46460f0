"""`map`: what is set, renamed and removed, in which order, and that nobody else's data is touched."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.steps.map import Map, MapOptions
from tests.actors.steps.stepping import Way, build, message


def mapped(options: dict[str, Any], original: Message) -> Message:
    """The message behind the step; the one before it is as it was."""
    before = copy.deepcopy(original.data), dict(original.headers), dict(original.attributes)
    result = build(Map, options)(original, Way())
    assert isinstance(result, Message)
    assert (original.data, original.headers, original.attributes) == before
    return result


def test_a_field_is_set_from_a_template() -> None:
    result = mapped({"set": {"data.to": "{{ data.phone }}"}}, message({"phone": "+593991234567"}))

    assert result.data == {"phone": "+593991234567", "to": "+593991234567"}


def test_a_template_alone_keeps_its_native_type() -> None:
    result = mapped({"set": {"data.count": "{{ data.items | length }}"}}, message({"items": [1, 2, 3]}))

    assert result.data["count"] == 3


def test_constants_and_trees_are_written_as_they_stand() -> None:
    tree = {"by": "router", "list": [1, "{{ data.n }}", None], "deep": {"yes": True}}
    result = mapped({"set": {"data.meta": tree}}, message({"n": 7}))

    assert result.data["meta"] == {"by": "router", "list": [1, 7, None], "deep": {"yes": True}}


def test_templates_see_the_message_as_it_came_in() -> None:
    """So two fields can change places."""
    result = mapped({"set": {"data.a": "{{ data.b }}", "data.b": "{{ data.a }}"}}, message({"a": 1, "b": 2}))

    assert result.data == {"a": 2, "b": 1}


def test_the_whole_payload_can_be_replaced() -> None:
    result = mapped({"set": {"data": {"text": "{{ data.body }}"}}}, message({"body": "hola", "more": 1}))

    assert result.data == {"text": "hola"}


def test_the_outer_place_is_written_before_the_inner_whatever_the_order_in_the_file() -> None:
    wanted = {"data.a.b": 3, "data.a": {"c": 2}, "data": {"d": 1}}

    assert mapped({"set": wanted}, message({"gone": True})).data == {"d": 1, "a": {"c": 2, "b": 3}}


def test_mappings_on_the_way_are_made_where_there_are_none() -> None:
    assert mapped({"set": {"data.a.b.c": 1}}, message({"a": None})).data == {"a": {"b": {"c": 1}}}
    assert mapped({"set": {"data.a": 1}}, message(None)).data == {"a": 1}


def test_elements_of_lists_and_names_of_any_kind_can_be_set() -> None:
    result = mapped({"set": {"data.list[1].n": 5, 'data["a key"]': 6}}, message({"list": [{"n": 0}, {"n": 1, "m": 2}]}))

    assert result.data == {"list": [{"n": 0}, {"n": 5, "m": 2}], "a key": 6}


def test_what_is_not_on_the_way_is_shared_and_not_copied() -> None:
    original = message({"a": {"x": 1}, "big": {"y": 2}})

    assert mapped({"set": {"data.a.x": 2}}, original).data["big"] is original.data["big"]


def test_headers_and_attributes_are_text() -> None:
    result = mapped(
        {"set": {"headers.x-count": "{{ data.n }}", "key": "{{ data.n }}", "subject": "order {{ data.n }}"}},
        message({"n": 7}),
    )

    assert result.headers == {"x-request-id": "r-1", "x-count": "7"}
    assert (result.key, result.subject) == ("7", "order 7")


def test_none_removes_a_header_and_an_attribute() -> None:
    result = mapped({"set": {"headers.x-request-id": None, "tenant": None}}, message({}, tenant="cota"))

    assert (result.headers, result.tenant) == ({}, None)


def test_type_and_expiry_can_be_set() -> None:
    result = mapped({"set": {"type": "alarm", "expirytime": "{{ data.until }}"}}, message({"until": 1_700_000_060}))

    assert (result.type, result.expirytime) == ("alarm", 1_700_000_060.0)


def test_a_value_moves_from_one_place_to_another() -> None:
    result = mapped(
        {"rename": {"data.body": "data.text", "data.id": "headers.x-id", "data.absent": "data.gone"}},
        message({"body": "hola", "id": 9, "rest": 1}),
    )

    assert result.data == {"text": "hola", "rest": 1}
    assert result.headers["x-id"] == "9"


def test_what_is_unset_is_gone_and_what_was_not_there_is_left_alone() -> None:
    result = mapped(
        {"unset": ["data.secret", "data.list[0]", "data.absent.deep", "headers.x-request-id", "tenant"]},
        message({"secret": 1, "list": ["a", "b"], "rest": 2}, tenant="cota"),
    )

    assert result.data == {"list": ["b"], "rest": 2}
    assert (result.headers, result.tenant) == ({}, None)


def test_set_comes_before_rename_and_rename_before_unset() -> None:
    """So a field can be moved into a mapping that was set, and the rest of where it was removed."""
    result = mapped(
        {
            "set": {"data.new": {"kind": "order"}},
            "rename": {"data.old.id": "data.new.id"},
            "unset": ["data.old"],
        },
        message({"old": {"id": 1, "rest": 2}}),
    )

    assert result.data == {"new": {"kind": "order", "id": 1}}


def test_everything_else_of_the_message_stays() -> None:
    original = message({"a": 1}, id="m-9", subject="s", traceparent="00-1")
    result = mapped({"set": {"data.b": 2}}, original)

    assert result._replace(data=None) == original._replace(data=None)


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"set": {"data.to": "{{ data.absent }}"}}, {}),
        ({"set": {"data.to": 1}}, "text"),
        ({"set": {"data.a.b": 1}}, {"a": "text"}),
        ({"set": {"data.list[3]": 1}}, {"list": [1]}),
        ({"set": {"data.list[0]": 1}}, {}),
        ({"set": {"data.list.name": 1}}, {"list": [1]}),
        ({"set": {"headers.x": {"a": 1}}}, {}),
        ({"set": {"expirytime": "soon"}}, {}),
        ({"rename": {"data.a": "data.b.c"}}, {"a": 1, "b": 2}),
    ],
)
def test_what_cannot_be_done_fails_as_an_expression(options: dict[str, Any], data: object) -> None:
    """It is neither a crash of the route nor a message that goes on half changed."""
    with pytest.raises(ExpressionError):
        mapped(options, message(data))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "at least one of set, rename and unset"),
        ({"set": {"dta.to": 1}}, "no place in a message, which begins with data, headers, type, key"),
        ({"set": {"id": 1}}, "the id of a message does not change: it is the idempotency key"),
        ({"set": {"data..to": 1}}, "cannot be read from '..to' on"),
        ({"set": {"data[x]": 1}}, "cannot be read from '[x]' on"),
        ({"set": {"headers": {}}}, "expected the name of one header"),
        ({"set": {"key.name": 1}}, "the key of a message has nothing in it"),
        ({"unset": ["data.a", "data['a']"]}, "data['a'] is changed twice: by 'unset' and by 'unset'"),
        (
            {"set": {"data.a": 1}, "rename": {"data.b": "data.a"}},
            "data.a is changed twice: by 'set' and by 'rename'",
        ),
        ({"remove": ["data.a"]}, "Extra inputs are not permitted"),
    ],
)
def test_a_path_that_cannot_be_is_a_problem_of_the_file(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=r"^1 validation error") as caught:
        MapOptions.model_validate(options)
    assert said in caught.value.errors()[0]["msg"]


names = st.text("abc", min_size=1, max_size=1)
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)


@given(data=st.dictionaries(names, trees), path=st.lists(names, min_size=1, max_size=4), value=st.integers())
def test_what_was_set_is_read_back_and_what_was_unset_is_not(data: dict[str, Any], path: list[str], value: int) -> None:
    """Whatever the data: a place that can be set has the value, and all other top fields are the same objects."""
    place = ".".join(("data", *path))
    try:
        written = mapped({"set": {place: value}}, message(data))
    except ExpressionError:
        return
    found = written.data
    for name in path:
        found = found[name]
    assert found == value
    assert all(written.data[name] is data[name] for name in data if name != path[0])

    removed = mapped({"unset": [place]}, written).data
    for name in path[:-1]:
        removed = removed[name]
    assert path[-1] not in removed
