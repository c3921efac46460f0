"""The proof that a change lost nothing: each route's ledger before and after, and the difference of its two sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.core.clock import Clock
from router.routing.ledger import Balance
from router.routing.route import Route


@dataclass(frozen=True, slots=True)
class Entry:
    """One route."""

    route: str
    before: Balance
    after: Balance

    @property
    def difference(self) -> int:
        """Zero, or messages were lost (above zero) or made up (below) somewhere between the two."""
        return self.after.difference - self.before.difference


@dataclass(frozen=True, slots=True)
class Gap:
    """How long an actor that had to end before its successor started was not there."""

    actor: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Conservation:
    """The report of a change."""

    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...]
    seconds: float
    """From the switch to the end of what was no longer used."""

    @property
    def difference(self) -> int:
        """Of all routes; anything but zero is an error of this program."""
        return sum(abs(entry.difference) for entry in self.entries)

    @property
    def moved(self) -> int:
        """Messages that were on their way on these routes when they were switched."""
        return sum(entry.before.queued + entry.before.in_flight for entry in self.entries)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "difference": self.difference,
            "seconds": round(self.seconds, 6),
            "routes": [
                {
                    "route": entry.route,
                    "before": _described(entry.before),
                    "after": _described(entry.after),
                    "difference": entry.difference,
                }
                for entry in self.entries
            ],
            "gaps": [{"actor": gap.actor, "seconds": round(gap.seconds, 6)} for gap in self.gaps],
        }


class Account:
    """Takes down the ledgers of a change: at the switch, where a route ends, and behind it all."""

    def __init__(self, clock: Clock) -> None:
        self.gaps: list[Gap] = []
        self._clock = clock
        self._routes: dict[str, Route] = {}
        self._before: dict[str, Balance] = {}
        self._ended: dict[str, Balance] = {}
        self._switched_at = 0.0

    def begin(self, routes: Mapping[str, Route]) -> None:
        """These are touched, in this turn of the loop."""
        self._routes = dict(routes)
        self._before = {name: route.balance() for name, route in routes.items()}
        self._switched_at = self._clock.now()

    def end(self, route: Route) -> None:
        """It is stopped, and this is the last that is heard of it."""
        self._ended[route.name] = route.balance()

    def close(self) -> Conservation:
        """What became of it all."""
        return Conservation(
            tuple(
                Entry(name, self._before[name], self._ended.get(name) or route.balance())
                for name, route in self._routes.items()
            ),
            tuple(self.gaps),
            self._clock.now() - self._switched_at,
        )


def _described(balance: Balance) -> dict[str, int]:
    return {
        "accepted": balance.accepted,
        "split_out": balance.split_out,
        **{str(outcome): number for outcome, number in balance.outcomes.items()},
        "queued": balance.queued,
        "in_flight": balance.in_flight,
        "difference": balance.difference,
    }
