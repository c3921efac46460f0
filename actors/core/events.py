"""What the runtime tells whoever subscribes: typed events. Telemetry, logs and tests live on them.

Nothing is emitted for a message that is simply delivered: what is counted is read from mailboxes and ledgers
when somebody asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from actors.core.errors import Reason

E = TypeVar("E")

logger = logging.getLogger("pointsman")


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""


@dataclass(frozen=True, slots=True)
class ActorEvent(Event):
    actor: str


class ActorStarted(ActorEvent):
    """It was made, and its `on_start` begins."""


class ActorReady(ActorEvent):
    """Its `on_start` returned: it takes messages."""


class ActorStopped(ActorEvent):
    """It ended because it was asked to."""


class ActorAvailable(ActorEvent):
    """Its remote end is there again."""


@dataclass(frozen=True, slots=True)
class ActorUnavailable(ActorEvent):
    """It knows that its remote end is away: deliveries to it are refused at once."""

    why: str


@dataclass(frozen=True, slots=True)
class ActorCrashed(ActorEvent):
    """It raised what is no `DeliveryError`."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class ActorRestarting(ActorEvent):
    """Its supervisor starts it again after `delay_s`."""

    delay_s: float
    restarts: int


@dataclass(frozen=True, slots=True)
class ActorFailed(ActorEvent):
    """It crashed too often; only an operator brings it back."""

    restarts: int
    within_s: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class ConnectionEvent(Event):
    """Of a connection that actors share, named as in the topology; `client` is which of its connections."""

    connection: str
    client: str


@dataclass(frozen=True, slots=True)
class ConnectionOpened(ConnectionEvent):
    """It is of use (again)."""

    server: str


@dataclass(frozen=True, slots=True)
class ConnectionLost(ConnectionEvent):
    """It broke; it is tried again, for ever."""

    why: str


@dataclass(frozen=True, slots=True)
class ConnectionFailed(ConnectionEvent):
    """An attempt at connecting failed; the next one follows."""

    why: str


@dataclass(frozen=True, slots=True)
class RouteEvent(Event):
    route: str


@dataclass(frozen=True, slots=True)
class RouteSuspended(RouteEvent):
    """No target and no fallback is there: it holds its source back."""

    target: str
    why: str


class RouteResumed(RouteEvent):
    """A target is there again."""


@dataclass(frozen=True, slots=True)
class AttemptFailed(RouteEvent):
    """An attempt at delivering failed; `retry_in_s` is None where the next thing is a fallback or a dead letter."""

    target: str
    message_id: str
    attempt: int
    reason: Reason
    error: str
    retry_in_s: float | None


class AttemptReturned(AttemptFailed):
    """Its message is given back to the queue it came from, which makes the next attempt."""


@dataclass(frozen=True, slots=True)
class MessageDeadLettered(RouteEvent):
    target: str | None
    message_id: str
    reason: Reason
    error: str


@dataclass(frozen=True, slots=True)
class ReplyLost(RouteEvent):
    """A target answered when nobody waited for it any more."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ChangeEvent(Event):
    """Of a change of the topology; `action` is how it came about: apply, swap, rollback."""

    action: str


@dataclass(frozen=True, slots=True)
class RevisionSwitched(ChangeEvent):
    """From this turn of the loop on, another revision runs."""

    revision: int


@dataclass(frozen=True, slots=True)
class ChangeEnded(ChangeEvent):
    """What was replaced has ended too: the change is complete."""

    revision: int
    seconds: float
    """From the switch until now."""
    moved: int
    """Messages that were on their way on the routes it touched."""
    gaps: tuple[tuple[str, float], ...]
    """Actors that had to end before their successors started, and for how many seconds they were not there."""


@dataclass(frozen=True, slots=True)
class ChangeFailed(ChangeEvent):
    """It came to nothing: what ran before runs on."""

    why: str


@dataclass(frozen=True, slots=True)
class MessageLost(Event):
    """A receipt was collected unsettled: a defect of this program."""

    message_id: str | None


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something that an operator may want to read; `error` says that one must act."""

    text: str
    level: str = "info"
    fields: tuple[tuple[str, object], ...] = ()


class Events:
    """Hands each event to its subscribers, in the order in which they came; one that raises is logged."""

    __slots__ = ("_subscribers",)

    def __init__(self) -> None:
        self._subscribers: list[tuple[type[Event], Callable[[Event], None]]] = []

    def subscribe(self, kind: type[E], handler: Callable[[E], None]) -> Callable[[], None]:
        """Call `handler` for each event of `kind` or of a kind below it; returns what unsubscribes it."""
        entry = (kind, handler)
        self._subscribers.append(entry)  # type: ignore[arg-type]  # paired by isinstance in emit

        def unsubscribe() -> None:
            if entry in self._subscribers:
                self._subscribers.remove(entry)

        return unsubscribe

    def emit(self, event: Event) -> None:
        for kind, handler in tuple(self._subscribers):
            if isinstance(event, kind):
                try:
                    handler(event)
                except Exception:
                    logger.exception("a subscriber to %s raised", type(event).__name__)
