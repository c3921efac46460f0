"""One actor or one route as the screen has it: what the router says of it, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from router.cli.figures import moment, plural
from router.cli.table import Cell
from router.cli.terminal import Style
from router.cli.top.sample import Json, Sample

OUTCOMES: Final = (
    *("delivered", "filtered", "deduplicated", "merged"),
    *("dropped", "expired", "dead_lettered", "returned"),
)
ON_THE_WAY: Final = ("queued", "in_flight")

_TROUBLE: Final = (
    *("failed", "restarting", "unavailable", "suspended", "held back", "drained", "paused", "starting", "stopping"),
    *("stopped", "ready", "disabled"),
)
"""States, in the order in which somebody should look at them."""
_STYLES: Final[dict[str, Style]] = {"ready": "green", "failed": "red", "stopped": "dim", "disabled": "dim"}
"""All other states lead to one of these."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the screen."""

    view: Json
    sample: Sample

    @property
    def name(self) -> str:
        return str(self.view.get("name"))

    @property
    def key(self) -> str:
        """What it is found by, in a table and in a sample."""
        return self.name

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "route" if self.is_route else f"{self.view.get('type')} actor"

    @property
    def meant(self) -> str:
        """What a question before something is done to it calls it."""
        return self.name

    @property
    def asked_as(self) -> tuple[str, str]:
        """How the control API is asked for it: where, and by which name."""
        return "actors", self.name

    @property
    def is_route(self) -> bool:
        return self.view.get("kind") == "route"

    @property
    def is_target(self) -> bool:
        """Whether messages are delivered to it; what is only a source has no such counters."""
        return self.is_route or "target" in self.view.get("roles", ())

    @property
    def state(self) -> str:
        """What keeps it from its work, where something does; `ready` alone would hide it."""
        view = self.view
        state = str(view.get("state"))
        if state in ("ready", "starting", "restarting") and self.pause:
            return str(self.pause.get("state") or "paused")
        if state == "ready" and view.get("available") is False:
            return "unavailable"
        if state == "ready" and self.is_route:
            if view.get("suspended"):
                return "suspended"
            if view.get("held_back"):
                return "held back"
        return state

    @property
    def state_cell(self) -> Cell:
        return Cell(self.state, _STYLES.get(self.state, "yellow"))

    @property
    def urgency(self) -> int:
        """The lower, the more a person should look at it."""
        return _TROUBLE.index(self.state) if self.state in _TROUBLE else 0

    @property
    def pause(self) -> Mapping[str, Any]:
        """Who paused or drained it, and when; empty where nobody has."""
        found = self.view.get("pause")
        return found if isinstance(found, Mapping) else {}

    @property
    def depth(self) -> int:
        return _number(self.box.get("depth"))

    @property
    def capacity(self) -> int:
        return _number(self.box.get("capacity"))

    @property
    def box(self) -> Json:
        found = self.view.get("mailbox")
        return found if isinstance(found, dict) else {}

    @property
    def in_hand(self) -> int | None:
        """Messages that it works on."""
        return _number(self.box.get("in_hand")) if self.is_target else None

    @property
    def ledger(self) -> Json:
        found = self.view.get("ledger")
        return found if isinstance(found, dict) else {}

    @property
    def counts(self) -> Json:
        found = self.view.get("counts")
        return found if isinstance(found, dict) else {}

    @property
    def oldest_age_s(self) -> float | None:
        age = self.view.get("oldest_age_s") if self.is_route else self.box.get("oldest_age_s")
        return age if isinstance(age, int | float) else None

    @property
    def done(self) -> int | None:
        """Deliveries that succeeded."""
        if self.is_route:
            return _number(self.ledger.get("delivered"))
        return _number(self.counts.get("succeeded")) if self.is_target else None

    @property
    def failed(self) -> int | None:
        """Attempts that were refused, or of which nobody knows."""
        if not self.is_target:
            return None
        return _number(self.counts.get("refused")) + _number(self.counts.get("unknown"))

    @property
    def restarts(self) -> int:
        return _number(self.view.get("restarts"))

    def latency_s(self, quantile: str) -> float | None:
        """`p50`, `p95` or `p99` of its messages; None where the router does not tell."""
        found = self.view.get("latency")
        value = found.get(quantile) if isinstance(found, Mapping) else None
        return value if isinstance(value, int | float) else None

    @property
    def terms(self) -> tuple[tuple[str, int], ...]:
        """The side of a route's ledger that says where its messages are."""
        return tuple((name, _number(self.ledger.get(name))) for name in (*OUTCOMES, *ON_THE_WAY))

    @property
    def notes(self) -> Iterator[tuple[str, Style | None]]:
        """What a person should know of it besides its figures, the worst first."""
        view = self.view
        if difference := self.ledger.get("difference"):
            told = "lost" if difference > 0 else "made up"
            yield f"its ledger differs by {difference}: messages were {told}, which is a defect", "red"
        if pause := self.pause:
            since = f" since {moment(pause['at'])}" if isinstance(pause.get("at"), int | float) else ""
            why = f": {pause['why']}" if pause.get("why") else ""
            yield f"{pause.get('state') or 'paused'} by {pause.get('who')}{since}{why}", "yellow"
        if view.get("why") and self.state not in ("ready", "stopped", "disabled"):
            often = f" after {plural(self.restarts, 'restart')}" if self.restarts else ""
            yield f"{view.get('state')}{often}: {view['why']}", "red" if self.state == "failed" else "yellow"
        if view.get("unavailable_why") and self.state == "unavailable":
            yield f"unavailable: {view['unavailable_why']}", "yellow"
        if view.get("last_error") and self.restarts and self.state == "ready":
            yield f"{plural(self.restarts, 'restart')}, the last for: {view['last_error']}", None
        if suspended := view.get("suspended"):
            yield f"{plural(suspended, 'message waits', 'messages wait')} for a target that is away", "yellow"
        elif self.state == "held back":
            yield "holds its sources back", "yellow"
        if backlog := view.get("backlog"):
            yield f"{plural(backlog, 'message')} more in its journal alone", None


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
