"""What `a.b` and `a['b']` mean: the keys of a mapping, the items of a list, and a few methods of plain values.

Nothing else can be reached: an expression sees no attribute of any object that is not listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from actors.kit.expressions import padding


class Missing:
    """A field that a message does not have; `path` is how the expression names it."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


MISSING: Final = Missing("")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT_METHODS: Final = _words(
    """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric isspace
    isupper lower lstrip partition removeprefix removesuffix rfind rindex rpartition rsplit rstrip split splitlines
    startswith strip swapcase title upper
    """
)
_PADDING_METHODS: Final[Mapping[str, Callable[..., str]]] = {
    "center": padding.center,
    "format": padding.format_text,
    "join": padding.join,
    "ljust": padding.left,
    "replace": padding.replace,
    "rjust": padding.right,
    "zfill": padding.zeros,
}
_ATTRIBUTES: Final[Mapping[type, frozenset[str]]] = {
    str: _TEXT_METHODS,
    bytes: _words("hex startswith endswith find count"),
    list: _words("index count"),
    tuple: _words("index count"),
    float: _words("is_integer"),
    datetime: _words(
        """
        year month day hour minute second microsecond weekday isoweekday isoformat strftime timestamp date
        """
    ),
    date: _words("year month day weekday isoweekday isoformat strftime"),
    timedelta: _words("days seconds microseconds total_seconds"),
}

METHODS: Final = frozenset().union(_PADDING_METHODS, *_ATTRIBUTES.values())
"""The name of everything that `.name` can mean beside the key of a mapping."""


def is_mapping(value: Any) -> bool:
    """Whether a value has keys."""
    return isinstance(value, Mapping)


def attribute(value: Any, name: str) -> Any:
    """`value.name`, or MISSING: a mapping's keys, and of other values only what is listed above."""
    if isinstance(value, Mapping):
        return value.get(name, MISSING)
    names = _ATTRIBUTES.get(type(value))
    if names is None:
        return MISSING
    if name in names:
        return getattr(value, name)
    if type(value) is str and name in _PADDING_METHODS:
        method = _PADDING_METHODS[name]
        return lambda *args, **kwargs: method(value, *args, **kwargs)
    return MISSING


def item(value: Any, key: Any) -> Any:
    """`value[key]`, or MISSING: keys of a mapping, positions of a list or text, then what `.key` would give."""
    try:
        return value.get(key, MISSING) if isinstance(value, Mapping) else value[key]
    except (LookupError, TypeError):
        return attribute(value, key) if isinstance(key, str) else MISSING
