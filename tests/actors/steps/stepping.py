"""What the tests of steps share: a step built from what the topology says, and a route as a step sees it."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

from actors.core.clock import ManualClock
from actors.core.events import Event, Events
from actors.core.message import Message, Outcome, Settlement
from actors.core.step import STEP, Reservations, Reserved, StepContext, StepSpec, Verdict

S = TypeVar("S")


class Way:
    """A message's passage: what its step did with it, and how it ended."""

    def __init__(self) -> None:
        self.resumed: Message | None = None
        self.settlement: Settlement | None = None
        self._watchers: list[Callable[[Settlement], None]] = []

    def watch(self, settled: Callable[[Settlement], None]) -> None:
        self._watchers.append(settled)

    def resume(self, message: Message) -> None:
        assert self.settlement is None
        assert self.resumed is None, "nothing is resumed twice"
        self.resumed = message

    def conclude(self, verdict: Verdict) -> None:
        self.end(verdict.outcome)

    def end(self, outcome: Outcome) -> None:
        """As the route does it, once."""
        assert self.settlement is None
        self.settlement = Settlement(outcome)
        for watcher in self._watchers:
            watcher(self.settlement)

    @property
    def outcome(self) -> Outcome | None:
        return self.settlement.outcome if self.settlement else None


class KeptReservations:
    """What the store would keep: each `load` reads it as a new process does."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[int, Reserved]] = {}
        self._numbers = count(1)

    def load(self, route: str, step: str) -> list[Reserved]:
        return list(self.rows.get((route, step), {}).values())

    def reserve(self, route: str, step: str, key: str, owner: str, expires: float) -> int:
        number = next(self._numbers)
        self.rows.setdefault((route, step), {})[number] = Reserved(number, key, owner, False, expires)
        return number

    def settle(self, number: int) -> None:
        rows = self._holding(number)
        rows[number] = rows[number]._replace(settled=True)

    def release(self, number: int) -> None:
        del self._holding(number)[number]

    def kept_keys(self) -> set[str]:
        return {row.key for rows in self.rows.values() for row in rows.values()}

    def _holding(self, number: int) -> dict[int, Reserved]:
        return next(rows for rows in self.rows.values() if number in rows)


class Heard:
    """Every event that was emitted."""

    def __init__(self) -> None:
        self.events = Events()
        self.all: list[Event] = []
        self.events.subscribe(Event, self.all.append)


def spec_of(kind: type[Any]) -> StepSpec:
    spec = getattr(kind, STEP)
    assert isinstance(spec, StepSpec)
    return spec


def build(
    kind: type[S],
    options: object,
    *,
    clock: ManualClock | None = None,
    events: Events | None = None,
    reservations: Reservations | None = None,
    earlier: tuple[Any, ...] = (),
) -> S:
    """The step as a route builds it; `options` is what stands in the file behind its key."""
    spec = spec_of(kind)
    context = StepContext(
        route="orders",
        position=len(earlier),
        clock=clock or ManualClock(),
        events=events or Events(),
        reservations=reservations or KeptReservations(),
        earlier=earlier,
    )
    step = spec.build(spec.options.model_validate_json(json.dumps(options)), context)
    assert isinstance(step, kind)
    return step


def message(data: Any = None, *, id: str = "m-1", **attributes: Any) -> Message:
    return Message(id, "orders-in", data, {"x-request-id": "r-1"}, attributes=attributes)
