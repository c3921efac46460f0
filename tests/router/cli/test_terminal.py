"""What a terminal may be sent."""

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli import terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_a_terminal_would_obey_is_escaped() -> None:
    """A message from outside moves no cursor and forges no line."""
    assert terminal.printable("\x1b[2Jgone\nerror: forged\u202e") == r"\x1b[2Jgone\nerror: forged\u202e"


@given(st.text())
def test_nothing_that_is_printed_is_a_control_character(text: str) -> None:
    """Whatever came in, one line of visible characters goes out."""
    assert all(unicodedata.category(char)[0] != "C" for char in terminal.printable(text))


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_for_a_terminal_is_still_the_same_json(value: object) -> None:
    """What is escaped reads back as what it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream := io.StringIO())
        terminal.print_json(value)
    printed = stream.getvalue()
    assert json.loads(printed) == value
    assert all(char.isprintable() or char in "\n" or unicodedata.category(char) != "Cc" for char in printed)


@given(st.text().map(terminal.printable), st.integers(1, 30))
def test_a_cut_text_fits(text: str, room: int) -> None:
    """Wide characters count twice; what is shorter stays as it is."""
    shown = terminal.cut(text, room)
    assert terminal.width(shown) <= room
    assert shown == text or shown.endswith("…")


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    """As terminals draw them."""
    assert terminal.width("日本") == 4
    assert terminal.width("e\u0301") == 1


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into a file, not with NO_COLOR, not where TERM says that there are none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.styled("ready", "green", Screen()) == "\x1b[32mready\x1b[0m"
    assert terminal.styled("ready", "green", io.StringIO()) == "ready"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.styled("ready", "green", Screen()) == "ready"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.styled("ready", "green", Screen()) == "ready"
