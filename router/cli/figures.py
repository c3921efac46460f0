"""Numbers as people read them at a glance: rounded, and with their unit."""

from __future__ import annotations

import time
from typing import Final

_UNITS: Final = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
NOTHING: Final = "–"


def count(number: int | None) -> str:
    """`12,345`."""
    return NOTHING if number is None else f"{number:,}"


def span(seconds: float | None) -> str:
    """How long something takes or lasts: `12ms`, `3.4s`, `2m 5s`, `3h 10m`, `4d 2h`."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, smaller, name in _UNITS:
        if whole >= size:
            # Hours do not matter in a month.
            rest = whole % size // smaller if whole < 100 * size else 0
            return f"{whole // size}{unit} {rest}{name}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def size(number: int | None) -> str:
    """`512B`, `1.5KiB`, `20MiB`."""
    if number is None:
        return NOTHING
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1023.5:
            return f"{number}B" if unit == "B" else f"{amount:.1f}{unit}" if amount < 9.95 else f"{amount:.0f}{unit}"
        amount /= 1024
    return f"{amount:.1f}TiB"


def moment(epoch_s: float | None) -> str:
    """A time of day here, with its date: `2025-03-01 12:30:05`."""
    if epoch_s is None:
        return NOTHING
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_s))


def plural(number: int, one: str, many: str = "") -> str:
    """`1 actor`, `2 actors`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
