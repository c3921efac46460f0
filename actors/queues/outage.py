"""A store that cannot be reached, as the workers of one queue tell of it: once for all of them."""

from __future__ import annotations

from collections.abc import Callable

from actors.core.errors import StorageError
from actors.core.events import Events, Notice


class Outage:
    """Begins with the first worker whose exchange fails, and is over when none fails any more."""

    def __init__(self, source: str, queue: str, events: Events, *, unfinished: Callable[[], int]) -> None:
        """`source` is the actor, and `unfinished` how many jobs it has in hand."""
        self._source = source
        self._queue = queue
        self._events = events
        self._unfinished = unfinished
        self._affected: set[object] = set()

    def hit(self, worker: object, error: StorageError) -> None:
        if not self._affected:
            text = f"{self._source}: queue {self._queue} cannot be worked for now: {error}"
            self._events.emit(Notice(text, "warning", (("unfinished", self._unfinished()),)))
        self._affected.add(worker)

    def over(self, worker: object) -> None:
        self._affected.discard(worker)
        if not self._affected:
            self._events.emit(Notice(f"{self._source}: queue {self._queue} is worked again", "info"))
