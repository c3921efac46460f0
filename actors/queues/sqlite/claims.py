"""Which jobs are in hand in this process, whose they are, and until when their locks last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.queues.sqlite.record import Row


@dataclass(slots=True, eq=False)
class Held:
    """A job that is active."""

    row: int
    holds: bool
    """Whether its key is its own, so that others of it are parked."""
    owner: object
    until: float
    """When its lock expires, on the clock's `now`."""
    is_ending: bool = False
    """Its end is on its way to the disk: nobody takes it away."""


class Claims:
    """By the ids of jobs. Locks are of memory: a process that dies leaves none."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._held: dict[str, Held] = {}

    def put(self, rows: Iterable[Row], owner: object, lock_ms: int) -> None:
        until = self._now() + lock_ms / 1000
        for each in rows:
            self._held[each.job.id] = Held(each.row, each.holds, owner, until)

    def of(self, id: str, owner: object) -> Held | None:
        """What `owner` has in hand, and has not finished yet."""
        held = self._held.get(id)
        return held if held is not None and held.owner is owner and not held.is_ending else None

    def find(self, id: str) -> Held | None:
        return self._held.get(id)

    def renew(self, ids: Iterable[str], owner: object, lock_ms: int) -> list[str]:
        """Returns those that `owner` has not."""
        until = self._now() + lock_ms / 1000
        lost: list[str] = []
        for id in ids:
            held = self._held.get(id)
            if held is not None and held.owner is owner:
                held.until = until
            else:
                lost.append(id)
        return lost

    def remove(self, ids: Iterable[str]) -> None:
        for id in ids:
            del self._held[id]

    def rows(self) -> set[int]:
        return {held.row for held in self._held.values()}

    def take_expired(self) -> dict[str, Held]:
        """Those whose locks have expired; they are nobody's any more."""
        now = self._now()
        expired = {id: held for id, held in self._held.items() if held.until <= now and not held.is_ending}
        for id in expired:
            del self._held[id]
        return expired

    def put_back(self, expired: dict[str, Held]) -> None:
        """They could not be brought back, and will be at another time."""
        self._held.update(expired)
