"""The filters of expressions: Jinja2's own, save those that are for HTML or that pick at random.

Some differ on purpose: all are bounded; `int` and `float` fail where there is no number and no default, since a 0
that nobody wrote is worse than an error; `items` fails for what is missing, and filters of text for null; `tojson`
escapes nothing for HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from jinja2 import filters as jinja
from jinja2.runtime import Undefined
from jinja2.utils import pass_context, pass_environment

from actors.kit.expressions import padding
from actors.kit.expressions.bounds import OUTPUT_LIMIT, VALUE_LIMIT, BoundsError, bounded_text, settled, text_of

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context

Group = jinja._GroupTuple
"""What `groupby` gives: `grouper` and `list`."""

_UNSET: Final = object()
_TEXTS_LIMIT: Final = 4 * OUTPUT_LIMIT


def _b64(value: Any) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else text_of(value).encode()).decode("ascii")


def _sha256(value: Any) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else text_of(value).encode()).hexdigest()


def _json(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 8:
        raise BoundsError("an indent of more than 8")
    separators = (",", ":") if indent is None else None
    return bounded_text(
        json.dumps(settled(value), ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    )


def _int(value: Any, default: Any = _UNSET, base: int = 10) -> Any:
    number = jinja.do_int(value, None, base)  # type: ignore[arg-type]  # None tells that there is none
    return _number(number, default, "int")


def _float(value: Any, default: Any = _UNSET) -> Any:
    return _number(jinja.do_float(value, None), default, "float")  # type: ignore[arg-type]  # as above


def _number(number: Any, default: Any, name: str) -> Any:
    if number is not None:
        return number
    if default is _UNSET:
        raise ValueError(f"{name} of what is no number: write | {name}(0) for a default")
    return default


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    if abs(precision) > 100:
        raise BoundsError("rounding to more than 100 digits")
    return jinja.do_round(value, precision, method)  # type: ignore[arg-type]  # refuses other methods itself


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(present(value), Mapping):
        raise TypeError("items of what is no mapping")
    return iter(value.items())


@pass_environment
def _join(environment: Environment, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        value = map(jinja.make_attrgetter(environment, attribute), value)
    return padding.join(text_of(d), value)


@pass_environment
def _sum(environment: Environment, value: Any, attribute: str | int | None = None, start: Any = 0) -> Any:
    if not isinstance(start, int | float):
        raise BoundsError("a sum of other things than numbers")
    if attribute is not None:
        value = map(jinja.make_attrgetter(environment, attribute), value)
    return sum(value, start)


@pass_context
def _map(context: Context, value: Iterable[Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
    mapped = jinja.sync_do_map(context, value, *args, **kwargs)
    return _within(mapped, _TEXTS_LIMIT) if args else iter(mapped)


def _within(values: Iterable[Any], length: int) -> Iterator[Any]:
    for value in values:
        if isinstance(value, str):
            length -= len(value)
            if length < 0:
                raise BoundsError(f"texts of more than {_TEXTS_LIMIT} characters together")
        yield value


def _indent(value: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = text_of(value)
    column = len(width) if isinstance(width, str) else padding.width_of(width)
    padding.room(len(text) + (text.count("\n") + 1) * column)
    return jinja.do_indent(text, width, first, blank)


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Iterator[list[Any]]:
    return jinja.do_batch(value, _few(linecount), fill_with)


def _slice(value: Iterable[Any], slices: int, fill_with: Any = None) -> Iterator[list[Any]]:
    return jinja.sync_do_slice(value, _few(slices), fill_with)  # type: ignore[arg-type]  # makes a list of it


def _few(count: int) -> int:
    if count > VALUE_LIMIT:
        raise BoundsError(f"more than {VALUE_LIMIT} parts")
    return count


def _format(value: str, *args: Any, **kwargs: Any) -> str:
    return padding.percent_format(text_of(value), kwargs or args)


def _escape(value: Any) -> str:
    return bounded_text(html.escape(text_of(value)))


def present(value: Any) -> Any:
    """A value that must not be missing."""
    if isinstance(value, Undefined):
        bool(value)  # raises
    return value


def _of_text(name: str) -> Any:
    """Jinja2's filter `name`, for which null is no text."""
    filter_ = jinja.FILTERS[name]

    def of_text(value: Any, *args: Any, **kwargs: Any) -> Any:
        return filter_(text_of(value), *args, **kwargs)

    return of_text


_JINJA: Final = (
    "abs count d default dictsort filesizeformat first groupby last length list max min reject rejectattr"
    " reverse select selectattr sort truncate unique urlencode"
)
_TEXT: Final = "capitalize lower title trim upper wordcount"

FILTERS: Final[dict[str, Any]] = {
    **{name: jinja.FILTERS[name] for name in _JINJA.split()},
    **{name: _of_text(name) for name in _TEXT.split()},
    "b64": _b64,
    "batch": _batch,
    "center": padding.center,
    "e": _escape,
    "escape": _escape,
    "float": _float,
    "format": _format,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "json": _json,
    "map": _map,
    "replace": padding.replace,
    "round": _round,
    "sha256": _sha256,
    "slice": _slice,
    "string": text_of,
    "sum": _sum,
    "tojson": _json,
}
