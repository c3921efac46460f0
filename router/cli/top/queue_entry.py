"""One queue as the screen has it: a row like an actor's or a route's, with jobs in place of messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from router.cli.figures import plural
from router.cli.table import Cell
from router.cli.terminal import Style
from router.cli.top.entry import Entry
from router.cli.top.sample import queue_key

_STYLES: Final[dict[str, Style]] = {"open": "green", "paused": "yellow", "away": "yellow"}
_URGENCY: Final = ("away", "paused", "open")


@dataclass(frozen=True, slots=True)
class QueueEntry(Entry):
    """A queue. It may be called as one of its actors, and two may be called the same in different stores."""

    @property
    def key(self) -> str:
        return queue_key(self.view)

    @property
    def kind(self) -> str:
        return f"queue in {self.view.get('store')}"

    @property
    def meant(self) -> str:
        return f"the queue {self.name}, for all that work it"

    @property
    def asked_as(self) -> tuple[str, str]:
        """By an actor that has it, which is one queue's, whatever they are called."""
        actors = self.view.get("actors") or [self.name]
        return "queues", str(actors[0])

    @property
    def state(self) -> str:
        if not self.view.get("available"):
            return "away"
        return "paused" if self.view.get("paused") else "open"

    @property
    def state_cell(self) -> Cell:
        return Cell(self.state, _STYLES[self.state])

    @property
    def urgency(self) -> int:
        return _URGENCY.index(self.state)

    @property
    def oldest_age_s(self) -> float | None:
        age = self.view.get("oldest_age_s")
        return age if isinstance(age, int | float) else None

    @property
    def waiting(self) -> int | None:
        """Jobs that a worker could begin, those with a priority included; None where the store does not answer."""
        waiting, prioritized = self.jobs("waiting"), self.jobs("prioritized")
        return None if waiting is None else waiting + (prioritized or 0)

    def jobs(self, state: str) -> int | None:
        """How many are in this state; None where the store does not answer."""
        found = self.counts.get(state)
        return found if isinstance(found, int) else None

    def ended(self, end: str) -> int | None:
        """Attempts that this router's actors ended so: `completed`, `failed`, `retried`, `released`, `lost`."""
        found = (self.view.get("finished") or {}).get(end)
        return found if isinstance(found, int) else None

    @property
    def added_per_s(self) -> float | None:
        return self.sample.rate(self.key, "added")

    @property
    def finished_per_s(self) -> float | None:
        """Jobs that came to their end, well or not."""
        rates = [self.sample.rate(self.key, "finished", end) for end in ("completed", "failed")]
        told = [rate for rate in rates if rate is not None]
        return sum(told) if told else None

    @property
    def notes(self) -> Iterator[tuple[str, Style | None]]:
        view = self.view
        if self.state == "away":
            yield f"away: {view.get('unavailable_why')}", "yellow"
        if self.state == "paused":
            yield "paused: nobody begins a job of it, whoever works it; jobs are added all the same", "yellow"
        if spilled := view.get("spilled"):
            yield f"{plural(spilled, 'job waits', 'jobs wait')} in the state directory for the store", "yellow"
        if parked := view.get("parked"):
            yield f"{plural(parked, 'job waits', 'jobs wait')} for an earlier one of the same key", None
