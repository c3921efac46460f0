"""`${…}` is replaced by the environment, a default or a file; `$$` is a dollar."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.topology.variables import MAX_FILE_BYTES, Variables

ENVIRON = {"NAME": "ann", "EMPTY": "", "DOLLAR": "${NAME}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${NAME}", "ann"),
        ("a-${NAME}-b-${NAME}", "a-ann-b-ann"),
        ("${NAME:-bob}", "ann"),
        ("${OTHER:-bob}", "bob"),
        ("${EMPTY:-bob}", "bob"),
        ("${OTHER:-}", ""),
        ("${OTHER:-a:-b$$}", "a:-b$"),
        ("${EMPTY}", ""),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$$", "$$"),
        ("$NAME costs 5$", "$NAME costs 5$"),
        ("${DOLLAR}", "${NAME}"),
    ],
)
def test_references_are_replaced_once(text: str, expanded: str) -> None:
    """What is put in is not looked at again, and a dollar before anything but a brace is a dollar."""
    found = Variables(ENVIRON, Path()).expand(text)
    assert found.text == expanded
    assert not found.missing


def test_only_text_that_something_was_put_into_is_private() -> None:
    variables = Variables(ENVIRON, Path())
    assert variables.expand("${NAME}").replaced
    assert not variables.expand("$$5").replaced


@given(st.text())
def test_text_with_doubled_dollars_comes_out_as_it_was(text: str) -> None:
    assert Variables({}, Path()).expand(text.replace("$", "$$")).text == text


def test_a_variable_that_is_not_set_is_missing_at_its_place() -> None:
    (missing,) = Variables(ENVIRON, Path()).expand("ab${OTHER}").missing
    assert (missing.offset, missing.length, missing.name) == (2, 8, "OTHER")
    assert "is not set" in missing.message


@pytest.mark.parametrize("text", ["${", "${NAME", "${}", "${1A}", "${A B}", "${NAME:?x}", "${A:-${B}", "${:-x}"])
def test_what_is_no_reference_is_told(text: str) -> None:
    assert Variables(ENVIRON, Path()).expand(text).missing


def test_a_variable_that_is_not_utf_8_is_told_without_its_value() -> None:
    (missing,) = Variables({"NAME": os.fsdecode(b"\xff\xfe")}, Path()).expand("${NAME}").missing
    assert missing.message == "the environment variable 'NAME' is not UTF-8"


def test_a_file_is_read_beside_the_topology_without_the_line_break_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "x").write_bytes(b"top\nsecret\r\n")
    assert Variables({}, tmp_path).expand("${file:secrets/x}").text == "top\nsecret"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing", None, "cannot be read: No such file or directory"),
        ("large", b"x" * (MAX_FILE_BYTES + 1), "is larger than 64 KiB"),
        ("binary", b"\xff", "is not UTF-8"),
        (".", None, "is not a file"),
        ("a\0b", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, name: str, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (missing,) = Variables({}, tmp_path).expand(f"${{file:{name}}}").missing
    assert why in missing.message


def test_what_might_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (missing,) = Variables({}, tmp_path).expand("${file:pipe}").missing
    assert "is not a file" in missing.message


def test_what_is_put_in_is_bounded_in_all() -> None:
    """A short file must not unfold to gigabytes."""
    variables = Variables({"LONG": "x" * 100_000}, Path())
    expanded = variables.expand("${LONG}" * 1000)
    assert len(expanded.text) < 10 * 1024 * 1024
    assert expanded.missing[0].message == "what is put into the file grows too long"
