"""Where the names of a checked file stand, for problems that show later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from router.topology.problems import Problem, Severity
from router.topology.report import Report
from router.topology.source import Source, Span


@dataclass(frozen=True, slots=True)
class Places:
    """Of one file; it knows what of a line may be shown."""

    source: Source
    keys: Mapping[tuple[str, str], Span]
    """By section and name: `("actors", "inbound")`."""

    def problem(
        self, section: str, name: str, message: str, suggestion: str = "", severity: Severity = "error"
    ) -> Problem:
        """A problem at a name; with the file as a whole where it does not stand there."""
        report = Report(self.source)
        told = report.error if severity == "error" else report.warning
        told(self.keys.get((section, name)), message, suggestion)
        return report.problems()[0]
