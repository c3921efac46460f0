"""Collects what is wrong with one file, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from router.topology.problems import Problem, Severity, by_place, closest
from router.topology.source import Source, Span

MAX_PROBLEMS: Final = 1000
"""More are only counted: nobody reads them, and a hostile file could have millions."""
MAX_SUGGESTIONS: Final = 100
"""Looking for a similar name takes some milliseconds in a large file; a file with more mistakes goes without."""


class Report:
    """The problems of one file as they are found, in any order."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: dict[tuple[Span | None, Severity, str], str] = {}
        self._lines: dict[int, str] = {}
        self._suggestions = 0
        self._more = 0
        self.errors = 0

    def error(self, span: Span | None, message: str, suggestion: str = "") -> None:
        """`span` is None where the whole file is meant. The same at the same place is kept once."""
        self._add(span, "error", message, suggestion)

    def warning(self, span: Span | None, message: str, suggestion: str = "") -> None:
        self._add(span, "warning", message, suggestion)

    def closest(self, word: str, candidates: Iterable[str]) -> str | None:
        """What `word` was probably meant to be, as long as looking for that is quick."""
        if self._suggestions >= MAX_SUGGESTIONS:
            return None
        self._suggestions += 1
        return closest(word, candidates)

    def did_you_mean(self, word: str, candidates: Iterable[str]) -> str:
        """A suggestion naming the closest candidate, or nothing."""
        best = self.closest(word, candidates)
        return f"did you mean '{best}'?" if best is not None else ""

    def problems(self) -> list[Problem]:
        """All of them, in the order of the file."""
        problems = by_place(self._problem(*found, suggestion) for found, suggestion in self._found.items())
        if self._more:
            severity: Severity = "error" if self.errors else "warning"
            message = f"{self._more} more problems are not shown"
            problems.append(Problem(self.source.file, 0, 0, 0, message, severity=severity))
        return problems

    def _add(self, span: Span | None, severity: Severity, message: str, suggestion: str) -> None:
        if (span, severity, message) in self._found:
            return
        self.errors += severity == "error"
        if len(self._found) < MAX_PROBLEMS:
            self._found[span, severity, message] = suggestion
        else:
            self._more += 1

    def _problem(self, span: Span | None, severity: Severity, message: str, suggestion: str) -> Problem:
        if span is None:
            return Problem(self.source.file, 0, 0, 0, message, suggestion, severity)
        line, column, length = self.source.place(span)
        shown = self._lines.get(line)
        if shown is None:
            shown = self._lines[line] = self.source.shown_line(line)
        return Problem(self.source.file, line, column, length, message, suggestion, severity, shown)
