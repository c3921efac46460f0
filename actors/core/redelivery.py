"""What a source that sends a message again by itself says of it, and learns of it for the next attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

Way = tuple[int, str]
"""Which part of a message (0: all of it), and where it went, as `Delivery.place` has both."""

WHOLE: Final[Way] = (0, "")
"""All of a message, with whatever a route made of it."""

NOTHING_DONE: Final[Mapping[str, frozenset[Way]]] = MappingProxyType({})


class Redelivery:
    """One attempt at one message, by a source that repeats what failed: the routes do not.

    While the attempt runs, routes record which ways of the message have ended. When it ends as `returned` the source
    keeps `done`, and gives it to the next attempt, so that only the rest is sent.
    """

    __slots__ = ("_done", "attempt", "attempts")

    def __init__(self, attempt: int = 1, attempts: int = 1, done: Mapping[str, Iterable[Way]] = NOTHING_DONE) -> None:
        self.attempt = attempt
        """From 1."""
        self.attempts = attempts
        """All of them: the last one that fails has fallbacks and a dead letter behind it."""
        self._done = {route: set(ways) for route, ways in done.items()} if done else None

    @property
    def is_last(self) -> bool:
        """Whether no attempt follows this one."""
        return self.attempt >= self.attempts

    @property
    def done(self) -> Mapping[str, frozenset[Way]]:
        """By route: the ways that have ended until now, in this attempt or an earlier one, and are not repeated."""
        if self._done is None:
            return NOTHING_DONE
        return {route: frozenset(ways) for route, ways in self._done.items()}

    def done_on(self, route: str) -> frozenset[Way]:
        """The ways of `done` on one route."""
        return frozenset(self._done.get(route, ())) if self._done is not None else frozenset()

    def record(self, route: str, way: Way) -> None:
        """For routes: this way has ended, and is not to be repeated."""
        if self._done is None:
            self._done = {}
        self._done.setdefault(route, set()).add(way)
