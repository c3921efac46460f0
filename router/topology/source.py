"""The text of a topology file: which line and column an offset is, and what of a line may be shown."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple

_BREAK: Final = re.compile(r"\r\n|\n|\r")
_SECRET_KEY: Final = re.compile(
    r"""(?ix) (?: ^ | [\s{,"'] )
        [\w-]* (?: password | passwd | secret | token | authorization | (?: api | private ) [_-]? key ) [\w-]*
        ["']? \s* : \s+
        ( [^\s{\[&*|>,}\]] [^,}\]]* )"""
)
"""A value written behind a key that sounds like a secret's."""
_USERINFO: Final = re.compile(r"://([^/\s@\"']+)@")
_REFERENCE: Final = re.compile(r"\$\{(?:file:[^}]*|\w+)\}?")
"""What may be shown of a secret: where it comes from."""


class Span(NamedTuple):
    """A part of the text, as offsets of characters."""

    start: int
    end: int


class Source:
    """The text of one file. Lines end at LF, CR LF or CR, as editors have it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        """As it is named in problems."""
        self.text = text
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]
        self._masks: dict[int, list[Span]] = {}
        """By each line that they touch."""

    def place(self, span: Span) -> tuple[int, int, int]:
        """Line and column from 1, and the length of what is on that line (at least 1)."""
        line = bisect_right(self._starts, min(span.start, len(self.text)))
        last = self._line_end(line)
        start, end = min(span.start, last), min(span.end, last)
        return line, start - self._starts[line - 1] + 1, max(1, end - start)

    def line_of(self, offset: int) -> int:
        return bisect_right(self._starts, offset)

    def find_in_line(self, line: int, text: str) -> int | None:
        """The offset at which `text` begins in a line, if it does."""
        if not 1 <= line <= len(self._starts):
            return None
        found = self.text.find(text, self._starts[line - 1], self._line_end(line))
        return found if found >= 0 else None

    def mask(self, span: Span) -> None:
        """Never show this part."""
        for line in range(self.line_of(span.start), self.line_of(span.end) + 1):
            self._masks.setdefault(line, []).append(span)

    def is_masked(self, span: Span) -> bool:
        masks = self._masks.get(self.line_of(span.start), ())
        return any(mask.start <= span.start and span.end <= mask.end for mask in masks)

    def shown_line(self, line: int) -> str:
        """The line with secrets masked; its columns stay where they are."""
        start, end = self._starts[line - 1], self._line_end(line)
        text = self.text[start:end]
        hidden = [Span(mask.start - start, mask.end - start) for mask in self._masks.get(line, ())]
        for pattern in (_SECRET_KEY, _USERINFO):
            for match in pattern.finditer(text):
                if _REFERENCE.sub("", match[1]).strip("\"': "):
                    hidden.append(Span(*match.span(1)))
        for first, last in hidden:
            first, last = max(0, first), min(last, len(text))
            if first < last:
                text = text[:first] + "".join(c if c.isspace() else "*" for c in text[first:last]) + text[last:]
        return text

    def _line_end(self, line: int) -> int:
        if line >= len(self._starts):
            return len(self.text)
        end = self._starts[line]
        return end - 2 if self.text[end - 2 : end] == "\r\n" else end - 1
