"""Methods and filters that make a text longer than what they are given, each within the limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from string import Formatter
from typing import Any, Final

from actors.kit.expressions.bounds import (
    DIGITS_LIMIT,
    OUTPUT_LIMIT,
    VALUE_LIMIT,
    BoundsError,
    bounded_text,
    text_of,
)

_NUMBER: Final = re.compile(r"[0-9]+")
_DIRECTIVE: Final = re.compile(
    r"%(?:\((?P<name>[^)]*)\))?[-+ #0]*(?P<width>\*|[0-9]*)(?:\.(?P<precision>\*|[0-9]*))?[hlL]?(?P<kind>.)",
    re.DOTALL,
)


def width_of(width: Any) -> int:
    """A column's width, unless it is wider than the limit."""
    if not isinstance(width, int) or width > DIGITS_LIMIT:
        raise BoundsError(f"a column wider than {DIGITS_LIMIT} characters")
    return width


def center(text: str, width: int = 80, fill: str = " ") -> str:
    return text_of(text).center(width_of(width), fill)


def left(text: str, width: int, fill: str = " ") -> str:
    return text.ljust(width_of(width), fill)


def right(text: str, width: int, fill: str = " ") -> str:
    return text.rjust(width_of(width), fill)


def zeros(text: str, width: int) -> str:
    return text.zfill(width_of(width))


def replace(text: str, old: str, new: str, count: int | None = None) -> str:
    text, old, new = text_of(text), text_of(old), text_of(new)
    times = text.count(old) if count is None or count < 0 else min(count, text.count(old))
    room(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, times)


def join(separator: str, values: Iterable[Any]) -> str:
    """The values in text with `separator` between them: the text's own method, which takes values of any kind."""
    parts: list[str] = []
    length = 0
    for value in islice(values, VALUE_LIMIT + 1):
        part = text_of(value)
        length += len(part) + len(separator)
        room(length - len(separator))
        parts.append(part)
    if len(parts) > VALUE_LIMIT:
        raise BoundsError(f"more than {VALUE_LIMIT} values")
    return separator.join(parts)


def room(length: int) -> None:
    """Fail where a text would be longer than the limit."""
    if length > OUTPUT_LIMIT:
        raise BoundsError(f"a text longer than {OUTPUT_LIMIT} characters")


def percent_format(text: str, values: Any) -> str:
    """`text % values`: as Python has it, for columns within the limit."""
    given: dict[Any, Any] | tuple[Any, ...]
    if isinstance(values, Mapping):
        given = {key: _plain(value) for key, value in values.items()}
        longest = max(map(_length, given.values()), default=0)
    else:
        given = tuple(map(_plain, values if isinstance(values, tuple) else (values,)))
        longest = 0
        room(len(text) + sum(map(_length, given)))
    length = len(text)
    for directive in _DIRECTIVE.finditer(text):
        for number in (directive["width"], directive["precision"]):
            if number == "*":
                raise BoundsError("a column whose width is a value")
            length += width_of(int(number[:10])) if number else 0
        room(length := length + longest)
    return bounded_text(text % given)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes) else DIGITS_LIMIT


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | bytes) else text_of(value)


def format_text(text: str, *values: Any, **named: Any) -> str:
    """`text.format(…)`: as Python has it, without attributes and items of values, for columns within the limit."""
    return _BoundedFormatter().vformat(text, values, named)


class _BoundedFormatter(Formatter):
    """Formats within the limits: made for one text, since it counts what it has put out."""

    def __init__(self) -> None:
        super().__init__()
        self._length = 0

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if not field_name.isidentifier() and not field_name.isdecimal():
            raise ValueError("only {}, {0} and {name} can stand in a format")
        key: int | str = int(field_name) if field_name.isdecimal() else field_name
        return self.get_value(key, args, kwargs), key

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if conversion is not None:
            raise ValueError("conversions such as !r cannot stand in a format")
        return value

    def format_field(self, value: Any, format_spec: str) -> str:
        for number in _NUMBER.findall(format_spec):
            width_of(int(number[:10]))
        formatted = format(value, format_spec) if isinstance(value, int | float) else _shown(value, format_spec)
        self._length += len(formatted)
        room(self._length)
        return formatted


def _shown(value: Any, format_spec: str) -> str:
    if hasattr(value, "strftime") and format_spec:
        return format(value, format_spec)
    return format(text_of(value), format_spec)
