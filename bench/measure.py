"""How a figure is made: rounds that alternate between us and the others, and their medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OURS = "pointsman"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one round of one program gave."""

    value: float
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario's outcome: medians over the rounds of one run."""

    scenario: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    p99_ms: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, float] = field(default_factory=dict)
    """More figures of ours, such as the same with a filter."""
    better: Literal["higher", "lower"] = "higher"
    besides: Mapping[str, str] = field(default_factory=dict)
    """What else is to be said of a program, such as what it lost."""

    @property
    def ratios(self) -> dict[str, float]:
        return {name: self.ours / figure for name, figure in self.peers.items() if figure}

    def as_dict(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "unit": self.unit,
            "ours": round(self.ours, 3),
            "peers": {name: round(value, 3) for name, value in self.peers.items()},
            "ratios": {name: round(value, 3) for name, value in self.ratios.items()},
            "p99_ms": {name: round(value, 3) for name, value in self.p99_ms.items()},
            "variants": {name: round(value, 3) for name, value in self.variants.items()},
            "besides": dict(self.besides),
        }


Measure = Callable[[], Figure]


def alternate(programs: Mapping[str, Measure], *, rounds: int) -> dict[str, Figure]:
    """Measure all programs in turn, `rounds` times, and return each one's medians."""
    seen: dict[str, list[Figure]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, measure in programs.items():
            seen[name].append(measure())
    return {name: _median(figures) for name, figures in seen.items()}


def _median(figures: list[Figure]) -> Figure:
    latencies = [figure.p99_ms for figure in figures if figure.p99_ms is not None]
    return Figure(
        statistics.median(figure.value for figure in figures),
        statistics.median(latencies) if latencies else None,
    )
