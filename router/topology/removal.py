"""Takes an entry of a mapping, or an item of a list, out of a topology's text; comments beside it stay."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from actors.core.errors import ControlError
from router.topology.written import Entry, Part

_COMMENT: Final = re.compile(r"#[^\r\n]*")
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_COMMA: Final = re.compile(r"\s*,[ \t]*")
_DASH: Final = re.compile(r"[ \t]*-[ \t]+")
_REST_OF_LINE: Final = re.compile(r"[ \t]*(#[^\r\n]*)?(\r\n|\r|\n|\Z)")


class Cut(NamedTuple):
    """A part of the text, and what is put in its place."""

    start: int
    end: int
    new: str


def entry_removed(text: str, mapping: Part, entry: Entry) -> Cut:
    """An entry taken out of its mapping; raises ControlError where it is laid out too oddly for that."""
    if mapping.is_flow:
        spans = [(each.key.start, max(each.key.end, each.value.end)) for each in mapping.entries]
        return _out_of_braces(text, spans, mapping.entries.index(entry))
    end = max(entry.key.end, entry.value.end)
    start = _line_start(text, entry.key.start)
    indent = text[start : entry.key.start]
    if indent.strip():
        raise ControlError(f"'{entry.key.text}' does not begin a line: edit the file by hand")
    rest = _rest_of_line(text, end)
    # What lies between the key, its items and the end of the line is marks, blanks and comments.
    known = [(entry.key.start, entry.key.end)]
    known += [(part.start, part.end) for part in entry.value.items or [entry.value]]
    comments, place = [], start
    for begin, until in sorted([*known, (rest.end(), rest.end())]):
        comments += [found.group() for found in _COMMENT.finditer(text, place, begin)]
        place = max(place, until)
    ends = _LINE_BREAK.search(text)
    line_end = ends.group() if ends is not None else "\n"
    return Cut(start, rest.end(), "".join(f"{indent}{comment}{line_end}" for comment in comments))


def item_removed(text: str, items: Part, item: Part) -> Cut:
    """An item taken out of its list; raises ControlError where it is laid out too oddly for that."""
    if items.is_flow:
        return _out_of_braces(text, [(each.start, each.end) for each in items.items], items.items.index(item))
    start = _line_start(text, item.start)
    dash = _DASH.fullmatch(text, start, item.start)
    if dash is None:
        raise ControlError(f"'{item.text}' does not stand behind a dash: edit the file by hand")
    rest = _rest_of_line(text, item.end)
    comment = rest.group().strip()
    if not comment:
        return Cut(start, rest.end(), "")
    indent = dash.group().partition("-")[0]
    return Cut(start, item.end + len(rest.group()) - len(rest.group().lstrip()), indent)


def _out_of_braces(text: str, spans: list[tuple[int, int]], number: int) -> Cut:
    """One of several that commas divide; behind the last one a comma may stay."""
    start, end = spans[number]
    if number + 1 < len(spans):
        comma = _COMMA.match(text, end)
        if comma is None:
            raise ControlError("a comment stands before a comma: edit the file by hand")
        return Cut(start, comma.end(), "")
    if number and not text[spans[number - 1][1] : start].strip(" \t\r\n,"):
        start = spans[number - 1][1]
    return Cut(start, end, "")


def _line_start(text: str, place: int) -> int:
    return max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1


def _rest_of_line(text: str, place: int) -> re.Match[str]:
    """What is left of a line, with its break: blanks and a comment; raises ControlError where there is more."""
    found = _REST_OF_LINE.match(text, place)
    if found is None:
        raise ControlError("more stands in the same line: edit the file by hand")
    return found
