"""How tables fit into a terminal."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli.table import GAP, Cell, Column, layout, print_facts, print_table

COLUMNS = (
    Column("actor", least=8),
    Column("type", spare=2),
    Column("done", right=True),
    Column("restarts", right=True, spare=1),
)
ROWS = [("clientes-http", "http", "120,455", "1"), ("reports-of-the-day", "timer", "0", "3")]


def needed(places: Sequence[int], widths: dict[int, int]) -> int:
    return sum(widths[place] + GAP for place in places) - GAP


def test_without_a_terminal_nothing_is_cut() -> None:
    """Whoever pipes a table into a file or a tool gets all of it."""
    places, widths = layout(COLUMNS, ROWS, None)
    assert places == [0, 1, 2, 3]
    assert widths == {0: 18, 1: 5, 2: 7, 3: 8}


def test_names_are_cut_before_a_column_goes() -> None:
    """A column with a `least` gives way as long as it can."""
    places, widths = layout(COLUMNS, ROWS, 36)
    assert places == [0, 1, 2, 3]
    assert (widths[0], needed(places, widths)) == (10, 36)


def test_spare_columns_go_in_their_order() -> None:
    """The highest first; numbers are never cut."""
    assert layout(COLUMNS, ROWS, 33)[0] == [0, 2, 3]
    assert layout(COLUMNS, ROWS, 20)[0] == [0, 2]
    assert layout(COLUMNS, ROWS, 20)[1][2] == 7


def test_a_spare_column_of_zeros_goes_first() -> None:
    """What holds nothing tells nothing."""
    rows = [(*row[:3], "0") for row in ROWS]
    assert layout(COLUMNS, rows, 33)[0] == [0, 1, 2]


@given(
    st.lists(st.tuples(*[st.text("abc", max_size=30)] * 4), max_size=5),
    st.integers(0, 120),
)
def test_a_table_is_as_wide_as_it_may_be_or_as_narrow_as_it_can(rows: list[tuple[str, ...]], room: int) -> None:
    """It fits, or nothing more can give way."""
    places, widths = layout(COLUMNS, rows, room)
    assert places == sorted(places)
    if needed(places, widths) > room:
        assert not any(COLUMNS[place].spare for place in places)
        assert widths[0] <= 8


def test_columns_stand_under_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers on the right, no blanks at the end of a line, and nothing a terminal would obey."""
    print_table(COLUMNS, [(Cell("a\x1b", "green"), "http", "12", ""), ("日本", "log", "3", "")])
    assert capsys.readouterr().out.splitlines() == [
        "ACTOR  TYPE  DONE  RESTARTS",
        r"a\x1b  http    12",
        "日本   log      3",
    ]


def test_facts_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The values stand under each other."""
    print_facts([("id", "d1"), ("target", ""), ("reason", "refused")])
    assert capsys.readouterr().out == "id      d1\nreason  refused\n"
