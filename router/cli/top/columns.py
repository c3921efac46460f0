"""The columns of actors, routes and queues: what stands in each, what it is sorted by, and which of them fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from router.cli.figures import NOTHING, span
from router.cli.table import Cell
from router.cli.terminal import Style, width
from router.cli.top.entry import Entry
from router.cli.top.gauge import bar, compact, took
from router.cli.top.queue_entry import QueueEntry

GAP: Final = 2
LEAST_NAME: Final = 13
BAR: Final = 5
LONGEST_BAR: Final = 24
FILL: Final = 9
"""`1234/1000`, beside its bar."""

ALMOST_FULL: Final = 0.8

Value = str | float | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column; its width stays whatever stands in it, so that nothing moves but figures."""

    title: str
    columns: int
    cell: Callable[[Entry], Cell | str]
    value: Callable[[Entry], Value]
    """What rows are sorted by; None stands last."""
    right: bool = True
    spare: int = 0
    """Where the terminal is too narrow, the highest is left out first; 0: never."""
    falling: bool = True
    """Whether the largest stand first when it is chosen."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that fit, and how wide each is."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...] = field(default=())

    def at(self, x: int) -> Column | None:
        """The column that is drawn there."""
        left = 0
        for column, columns in zip(self.columns, self.widths, strict=True):
            left += columns + GAP
            if x < left:
                return column
        return None


def fit(columns: Sequence[Column], room: int, names: int) -> Layout:
    """Choose columns for so much room; `names` is as wide as the longest name."""
    kept = list(columns)
    while len(kept) > 1 and _taken(kept) > room and any(column.spare for column in kept):
        kept.remove(max(kept, key=lambda column: column.spare))
    left = room - _taken(kept)
    widths = [column.columns for column in kept]
    more = max(0, min(left, names - LEAST_NAME))
    widths[0] = max(1, widths[0] + (more if left >= 0 else left))
    for place, column in enumerate(kept):
        if column.title == "MAILBOX":
            widths[place] += max(0, min(left - more, LONGEST_BAR - BAR))
    return Layout(tuple(kept), tuple(widths))


def fill(entry: Entry, columns: int) -> tuple[Cell, ...]:
    """A mailbox as a bar and in figures, which together take so many columns."""
    if not entry.is_target:
        return (Cell(NOTHING.rjust(columns), "dim"),)
    depth, capacity = entry.depth, entry.capacity
    figures = f"{_round(depth)}/{_round(capacity)}"
    length = columns - max(FILL, width(figures)) - 1
    style = fill_style(depth, capacity)
    drawn = bar(depth, capacity, max(0, length))
    full = drawn.rstrip(drawn[-1:]) if drawn and depth < capacity else drawn
    return (
        Cell(full, style or "green"),
        Cell(drawn[len(full) :], "dim"),
        Cell(figures.rjust(columns - len(drawn)), style if depth else "dim"),
    )


def fill_style(depth: int, capacity: int) -> Style | None:
    """Of what is almost full, and of what is full."""
    if not capacity or depth < ALMOST_FULL * capacity:
        return None
    return "yellow" if depth < capacity else "red"


def _taken(columns: Sequence[Column]) -> int:
    return sum(column.columns for column in columns) + GAP * (len(columns) - 1)


def _round(number: int) -> str:
    return str(number) if number < 100_000 else compact(number)


def _bad(number: int | None, style: Style) -> Cell:
    return Cell(compact(number), style if number else "dim")


def _rate(*path: str) -> tuple[Callable[[Entry], Cell | str], Callable[[Entry], Value]]:
    def value(entry: Entry) -> Value:
        return entry.sample.rate(entry.name, *path) if entry.is_target else None

    def cell(entry: Entry) -> Cell | str:
        rate = value(entry)
        assert not isinstance(rate, str)
        return Cell(compact(rate), None if rate else "dim")

    return cell, value


def _of_queue(
    figure: Callable[[QueueEntry], float | None], *, bad: Style | None = None
) -> tuple[Callable[[Entry], Cell | str], Callable[[Entry], Value]]:
    def value(entry: Entry) -> Value:
        assert isinstance(entry, QueueEntry), "no other table has these columns"
        return figure(entry)

    def cell(entry: Entry) -> Cell | str:
        number = value(entry)
        assert not isinstance(number, str)
        return Cell(compact(number), bad if number else "dim")

    return cell, value


def _latency(quantile: str) -> Column:
    return Column(
        quantile.upper(),
        6,
        lambda entry: took(entry.latency_s(quantile)),
        lambda entry: entry.latency_s(quantile),
        spare=3 if quantile == "p99" else 9,
    )


def _oldest(spare: int) -> Column:
    return Column("OLDEST", 7, lambda entry: span(entry.oldest_age_s), lambda entry: entry.oldest_age_s, spare=spare)


def _restarts(spare: int) -> Column:
    return Column("RESTARTS", 8, lambda entry: _bad(entry.restarts, "yellow"), lambda e: e.restarts, spare=spare)


def _name(title: str) -> Column:
    return Column(title, LEAST_NAME, lambda entry: entry.name, lambda e: e.name.lower(), right=False, falling=False)


_STATE: Final = Column("STATE", 11, lambda e: e.state_cell, lambda e: e.urgency, right=False, falling=False)
_MAILBOX: Final = Column(
    "MAILBOX",
    BAR + 1 + FILL,
    lambda entry: f"{entry.depth}/{entry.capacity}",  # drawn by `fill`
    lambda entry: entry.depth / entry.capacity if entry.capacity and entry.is_target else None,
    right=False,
)

ACTORS: Final = (
    _name("ACTORS"),
    Column("TYPE", 10, lambda e: str(e.view.get("type")), lambda e: str(e.view.get("type")), False, 8, False),
    _STATE,
    Column("DONE/S", 6, *_rate("counts", "succeeded")),
    _MAILBOX,
    Column("IN HAND", 7, lambda e: compact(e.in_hand), lambda e: e.in_hand, spare=7),
    _oldest(1),
    Column("DONE", 6, lambda entry: compact(entry.done), lambda entry: entry.done, spare=6),
    Column("FAILED", 6, lambda entry: _bad(entry.failed, "yellow"), lambda entry: entry.failed, spare=2),
    _restarts(4),
    _latency("p50"),
    _latency("p99"),
)
ROUTES: Final = (
    _name("ROUTES"),
    _STATE,
    Column("IN/S", 6, *_rate("ledger", "accepted")),
    Column("OUT/S", 6, *_rate("ledger", "delivered"), spare=1),
    _MAILBOX,
    Column("IN FLIGHT", 9, lambda e: compact(e.ledger.get("in_flight")), lambda e: e.ledger.get("in_flight"), spare=7),
    Column("RETRY", 5, lambda e: _bad(e.view.get("retrying"), "yellow"), lambda e: e.view.get("retrying"), spare=6),
    _oldest(2),
    Column("DONE", 6, lambda entry: compact(entry.done), lambda entry: entry.done, spare=8),
    Column(
        "DEAD",
        5,
        lambda e: _bad(e.ledger.get("dead_lettered"), "red"),
        lambda e: e.ledger.get("dead_lettered"),
        spare=4,
    ),
    _restarts(5),
    _latency("p50"),
    _latency("p99"),
)


QUEUES: Final = (
    _name("QUEUES"),
    Column("STORE", 6, lambda e: str(e.view.get("store")), lambda e: str(e.view.get("store")), False, 9, False),
    Column("STATE", 6, lambda e: e.state_cell, lambda e: e.urgency, right=False, falling=False),
    Column("IN/S", 6, *_of_queue(lambda queue: queue.added_per_s), spare=6),
    Column("DONE/S", 6, *_of_queue(lambda queue: queue.finished_per_s)),
    Column("WAITING", 7, *_of_queue(lambda queue: queue.waiting)),
    Column("DELAYED", 7, *_of_queue(lambda queue: queue.jobs("delayed")), spare=3),
    Column("ACTIVE", 6, *_of_queue(lambda queue: queue.jobs("active")), spare=2),
    Column("SPILLED", 7, *_of_queue(lambda queue: queue.view.get("spilled"), bad="yellow"), spare=1),
    Column("DONE", 6, *_of_queue(lambda queue: queue.jobs("completed")), spare=8),
    Column("FAILED", 6, *_of_queue(lambda queue: queue.jobs("failed"), bad="red")),
    _oldest(4),
)


def shown_columns(columns: Sequence[Column], entries: Sequence[Entry]) -> tuple[Column, ...]:
    """Without those of which the router tells nothing."""
    told = {
        **dict.fromkeys(("P50", "P99"), any("latency" in entry.view for entry in entries)),
        "SPILLED": any(entry.view.get("spilled") for entry in entries),
    }
    return tuple(column for column in columns if told.get(column.title, True))
