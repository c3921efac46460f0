"""What an expression may spend, and the values it may turn into text or hand on.

The limits are generous for messages and small against a machine: an expression that reaches one has gone wrong, and
fails with a `BoundsError`, which callers see as an ExpressionError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Final

SOURCE_LIMIT: Final = 65_536
"""Characters of one expression or template."""
OUTPUT_LIMIT: Final = 1_048_576
"""Characters of any text that an expression makes."""
VALUE_LIMIT: Final = 100_000
"""Values, nested ones included, in what an expression gives or turns into text."""
STEP_LIMIT: Final = 100_000
"""Turns of all loops of one evaluation together, and numbers of one `range`."""
DIGITS_LIMIT: Final = 4096
"""Bits of a product, and characters of a column that a format pads to."""


class BoundsError(ValueError):
    """An expression wanted more than the limits allow."""


class AbsentError(ValueError):
    """An expression put something into a text that has no text: null, or bytes."""


def bounded_text(text: str) -> str:
    """`text`, unless it is longer than the limit."""
    if len(text) > OUTPUT_LIMIT:
        raise BoundsError(f"a text longer than {OUTPUT_LIMIT} characters")
    return text


def text_of(value: Any) -> str:
    """What stands in a text for `value`: Python's own form, as Jinja2 has it, save for times, null and bytes.

    Times are ISO 8601. Null and bytes are refused, since "None" and "b'…'" in a topic, URL or text are never what
    its author meant.
    """
    if value.__class__ is str:
        return bounded_text(value)
    if value.__class__ is int or value.__class__ is float or value.__class__ is bool:
        return str(value)
    if value is None:
        raise AbsentError("null has no text: give it one with | default('…', true)")
    if isinstance(value, bytes):
        raise AbsentError("bytes have no text: decode them at the source, or use | b64")
    return bounded_text(str(settled(value)))


def settled(value: Any) -> Any:
    """`value` as message data: generators and tuples as lists, times as ISO 8601, durations as seconds.

    Raises where a part is missing, and where there are more parts than the limit.
    """
    return _settled(value, [VALUE_LIMIT])


def _settled(value: Any, room: list[int]) -> Any:
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None or kind is float or kind is bytes:
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        _take(room, len(value))
        return {key: _settled(part, room) for key, part in value.items()}
    if isinstance(value, list | tuple):
        _take(room, len(value))
        return [_settled(part, room) for part in value]
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        parts = list(islice(value, room[0] + 1))
        _take(room, len(parts))
        return [_settled(part, room) for part in parts]
    return value


def _take(room: list[int], count: int) -> None:
    room[0] -= count
    if room[0] < 0:
        raise BoundsError(f"a value with more than {VALUE_LIMIT} parts")


class Steps:
    """The turns that one evaluation has left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEP_LIMIT

    def take(self, count: int) -> None:
        """Spend `count` of them, or fail."""
        self.left -= count
        if self.left < 0:
            raise BoundsError(f"more than {STEP_LIMIT} turns of loops")

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """What a loop runs over, one by one, each a turn."""
        for value in values:
            self.take(1)
            yield value

    def charged(self, value: Any) -> Any:
        """What a filter inside a loop is given: its size counts as turns."""
        if isinstance(value, str | bytes):
            self.take(len(value) // 64)
        elif isinstance(value, Sized):
            self.take(len(value))
        return value
