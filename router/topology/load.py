"""Reads YAML 1.2 into a tree whose every key and value knows its place; nothing in a file is ever executed.

libyaml's events come from ruamel.yaml's C extension, and the tree is built here: so the depth, the number of nodes and
what aliases unfold to are bounded while the file is read.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final, Protocol

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from router.topology.report import Report
from router.topology.scalars import typed
from router.topology.source import Source, Span
from router.topology.tree import Entry, ListNode, MapNode, Node, ScalarNode, within
from router.topology.variables import Variables

MAX_DEPTH: Final = 50
MAX_NODES: Final = 250_000
"""Keys and values with all aliases unfolded; 2,000 actors and 2,000 routes have some 60,000.

A text counts once more for every 100 characters, or an alias could repeat a long one.
"""
MAX_MISSING: Final = 20
"""As many references are told of one scalar that cannot be replaced."""

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_TAG: Final = re.compile(r"![^\s,\[\]{}]*")
_STANDARD: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final[dict[str, tuple[type, ...]]] = {
    _STANDARD + "null": (type(None),),
    _STANDARD + "bool": (bool,),
    _STANDARD + "int": (int,),
    _STANDARD + "float": (float, int),
}
_STRING_TAGS: Final = ("!", _STANDARD + "str")

logger = logging.getLogger("pointsman")


class _Events(Protocol):
    """What both of ruamel.yaml's parsers offer."""

    def get_event(self) -> Any: ...


class _RefusedError(Exception):
    """The file is not read any further; why is in the report."""


def load(source: Source, variables: Variables, report: Report) -> Node | None:
    """The only document of a file; None where it has none, or cannot be read to its end, which is reported."""
    refused = _UNPRINTABLE.search(source.text)
    if refused:
        report.error(Span(*refused.span()), f"a character that YAML does not allow: U+{ord(refused[0]):04X}")
        return None
    try:
        return _Loader(_parser(source.text), source, variables, report).document()
    except MarkedYAMLError as error:
        _syntax_error(error, source, report)
    except YAMLError as error:
        report.error(Span(0, 0), f"not YAML: {error}")
    except _RefusedError:
        pass
    return None


def _parser(text: str) -> _Events:
    try:
        from _ruamel_yaml import CParser  # type: ignore[import-not-found]  # a C extension without stubs
    except ImportError:
        from ruamel.yaml import YAML

        logger.warning(
            "ruamel.yaml's C extension is missing, and loading is slow: pip install 'ruamel.yaml[oldlibyaml]'"
        )
        yaml = YAML(typ="safe", pure=True)
        _, parser = yaml.get_constructor_parser(text)
        return parser  # type: ignore[no-any-return]  # has no types
    return CParser(text)  # type: ignore[no-any-return]  # neither


