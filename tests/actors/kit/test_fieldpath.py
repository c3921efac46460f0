"""Places in a message: reading them, and when two are the same. Writing is tested with the step `map`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.message import Message
from actors.kit.fieldpath import MISSING, FieldPath, PathError

MESSAGE = Message(
    "m-1",
    "in",
    {"to": "x", "none": None, "list": [{"a": 1}], "a key": 2},
    {"x-id": "7"},
    "alarm",
    attributes={"partitionkey": "k", "expirytime": 5.0},
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data", MESSAGE.data),
        ("data.to", "x"),
        ("data.none", None),
        ("data.list[0].a", 1),
        ("data['a key']", 2),
        ('data["a key"]', 2),
        ("headers.x-id", "7"),
        ("type", "alarm"),
        ("key", "k"),
        ("expirytime", 5.0),
        ("data.absent", MISSING),
        ("data.to.deeper", MISSING),
        ("data.list[1]", MISSING),
        ("data.list.name", MISSING),
        ("data.none.deeper", MISSING),
        ("headers.absent", MISSING),
        ("tenant", MISSING),
    ],
)
def test_a_path_reads_what_is_there(path: str, value: object) -> None:
    assert FieldPath.parse(path).read(MESSAGE) == value


def test_two_ways_of_writing_one_place_are_equal() -> None:
    assert FieldPath.parse("data.a") == FieldPath.parse("data['a']") == FieldPath.parse('data["a"]')
    assert FieldPath.parse("data['0']") != FieldPath.parse("data[0]")


def test_removing_what_is_not_there_gives_the_same_message() -> None:
    assert FieldPath.parse("data.absent.deeper").remove(MESSAGE) is MESSAGE


def test_a_misspelt_place_comes_with_what_was_probably_meant() -> None:
    with pytest.raises(PathError) as caught:
        FieldPath.parse("header.x-id")
    assert caught.value.suggestion == "did you mean 'headers.x-id'?"


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_a_mistake(text: str) -> None:
    """Nothing else is raised, and a path is shown as it was written."""
    try:
        path = FieldPath.parse("data" + text)
    except PathError:
        return
    assert str(path) == "data" + text
