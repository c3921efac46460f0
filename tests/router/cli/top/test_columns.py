"""Which columns fit, and what stands in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli.table import Cell
from router.cli.top.columns import ACTORS, GAP, QUEUES, ROUTES, Column, fill, fit, shown_columns
from router.cli.top.entry import Entry
from router.cli.top.sample import Json
from tests.router.cli.top.readings import actor, away, box, entries, queue, queue_entries, route


def one(view: Json) -> Entry:
    (entry,) = entries(view)
    return entry


def titles(columns: tuple[Column, ...]) -> list[str]:
    return [column.title for column in columns]


@given(st.integers(60, 240), st.integers(0, 32), st.sampled_from([ACTORS, ROUTES, QUEUES]))
def test_columns_never_take_more_than_there_is(room: int, longest: int, columns: tuple[Column, ...]) -> None:
    """From 62 columns on, each shows its figures whole."""
    layout = fit(columns, room, longest)
    assert sum(layout.widths) + GAP * (len(layout.widths) - 1) <= room
    assert all(width >= column.columns for column, width in zip(layout.columns[1:], layout.widths[1:], strict=True))


def test_at_80_columns_what_matters_most_is_there() -> None:
    """Two are the margins."""
    plain = shown_columns(ACTORS, [one(actor("a"))])
    assert titles(fit(plain, 78, 20).columns) == [
        *("ACTORS", "STATE", "DONE/S", "MAILBOX", "OLDEST", "FAILED", "RESTARTS")
    ]
    plain = shown_columns(ROUTES, [one(route("r"))])
    assert titles(fit(plain, 78, 20).columns) == ["ROUTES", "STATE", "IN/S", "OUT/S", "MAILBOX", "OLDEST", "DEAD"]


def test_at_80_columns_a_queue_says_what_waits_and_what_failed() -> None:
    """And what is spilled, where anything is: that is worth more than how fast jobs come."""
    titled = titles(fit(shown_columns(QUEUES, queue_entries(queue("q"))), 78, 13).columns)
    assert titled == ["QUEUES", "STATE", "DONE/S", "WAITING", "DELAYED", "ACTIVE", "FAILED", "OLDEST"]
    titled = titles(fit(shown_columns(QUEUES, queue_entries(queue("q", spilled=3))), 78, 13).columns)
    assert "SPILLED" in titled


def test_a_queue_that_does_not_answer_has_no_figures() -> None:
    """But what is known without its store."""
    (entry,) = queue_entries(queue("q", spilled=17, **away()))
    cells = {column.title: column.cell(entry) for column in QUEUES}
    figures = {title: cell.text if isinstance(cell, Cell) else cell for title, cell in cells.items()}
    assert figures["STATE"] == "away"
    assert {figures[title] for title in ("WAITING", "DELAYED", "ACTIVE", "DONE", "FAILED")} == {"–"}
    assert figures["SPILLED"] == "17"
    assert {column.value(entry) for column in QUEUES if column.title in ("WAITING", "FAILED")} == {None}


def test_latency_is_a_column_where_the_router_tells_it() -> None:
    """And only there."""
    told = one(route("r", latency={"p50": 0.002, "p95": 0.02, "p99": 0.25}))
    columns = shown_columns(ROUTES, [told])
    assert titles(columns)[-2:] == ["P50", "P99"]
    assert [columns[-1].cell(told), columns[-2].cell(told)] == ["250ms", "2ms"]
    assert "P99" not in titles(shown_columns(ROUTES, [one(route("r"))]))


@pytest.mark.parametrize(
    ("depth", "drawn", "style"),
    [
        (0, "▁▁▁▁▁    0/1000", None),
        (12, "▇▁▁▁▁   12/1000", "green"),
        (850, "▇▇▇▇▁  850/1000", "yellow"),
        (1000, "▇▇▇▇▇ 1000/1000", "red"),
    ],
)
def test_a_mailbox_is_a_bar_and_figures(depth: int, drawn: str, style: str | None) -> None:
    """Readable without its colours, which warn when it is almost full."""
    cells = fill(one(actor("a", mailbox=box(depth))), 15)
    assert "".join(cell.text for cell in cells) == drawn
    assert [cell.style for cell in cells if "▇" in cell.text] == ([style] if style else [])


def test_what_is_only_a_source_has_no_mailbox_to_look_at() -> None:
    """Nothing is delivered to it."""
    (cell,) = fill(one(actor("a", roles=["source"])), 15)
    assert cell.text.strip() == "–"
