"""Numbers in few columns, for figures that stand under each other and change all the time."""

from __future__ import annotations

from typing import Final

from router.cli.figures import NOTHING, span

FULL: Final = "▇"
EMPTY: Final = "▁"

_SCALES: Final = ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))


def compact(number: float | None) -> str:
    """Six columns at most: `0`, `0.3`, `950`, `1,024`, `12.3k`, `123k`, `1.2M`."""
    if number is None:
        return NOTHING
    if number < 9.95:
        return f"{number:.1f}".removesuffix(".0") or "0"
    if number < 9999.5:
        return f"{number:,.0f}"
    scale, unit = max(pair for pair in _SCALES if number >= pair[0] * 0.9995)
    amount = number / scale
    return f"{amount:.1f}{unit}" if amount < 99.95 else f"{amount:.0f}{unit}"


def took(seconds: float | None) -> str:
    """How long messages took: as spans are written, but never `0ms`."""
    return "<1ms" if seconds is not None and seconds < 0.0005 else span(seconds)


def bar(part: int, whole: int, columns: int) -> str:
    """`▇▇▁▁`: something shows as soon as there is something, and all of it only when it is full."""
    if columns <= 0:
        return ""
    if part <= 0:
        filled = 0
    elif part >= whole:
        filled = columns
    else:
        filled = min(max(part * columns // whole, 1), max(columns - 1, 1))
    return FULL * filled + EMPTY * (columns - filled)
