"""A parsed YAML document whose every key and value knows its place in the file.

An alias is the same node in two places, so the tree is a graph without cycles; the loader bounds how large it is
when it is walked as a tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from router.topology.source import Source, Span

Plain = str | int | float | bool | None
"""What a scalar can be."""


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A value without parts."""

    start: int
    end: int
    value: Plain
    written: str | None = None
    """What the file has, where `${…}` was put in; the value is not to be printed then."""
    text: str | None = None
    """What it reads with `${…}` put in, whether it is typed or not; None where nothing was put in."""
    broken: bool = False
    """It has been reported: whoever meets it need not say more."""

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    def shown(self) -> str:
        """For messages: the value in quotes, or what the file has where `${…}` was put in."""
        return f"'{self.value if self.written is None else self.written}'"


@dataclass(slots=True, eq=False)
class ListNode:
    """A sequence."""

    start: int
    end: int
    items: list[Node] = field(default_factory=list)

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class Entry(NamedTuple):
    """What stands behind a key."""

    key: Span
    node: Node


@dataclass(slots=True, eq=False)
class MapNode:
    """A mapping; its keys are strings as they are written."""

    start: int
    end: int
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return entry.node if entry is not None else None


Node = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Any:
    """The values alone, as JSON has them."""
    if type(node) is ScalarNode:
        return node.value
    if type(node) is MapNode:
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    assert type(node) is ListNode
    return [plain(item) for item in node.items]


def scalars(node: Node) -> Iterator[ScalarNode]:
    """All scalars of a part of the tree, in their order."""
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, MapNode):
        for entry in node.entries.values():
            yield from scalars(entry.node)
    else:
        for item in node.items:
            yield from scalars(item)


def kind(node: Node) -> str:
    """What to call it in a message."""
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "true or false"
    if isinstance(node.value, str):
        return "a string"
    return "a decimal number" if isinstance(node.value, float) else "a number"


def within(source: Source, scalar: ScalarNode, offset: int, length: int = 1) -> Span:
    """Where a part of a string is in the file; the whole scalar where that cannot be told.

    It can be told of plain and quoted scalars on one line without escapes and of literal blocks.
    """
    value, written = scalar.value, source.text[scalar.start : scalar.end]
    if scalar.written is not None or not isinstance(value, str) or not 0 <= offset <= len(value):
        return scalar.span
    begin = scalar.start
    if written[1:-1] == value and written[:1] in "'\"":
        begin += 1
    elif written[:1] == "|":
        return _within_block(source, scalar, value, offset, length)
    elif written != value:
        return scalar.span
    begin += min(offset, max(0, len(value) - 1))
    return Span(begin, min(begin + length, scalar.end))


def _within_block(source: Source, scalar: ScalarNode, value: str, offset: int, length: int) -> Span:
    before = value[:offset]
    number = source.line_of(scalar.start) + 1 + before.count("\n")
    column = offset - (before.rfind("\n") + 1)
    line = value.split("\n")[before.count("\n")]
    begin = source.find_in_line(number, line)
    if begin is None or not line:
        return scalar.span
    begin += min(column, max(0, len(line) - 1))
    return Span(begin, begin + length)
