"""What the router said, twice: counters of the later reading, and how fast they have grown since the earlier one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

SPAN_S: Final = 3.0
"""Over which rates are taken: one second shows each hiccup, and ten show a stop too late."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the router said at one moment."""

    at: float
    """Monotonic seconds."""
    router: Json
    views: Mapping[str, Json]
    """Actors and routes by name, which they share, in the order of the topology; or queues by `queue_key`."""

    @classmethod
    def of(cls, at: float, router: Json, answer: Json) -> Reading:
        """Of the answers to `GET /v1/router` and `GET /v1/actors`."""
        return cls(at, router, {str(view["name"]): view for view in _views(answer) if "name" in view})

    @classmethod
    def of_queues(cls, at: float, router: Json, answer: Json) -> Reading:
        """Of the answer to `GET /v1/queues`; `router` is what the router said of itself last."""
        return cls(at, router, {queue_key(view): view for view in answer.get("queues", ())})

    @property
    def process(self) -> tuple[Any, Any]:
        """What tells one run of a router from the next: its counters begin anew."""
        return self.router.get("pid"), self.router.get("started_at")


@dataclass(frozen=True, slots=True)
class Sample:
    """The latest reading, and an earlier one to compare it with."""

    now: Reading
    before: Reading | None = None

    def rate(self, name: str, *path: str) -> float | None:
        """How much a counter grows in a second: `rate("to-crm", "ledger", "accepted")`.

        None where that cannot be told: it was not there before, or has begun anew since.
        """
        before = self.before
        if before is None or before.process != self.now.process or name not in before.views:
            return None
        seconds = self.now.at - before.at
        new, old = _counter(self.now.views.get(name), path), _counter(before.views[name], path)
        if new is None or old is None or new < old or seconds <= 0:
            return None
        return (new - old) / seconds


@dataclass(slots=True)
class History:
    """The readings of the last seconds."""

    span_s: float = SPAN_S
    _readings: deque[Reading] = field(default_factory=deque)

    def add(self, reading: Reading) -> Sample:
        """Keep a reading, and compare it with the oldest one within the span, or with the one before it."""
        if self._readings and self._readings[-1].process != reading.process:
            self._readings.clear()
        self._readings.append(reading)
        while len(self._readings) > 2 and reading.at - self._readings[0].at > self.span_s:
            self._readings.popleft()
        return Sample(reading, self._readings[0] if len(self._readings) > 1 else None)


def queue_key(view: Json) -> str:
    """Of a queue: its first actor, which has no other one; of its name there may be several, in other stores."""
    return str((view.get("actors") or [view.get("name")])[0])


def _views(answer: Json) -> Iterator[Json]:
    for kind in ("actors", "routes"):
        yield from answer.get(kind, ())


def _counter(view: Json | None, path: tuple[str, ...]) -> float | None:
    value: Any = view
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None
