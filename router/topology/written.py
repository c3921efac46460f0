"""A YAML file as it is written: nothing is expanded, aliases stay aliases, and each part has its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from actors.core.errors import ControlError
from router.topology.load import MAX_DEPTH

Kind = Literal["scalar", "list", "mapping", "alias"]
_KINDS: Final[dict[type, Kind]] = {ScalarEvent: "scalar", SequenceStartEvent: "list", MappingStartEvent: "mapping"}


@dataclass(slots=True)
class Part:
    """A value or a key. Parts are equal where they say the same, wherever they stand and however they are laid out."""

    kind: Kind
    start: int = field(compare=False)
    """With its anchor and its tag."""
    end: int = field(compare=False)
    """Comments and line breaks behind it are no part of it."""
    text: str = ""
    """Of a scalar; of an alias, what it repeats."""
    is_plain: bool = False
    """A scalar without quotes, which may be a number or nothing."""
    is_flow: bool = field(default=False, compare=False)
    """A list or a mapping in brackets or braces."""
    anchor: str | None = None
    tag: str | None = None
    items: list[Part] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def all(self) -> Iterator[Part]:
        """It, and whatever is in it."""
        yield self
        for item in self.items:
            yield from item.all()
        for entry in self.entries:
            yield from entry.key.all()
            yield from entry.value.all()


@dataclass(slots=True)
class Entry:
    """A key and what stands behind it."""

    key: Part
    value: Part


def read(text: str) -> Part:
    """The first document of a text; raises ControlError where it is no YAML."""
    from ruamel.yaml import YAML

    unmarked = text.removeprefix("\ufeff")
    try:
        return _Reader(YAML(typ="safe").parse(unmarked), unmarked, len(text) - len(unmarked)).document()
    except MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ControlError(f"the file is not YAML: {error.problem or error.context}{line}") from error
    except (YAMLError, UnicodeError) as error:
        raise ControlError(f"the file is not YAML: {error}") from error


class _Reader:
    """Turns a parser's events into parts."""

    def __init__(self, events: Iterator[Any], text: str, shift: int) -> None:
        self._events = events
        self._text = text
        self._shift = shift
        """Characters before the text."""
        self._depth = 0

    def document(self) -> Part:
        next(self._events)  # the start of the stream
        next(self._events)  # and of the document
        event = next(self._events, None)
        part = self._part(event) if event is not None else Part("scalar", 0, 0, is_plain=True)
        for _ in self._events:
            pass  # behind it an error may come
        return part

    def _part(self, event: Any) -> Part:
        start, end = event.start_mark.index + self._shift, event.end_mark.index + self._shift
        kind = type(event)
        if kind is AliasEvent:
            return Part("alias", start, end, event.anchor)
        part = Part(_KINDS[kind], start, end, anchor=event.anchor, tag=event.tag)
        if kind is ScalarEvent:
            part.text, part.is_plain = event.value, not event.style
            if event.style in ("|", ">"):  # its mark is behind its last line break
                part.end -= end - start - len(self._text[start - self._shift : end - self._shift].rstrip())
            return part
        part.is_flow = bool(event.flow_style)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ControlError(f"the file is nested deeper than {MAX_DEPTH} levels")
        last = part.end
        while type(inner := next(self._events)) not in (MappingEndEvent, SequenceEndEvent):
            below = self._part(inner)
            if part.kind == "mapping":
                entry = Entry(below, self._part(next(self._events)))
                part.entries.append(entry)
                below = entry.value
            else:
                part.items.append(below)
            last = below.end
        self._depth -= 1
        # The end of a block is marked where the next thing begins, behind all comments: so its last part tells.
        part.end = inner.end_mark.index + self._shift if event.flow_style else last
        return part
