"""Offsets become lines and columns, and secrets are masked where a line is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.topology.source import Source, Span


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_editors_have_it(newline: str) -> None:
    source = Source("f", newline.join(["ab", "", "cd"]))
    offset = source.text.index("d")
    assert source.place(Span(offset, offset + 1)) == (3, 2, 1)
    assert [source.shown_line(number) for number in (1, 2, 3)] == ["ab", "", "cd"]


def test_a_place_does_not_reach_over_the_end_of_its_line() -> None:
    assert Source("f", "abc\ndef").place(Span(1, 6)) == (1, 2, 2)


@given(st.text(alphabet="ab\n\r"), st.integers(0, 30), st.integers(0, 30))
def test_every_span_has_a_place(text: str, start: int, end: int) -> None:
    source = Source("f", text)
    line, column, length = source.place(Span(start, end))
    assert len(source.shown_line(line)) >= column - 1
    assert length >= 1


def test_a_masked_part_is_never_shown_and_columns_stay() -> None:
    source = Source("f", "a: secret word, b: 1")
    source.mask(Span(3, 14))
    assert source.shown_line(1) == "a: ****** ****, b: 1"
    assert source.is_masked(Span(3, 9))
    assert not source.is_masked(Span(2, 9))


def test_a_mask_over_several_lines_hides_all_of_them() -> None:
    source = Source("f", "key: |\n  one\n  two\nb: 1")
    source.mask(Span(5, 19))
    assert [source.shown_line(number) for number in (2, 3, 4)] == ["  ***", "  ***", "b: 1"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("password: hunter2", "password: *******"),
        ("  {api-key: abc, b: 1}", "  {api-key: ***, b: 1}"),
        ('"client_secret": "abc"', '"client_secret": *****'),
        ("url: mqtt://ann:pw@host/x", "url: mqtt://******@host/x"),
        ("token: ${TOKEN}", "token: ${TOKEN}"),
        ("token: '${file:secrets/token}'", "token: '${file:secrets/token}'"),
        ("token: ${TOKEN:-abc}", "token: ************}"),
        ("token: abc${TOKEN}", "token: **********}"),
        ("url: mqtt://${USER}:${PW}@host", "url: mqtt://${USER}:${PW}@host"),
        ("verify: {bearer: {tokens: [a]}}", "verify: {bearer: {tokens: [a]}}"),
    ],
)
def test_what_sounds_like_a_secret_is_masked_before_anything_is_known_of_the_file(line: str, shown: str) -> None:
    assert Source("f", line).shown_line(1) == shown
