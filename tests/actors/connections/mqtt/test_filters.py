"""Which filters match a topic."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.mqtt.filters import FilterTree

LEVELS = st.sampled_from(["a", "b", "", "$a"])


def matching(filters: list[str], topic: str) -> list[str]:
    tree = FilterTree[str]()
    for each in filters:
        tree.add(each, each)
    return sorted(tree.matching(topic))


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("a/b", ["#", "+/+", "+/b", "a/#", "a/+", "a/b", "a/b/#"]),
        ("a", ["#", "a/#"]),
        ("a/b/c", ["#", "a/#", "a/b/#"]),
        ("$SYS/b", ["$SYS/#"]),
        ("/b", ["#", "+/+", "+/b"]),
        ("a/+", ["#", "+/+", "a/#", "a/+"]),
        ("+/b", ["#", "+/+", "+/b"]),
    ],
)
def test_a_topic_is_matched_level_by_level(topic: str, expected: list[str]) -> None:
    """MQTT 5, 4.7; a level of which nobody knows what it will be is matched by what matches any."""
    filters = ["#", "+/+", "+/b", "a/#", "a/+", "a/b", "a/b/#", "b/#", "a/b/c/d", "$SYS/#"]
    assert matching(filters, topic) == expected


def test_a_filter_may_have_several_values() -> None:
    tree = FilterTree[int]()
    for value in (1, 2):
        tree.add("a/+", value)
    assert list(tree.matching("a/b")) == [1, 2]


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(LEVELS | st.just("+"), min_size=1, max_size=3))
    return "/".join([*levels, "#"] if draw(st.booleans()) else levels)


def as_pattern(filter_: str) -> str:
    pattern = re.escape(filter_).replace(r"\+", "[^/]*")
    return re.sub(r"(^|/)\\#$", lambda found: "(/.*)?" if found[1] else ".*", pattern)


@given(st.lists(filters(), max_size=6, unique=True), st.lists(LEVELS, min_size=1, max_size=4))
def test_it_finds_what_a_pattern_for_each_would_find(given: list[str], levels: list[str]) -> None:
    topic = "/".join(levels)
    expected = [
        each
        for each in given
        if re.fullmatch(as_pattern(each), topic) and not (topic.startswith("$") and each[0:1] in ("+", "#"))
    ]
    assert matching(given, topic) == sorted(expected)
