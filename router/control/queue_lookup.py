"""Where requests find the queues of what runs: by the name of an actor that has one, or by the queue's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.core.clock import Clock
from actors.core.errors import ControlError
from actors.queues.contract import Queued, QueueStore
from router.control.problem import UnknownError
from router.telemetry.queues import OUTCOMES, queued

if TYPE_CHECKING:
    from router.engine import Engine

ENDED: Final = ("completed", "failed")
"""Of the ends of attempts those that are a job's end."""

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 60.0
"""Between these lies the time over which a rate is taken."""


@dataclass(frozen=True, slots=True)
class Found:
    """One queue, and the actors that have it, which may be several: one that adds and one that works, say."""

    store: QueueStore
    actors: Mapping[str, Queued]

    @property
    def name(self) -> str:
        """The queue's."""
        return self.store.name

    @property
    def spilled(self) -> int:
        return sum(actor.spilled for actor in self.actors.values())

    @property
    def added(self) -> int:
        return sum(actor.added for actor in self.actors.values())

    @property
    def finished(self) -> dict[str, int]:
        counts = [actor.finished for actor in self.actors.values()]
        return {outcome: sum(each.get(outcome, 0) for each in counts) for outcome in OUTCOMES}


def queues_of(engine: Engine) -> list[Found]:
    """All queues of actors that run, each once, in the order of the actors."""
    found: dict[int, tuple[QueueStore, dict[str, Queued]]] = {}
    for name, actor in queued(engine.supervisor.children.values()):
        found.setdefault(id(actor.queue), (actor.queue, {}))[1][name] = actor
    return [Found(store, actors) for store, actors in found.values()]


def queue_of(engine: Engine, name: str) -> Found:
    """The queue of the actor `name`, else the one that is called so; raises `ControlError`."""
    queues = queues_of(engine)
    for queue in queues:
        if name in queue.actors:
            return queue
    child = engine.supervisor.children.get(name)
    if child is not None and child.state != "ready":
        raise ControlError(f"{name} is {child.state}: what queue it has is known when it is ready")
    named = [queue for queue in queues if queue.name == name]
    if len(named) > 1:
        actors = ", ".join(next(iter(queue.actors)) for queue in named)
        raise ControlError(f"{len(named)} queues in different stores are called {name}: name an actor, one of {actors}")
    if not named:
        raise UnknownError("queue", name, (known for queue in queues for known in (*queue.actors, queue.name)))
    return named[0]


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs a second."""

    added: float
    finished: float


class Rates:
    """How fast the totals of queues have risen, over what was seen of them in the last minute: whoever asks sees."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int, int]]] = {}
        """By actor: when, added, finished."""

    def look(self, queues: Iterable[Found]) -> None:
        """Remember how all totals stand now, and forget queues that are not among these."""
        now = self._clock.now()
        actors = {name: actor for queue in queues for name, actor in queue.actors.items()}
        self._seen = {name: self._seen.get(name, deque()) for name in actors}
        for name, actor in actors.items():
            seen, totals = self._seen[name], _totals(actor)
            if seen and _is_anew(seen[-1], totals):
                seen.clear()
            while seen and now - seen[0][0] > LONGEST_S:
                seen.popleft()
            if not seen or now - seen[-1][0] >= SHORTEST_S:
                seen.append((now, *totals))

    def of(self, queue: Found) -> Rate | None:
        """None where nobody had looked in the last minute, apart from the last second."""
        now, added, finished = self._clock.now(), 0.0, 0.0
        for name, actor in queue.actors.items():
            totals = _totals(actor)
            before = next((seen for seen in self._seen.get(name, ()) if now - seen[0] <= LONGEST_S), None)
            if before is None or now - before[0] < SHORTEST_S or _is_anew(before, totals):
                return None
            added += (totals[0] - before[1]) / (now - before[0])
            finished += (totals[1] - before[2]) / (now - before[0])
        return Rate(added, finished)


def _is_anew(before: tuple[float, int, int], totals: tuple[int, int]) -> bool:
    """Another incarnation of the actor counts from the beginning."""
    return before[1] > totals[0] or before[2] > totals[1]


def _totals(actor: Queued) -> tuple[int, int]:
    finished = actor.finished
    return actor.added, sum(finished.get(outcome, 0) for outcome in ENDED)