class _Loader:
    """Turns the events of one file into nodes."""

    def __init__(self, parser: _Events, source: Source, variables: Variables, report: Report) -> None:
        self._next = parser.get_event
        self._source = source
        self._variables = variables
        self._report = report
        self._anchors: dict[str, tuple[Node, int]] = {}
        """Each with the number of nodes it unfolds to."""
        self._open: set[str] = set()
        self._nodes = 0
        self._depth = 0

    def document(self) -> Node | None:
        self._next()  # the start of the stream
        if type(self._next()) is StreamEndEvent:
            return None
        node = self._node(self._next())
        self._next()  # the end of the document
        event = self._next()
        if type(event) is DocumentStartEvent:
            self._refuse(_span(event), "a second document: a topology is one document", "remove the line '---'")
        return node

    def _node(self, event: Any) -> Node:
        kind = type(event)
        if kind is AliasEvent:
            return self._alias(event)
        before = self._nodes
        self._count(1, event)
        if event.anchor is None:
            return self._part(event, kind)
        self._open.add(event.anchor)
        node = self._part(event, kind)
        self._open.discard(event.anchor)
        self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _part(self, event: Any, kind: type) -> Node:
        if kind is ScalarEvent:
            return self._scalar(event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(_span(event), f"nested deeper than {MAX_DEPTH} levels")
        node = self._map(event) if kind is MappingStartEvent else self._list(event)
        self._depth -= 1
        return node

    def _list(self, event: Any) -> Node:
        self._refuse_tag(event, _STANDARD + "seq")
        node = ListNode(event.start_mark.index, event.end_mark.index)
        while type(event := self._next()) is not SequenceEndEvent:
            node.items.append(self._node(event))
        node.end = event.end_mark.index
        return node

    def _map(self, event: Any) -> Node:
        self._refuse_tag(event, _STANDARD + "map")
        node = MapNode(event.start_mark.index, event.end_mark.index)
        while type(event := self._next()) is not MappingEndEvent:
            key = self._key(event)
            value = self._node(self._next())
            if key is None:
                continue
            span = _span(event)
            first = node.entries.get(key)
            if first is None:
                node.entries[key] = Entry(span, value)
            else:
                line, column, _ = self._source.place(first.key)
                self._report.error(span, f"duplicate key '{key}': it is already in line {line}, column {column}")
        node.end = event.end_mark.index
        return node

    def _key(self, event: Any) -> str | None:
        """A key as it is written, `1` and `true` too; None where it cannot be one, which is reported."""
        if type(event) is not ScalarEvent:
            node = self._node(event)
            if not isinstance(node, ScalarNode):
                self._report.error(_span(event), "a key must be a string")
            else:
                self._report.error(_span(event), "an alias cannot be a key")
            return None
        self._count(1, event)
        self._refuse_tag(event, *_STRING_TAGS)
        key: str = event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (ScalarNode(*_span(event), key), 1)
        if "$" in key:
            if "${" in key.replace("$$", ""):
                self._report.error(_span(event), "'${…}' cannot stand in a key")
                return None
            key = key.replace("$$", "$")
        if key == "<<" and not event.style:
            self._report.error(_span(event), "'<<' is no merge key: YAML 1.2 has none", "write the keys out")
            return None
        return key

    def _scalar(self, event: Any) -> ScalarNode:
        text: str = event.value
        is_plain = not event.style and event.tag not in _STRING_TAGS
        node = ScalarNode(event.start_mark.index, event.end_mark.index, text)
        if "$" in text:
            text = self._expand(node, text)
        if len(text) >= 100:
            self._count(len(text) // 100, event)
        if is_plain:
            node.value = typed(text)
        if event.tag is not None and event.tag not in _STRING_TAGS:
            wanted = _SCALAR_TAGS.get(event.tag)
            if wanted is None:
                self._refuse_tag(event)
                node.broken = True
            else:
                node.value = typed(text)
                if type(node.value) not in wanted:
                    name = event.tag.removeprefix(_STANDARD)
                    self._report.error(node.span, f"tagged '!!{name}', and is none")
                    node.broken = True
        return node

    def _expand(self, node: ScalarNode, text: str) -> str:
        expanded = self._variables.expand(text)
        for offset, length, message, name in expanded.missing[:MAX_MISSING]:
            suggestion = self._report.did_you_mean(name, self._variables.environ) if name is not None else ""
            self._report.error(within(self._source, node, offset, length), message, suggestion)
            node.broken = True
        if node.broken:
            return text
        node.value = expanded.text
        if expanded.replaced:
            node.written = text
            node.text = expanded.text
        return expanded.text

    def _alias(self, event: Any) -> Node:
        name: str = event.anchor
        if name in self._open:
            self._refuse(_span(event), f"'*{name}' stands within what it repeats")
        if name not in self._anchors:
            suggestion = self._report.did_you_mean(name, self._anchors)
            self._report.error(_span(event), f"'*{name}' repeats nothing: there is no '&{name}' before it", suggestion)
            return ScalarNode(*_span(event), None, broken=True)
        node, size = self._anchors[name]
        self._count(size, event)
        return node

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._refuse(_span(event), f"more than {MAX_NODES:,} keys and values, aliases unfolded")

    def _refuse_tag(self, event: Any, *allowed: str) -> None:
        tag: str | None = event.tag
        if tag is not None and tag not in allowed and tag != "!":
            shown = "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
            start = event.start_mark.index
            written = _TAG.match(self._source.text, start)
            self._report.error(
                Span(start, written.end() if written else start + 1), f"the tag '{shown}' is not allowed"
            )

    def _refuse(self, span: Span, message: str, suggestion: str = "") -> None:
        self._report.error(span, message, suggestion)
        raise _RefusedError


def _span(event: Any) -> Span:
    return Span(event.start_mark.index, event.end_mark.index)


def _syntax_error(error: MarkedYAMLError, source: Source, report: Report) -> None:
    """libyaml's message at libyaml's place, and what such a message usually comes from."""
    problem = str(error.problem or error.context or "not YAML")
    mark = error.problem_mark or error.context_mark
    if "unexpected end of stream" in problem and error.context_mark is not None:
        mark = error.context_mark  # where it begins is better than the end of the file
    offset = mark.index if mark is not None else 0
    message = f"not YAML: {problem}"
    if error.context and error.context_mark is not None and error.context_mark.index != offset:
        line, column, _ = source.place(Span(error.context_mark.index, error.context_mark.index))
        message += f" {error.context} (from line {line}, column {column})"
    char = source.text[offset : offset + 1]
    line_text = source.shown_line(source.line_of(offset))
    suggestion = ""
    if char == "\t":
        message, suggestion = "not YAML: a tab cannot indent", "use spaces"
    elif "cannot start any token" in problem:
        suggestion = f"put a value that begins with '{char}' in quotes"
    elif "mapping values are not allowed" in problem:
        suggestion = "quote a value that holds ': ', or look at the indentation"
    elif "unexpected ':'" in problem:
        # libyaml is stricter here than YAML 1.2: it takes no colon in plain text within { } and [ ].
        suggestion = "put text with a ':' in quotes within { } and [ ]"
    elif "${" in line_text and "expected ','" in problem:
        suggestion = "put '${…}' in quotes within { } and [ ]"
    report.error(Span(offset, offset + 1), message, suggestion)
