"""Each event of the runtime as one line of the log."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from actors.core.clock import Clock
from actors.core.errors import RouterError
from actors.core.events import (
    ActorAvailable,
    ActorCrashed,
    ActorFailed,
    ActorReady,
    ActorRestarting,
    ActorStarted,
    ActorStopped,
    ActorUnavailable,
    AttemptFailed,
    AttemptReturned,
    ChangeEnded,
    ChangeFailed,
    ConnectionFailed,
    ConnectionLost,
    ConnectionOpened,
    Event,
    Events,
    MessageDeadLettered,
    MessageLost,
    Notice,
    ReplyLost,
    RevisionSwitched,
    RouteResumed,
    RouteSuspended,
)
from router.telemetry.repeats import Repeats

ROUTE: Final = "route/"
"""Before a route's name, where the name of its actor stands."""


class Line(NamedTuple):
    """One line before it is rendered."""

    level: int
    text: str
    fields: Mapping[str, Any]
    error: BaseException | None = None
    """Whose traceback is shown below."""


LINES: Final[Mapping[type[Event], tuple[int, str]]] = MappingProxyType(
    {
        ActorStarted: (logging.DEBUG, "actor starts"),
        ActorReady: (logging.INFO, "actor ready"),
        ActorStopped: (logging.INFO, "actor stopped"),
        ActorAvailable: (logging.INFO, "actor available again"),
        ActorUnavailable: (logging.WARNING, "actor unavailable"),
        ActorCrashed: (logging.WARNING, "actor crashed"),
        ActorRestarting: (logging.WARNING, "actor restarts"),
        ActorFailed: (logging.ERROR, "actor failed: restart it when the cause is gone"),
        ConnectionOpened: (logging.INFO, "connection open"),
        ConnectionLost: (logging.WARNING, "connection lost"),
        ConnectionFailed: (logging.WARNING, "connection failed"),
        RouteSuspended: (logging.WARNING, "route suspended"),
        RouteResumed: (logging.INFO, "route resumed"),
        AttemptFailed: (logging.WARNING, "attempt failed"),
        AttemptReturned: (logging.WARNING, "attempt failed, and the message returned to its queue"),
        MessageDeadLettered: (logging.WARNING, "message dead-lettered"),
        ReplyLost: (logging.WARNING, "reply lost"),
        RevisionSwitched: (logging.INFO, "another revision runs"),
        ChangeEnded: (logging.INFO, "change complete"),
        ChangeFailed: (logging.WARNING, "change failed"),
        MessageLost: (logging.ERROR, "message lost: a defect, please report it"),
    }
)
"""Level and text of each event; `error` means that somebody must act."""


class EventLog:
    """Writes each event to a logger of the standard library, with its fields in `extra`.

    What can come with every message is limited: after some lines of one kind about one place, the rest are
    counted, and told once in a while with `repeated`.
    """

    def __init__(self, events: Events, clock: Clock, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("pointsman")
        self._repeats: Repeats[Line] = Repeats(self._write, clock=clock)
        self._unsubscribe = events.subscribe(Event, self._on_event)

    def close(self) -> None:
        """Take no more events, and write what was held back."""
        self._unsubscribe()
        self._repeats.close()

    def _on_event(self, event: Event) -> None:
        line = line_of(event)
        if not self._logger.isEnabledFor(line.level):
            return
        key = repeat_key(event)
        if key is None:
            self._write(line, 1)
        else:
            self._repeats.add(key, line)

    def _write(self, line: Line, count: int) -> None:
        fields = line.fields if count == 1 else {**line.fields, "repeated": count}
        self._logger.log(line.level, "%s", line.text, exc_info=line.error, extra={"fields": fields})


def line_of(event: Event) -> Line:
    """An event as a line; one that is not known here is told by the name of its type."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if isinstance(event, Notice):
        level = logging.getLevelNamesMapping().get(event.level.upper(), logging.INFO)
        return Line(level, event.text, dict(event.fields))
    level, text = LINES.get(type(event)) or (logging.INFO, _words(type(event).__name__))
    actor = fields.get("actor")
    if isinstance(actor, str) and actor.startswith(ROUTE):
        fields = {"route": actor.removeprefix(ROUTE), **fields}
        del fields["actor"]
        text = text.replace("actor", "route", 1)
    elif isinstance(actor, str) and "/" in actor and level == logging.INFO:
        # A child that an actor has started for itself; there may be thousands that come and go.
        level = logging.DEBUG
    if isinstance(event, ChangeEnded):
        fields["gaps"] = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in event.gaps)
    error = fields.get("error")
    # What is raised on purpose says all in its text: a port that is taken, a class that does not import.
    traceback = error if isinstance(event, ActorCrashed) and not isinstance(error, RouterError) else None
    shown = {name: value for name, value in fields.items() if value is not None and value != ""}
    return Line(level, text, shown, traceback)


def repeat_key(event: Event) -> Hashable | None:
    """What makes two events the same for a reader; None for those that are always written."""
    match event:
        case AttemptFailed():
            return (AttemptFailed, event.route, event.target, event.reason)
        case MessageDeadLettered():
            return (MessageDeadLettered, event.route, event.target, event.reason)
        case ConnectionFailed():
            return (ConnectionFailed, event.connection, event.client)
        case ReplyLost():
            return (ReplyLost, event.route)
        case MessageLost():
            return MessageLost
        case Notice():
            return (Notice, event.level, event.text)
        case _:
            return None


def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
