"""A place in a message that a topology names, such as `data.user.phone` or `headers.x-request-id`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from actors.core.errors import ExpressionError
from actors.core.message import Message

MAX_LENGTH: Final = 500
"""Of a path, in characters; it also bounds how deep writing recurs."""

ATTRIBUTES: Final = {
    "key": "partitionkey",
    "subject": "subject",
    "tenant": "tenant",
    "correlationid": "correlationid",
    "replyto": "replyto",
    "datacontenttype": "datacontenttype",
    "expirytime": "expirytime",
    "traceparent": "traceparent",
}
"""What a topology calls an attribute, and what it is called in `Message.attributes`."""

_FIXED: Final = {
    "id": "it is the idempotency key of every delivery",
    "source": "it says where the message came in",
    "time": "it says when the message came in",
}
_ROOTS: Final = ("data", "headers", "type", *ATTRIBUTES)
_ROOT: Final = re.compile(r"[^.\[]*")
_SEGMENT: Final = re.compile(r"""\.([^.\[\]"'\s]+)|\[([0-9]{1,6})\]|\["([^"]*)"\]|\['([^']*)'\]""")


class PathError(ValueError):
    """A text that names no place in a message, or one that cannot be changed."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion
        """What was probably meant."""


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""What is found where nothing is; None is a value."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """`data` or what is in it, one of `headers`, `type` or an attribute: it is read, written and removed.

    In `data` a name is followed by `.name`, `["any name"]` or `[0]`. Writing copies what lies on the way and
    nothing else; it makes the mappings that are not there yet, in the place of None too, and a list must have
    the element. Where the way leads into text or a number, that is an `ExpressionError`.
    """

    text: str = field(compare=False)
    """As the topology has it."""
    root: str
    segments: tuple[str | int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldPath:
        """Read a path; raises `PathError`, which says what is wrong with it."""
        root = _ROOT.match(text)
        assert root is not None, "matches nothing at all too"
        name = root.group()
        if name in _FIXED:
            raise PathError(f"the {name} of a message does not change: {_FIXED[name]}")
        if name not in _ROOTS:
            meant = get_close_matches(name, _ROOTS, 1)
            suggestion = f"did you mean '{meant[0]}{text[len(name) :]}'?" if meant else ""
            raise PathError(f"no place in a message, which begins with {', '.join(_ROOTS)}", suggestion)
        segments = _segments(text, len(name))
        if name == "headers" and (len(segments) != 1 or not isinstance(segments[0], str)):
            raise PathError("expected the name of one header, as in headers.x-request-id")
        if name not in ("data", "headers") and segments:
            raise PathError(f"the {name} of a message has nothing in it", f"write {name}")
        return cls(text, name, segments)

    def read(self, message: Message) -> Any:
        """The value there, or MISSING."""
        if self.root == "data":
            return _find(message.data, self.segments)
        if self.root == "headers":
            return _find(message.headers, self.segments)
        if self.root == "type":
            return message.type
        return message.attributes.get(ATTRIBUTES[self.root], MISSING)

    def write(self, message: Message, value: Any) -> Message:
        """The message with `value` there; in a header or an attribute None removes it."""
        if self.root == "data":
            return message.with_data(self._put(message.data, 0, value))
        if self.root == "headers":
            return message.with_headers(self._put_header(message.headers, value))
        if self.root == "type":
            return message._replace(type=self._text(value) or Message._field_defaults["type"])
        checked = self._number(value) if self.root == "expirytime" else self._text(value)
        return message.with_attributes(**{ATTRIBUTES[self.root]: checked})

    def remove(self, message: Message) -> Message:
        """The message without what is there; the same message where nothing is."""
        if self.read(message) is MISSING:
            return message
        if self.root == "data":
            return message.with_data(_cut(message.data, self.segments))
        return self.write(message, None)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls._parsed,
            core_schema.str_schema(max_length=MAX_LENGTH),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def _parsed(cls, text: str) -> FieldPath:
        try:
            return cls.parse(text)
        except PathError as error:
            context = {"reason": str(error), "suggestion": error.suggestion}
            raise PydanticCustomError("path", "{reason}", context) from None

    def _put(self, tree: Any, depth: int, value: Any) -> Any:
        if depth == len(self.segments):
            return value
        segment = self.segments[depth]
        if isinstance(segment, str):
            if tree is None:
                return {segment: self._put(None, depth + 1, value)}
            if isinstance(tree, Mapping):
                return {**tree, segment: self._put(tree.get(segment), depth + 1, value)}
        elif isinstance(tree, list) and segment < len(tree):
            copy = tree.copy()
            copy[segment] = self._put(tree[segment], depth + 1, value)
            return copy
        raise self._error(f"no {segment!r} can be written into {_kind(tree)}")

    def _put_header(self, headers: Mapping[str, str], value: Any) -> Mapping[str, str]:
        name = self.segments[0]
        text = self._text(value)
        if text is None:
            return {other: kept for other, kept in headers.items() if other != name}
        return {**headers, str(name): text}

    def _text(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool | int | float):
            return str(value)
        raise self._error(f"it takes text, not {_kind(value)}")

    def _number(self, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        raise self._error(f"it takes seconds since the epoch, not {_kind(value)}")

    def _error(self, what: str) -> ExpressionError:
        return ExpressionError(f"{self.text}: {what}", source=self.text)


def _segments(text: str, start: int) -> tuple[str | int, ...]:
    found: list[str | int] = []
    position = start
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if match is None:
            raise PathError(f"cannot be read from '{text[position:]}' on", 'a name with signs in it is ["quoted"]')
        name, index, *quoted = match.groups()
        found.append(int(index) if index is not None else next(n for n in (name, *quoted) if n is not None))
        position = match.end()
    return tuple(found)


def _find(tree: Any, segments: tuple[str | int, ...]) -> Any:
    for segment in segments:
        if isinstance(segment, str):
            if not isinstance(tree, Mapping) or segment not in tree:
                return MISSING
        elif not isinstance(tree, list) or segment >= len(tree):
            return MISSING
        tree = tree[segment]
    return tree


def _cut(tree: Any, segments: tuple[str | int, ...]) -> Any:
    """`tree` without what is there, which is known to be there."""
    if not segments:
        return None
    segment, *rest = segments
    copy = dict(tree) if isinstance(segment, str) else tree.copy()
    if rest:
        copy[segment] = _cut(tree[segment], tuple(rest))
    else:
        del copy[segment]
    return copy


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return "text"
        case bool() | int() | float():
            return "a number"
        case list():
            return f"a list of {len(value)}"
        case Mapping():
            return "a mapping"
        case _:
            return f"a value of type {type(value).__name__}"
