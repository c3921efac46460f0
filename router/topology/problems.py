"""A user's mistake: where it is, what it is, and what was probably meant."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, Literal

from actors.core.errors import RouterError

Severity = Literal["error", "warning"]

LINE_WIDTH: Final = 200
"""Longer source lines are cut around the place."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake at one place of one file."""

    file: str
    line: int
    """From 1; 0 where the problem is with the file as a whole."""
    column: int
    """From 1, in characters."""
    length: int
    """Of the place, in characters; it does not reach over the end of the line."""
    message: str
    suggestion: str = ""
    severity: Severity = "error"
    source: str = ""
    """The line of the file, with secrets masked."""

    def as_dict(self) -> dict[str, Any]:
        """For machines: the fields under their own names."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "severity": self.severity,
            "message": self.message,
            "suggestion": self.suggestion,
            "source": self.source,
        }


class TopologyError(RouterError):
    """The file has problems; all of them are in `problems`, in the order of the file, warnings included."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        errors = sum(problem.severity == "error" for problem in self.problems)
        super().__init__(f"the topology has {errors} problem{'' if errors == 1 else 's'}")

    def __str__(self) -> str:
        return "\n".join([*(render(problem) for problem in self.problems), super().__str__()])


def by_place(problems: Iterable[Problem]) -> list[Problem]:
    """In the order of the file, errors before warnings at one place."""
    return sorted(
        problems, key=lambda problem: (problem.file, problem.line, problem.column, problem.severity, problem.message)
    )


def render(problem: Problem) -> str:
    """The problem for people: one line, and under it the source line with carets and the suggestion.

    topology.yaml:14:9: error: unknown option 'qso' for actor type 'mqtt'
       14 |         qso: 1
          |         ^^^ did you mean 'qos'?
    """
    if not problem.line:
        head = f"{problem.file}: {problem.severity}: {problem.message}"
        return f"{head}\n      = {problem.suggestion}" if problem.suggestion else head
    head = f"{problem.file}:{problem.line}:{problem.column}: {problem.severity}: {problem.message}"
    text, start = _cut(problem.source, problem.column - 1)
    # Tabs stay tabs and wide characters count twice, so that the carets stand under their place.
    before = "".join("\t" if char == "\t" else " " * _width(char) for char in text[:start])
    carets = "^" * max(1, sum(_width(char) for char in text[start : start + problem.length]))
    under = f"      | {before}{carets} {problem.suggestion}".rstrip()
    return f"{head}\n{problem.line:>5} | {_printable(text)}\n{under}"


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be; None where none is close."""
    best, best_ratio = None, 0.6
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(word[:100].lower())
    for candidate in candidates:
        matcher.set_seq1(candidate[:100].lower())
        # The two quick ones are upper bounds, and spare the slow one for nearly all of a long list.
        if matcher.real_quick_ratio() >= best_ratio and matcher.quick_ratio() >= best_ratio:
            ratio = matcher.ratio()
            if ratio > best_ratio or (best is None and ratio >= best_ratio):
                best, best_ratio = candidate, ratio
    return best


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A question naming the closest candidate, or nothing."""
    best = closest(word, candidates)
    return f"did you mean '{best}'?" if best is not None else ""


def _cut(text: str, start: int) -> tuple[str, int]:
    """The part of a long line around `start`, and where `start` is in it."""
    if len(text) <= LINE_WIDTH:
        return text, start
    first = max(0, min(start - LINE_WIDTH // 4, len(text) - LINE_WIDTH))
    part = text[first : first + LINE_WIDTH]
    if first:
        part = "…" + part[1:]
    if first + LINE_WIDTH < len(text):
        part = part[:-1] + "…"
    return part, start - first


def _printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(char if char == "\t" or char.isprintable() else "�" for char in text)


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
