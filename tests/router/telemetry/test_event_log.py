"""Each event is a line: its level says whether somebody must act, and its fields say where."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.core.clock import ManualClock
from actors.core.events import (
    ActorCrashed,
    ActorEvent,
    ActorFailed,
    ActorReady,
    ActorRestarting,
    ActorStarted,
    ActorUnavailable,
    AttemptFailed,
    AttemptReturned,
    Event,
    Events,
    MessageDeadLettered,
    MessageLost,
    Notice,
    RouteSuspended,
)
from router.telemetry.event_log import LINES, EventLog, line_of


class Records(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def brief(self) -> list[tuple[str, str, Any]]:
        return [(one.levelname, one.getMessage(), vars(one)["fields"]) for one in self.records]


@contextmanager
def logged(clock: ManualClock | None = None, level: int = logging.INFO) -> Iterator[tuple[Events, Records]]:
    """Events that are logged, and what is logged of them."""
    logger = logging.Logger("test", level)
    records = Records()
    logger.addHandler(records)
    events = Events()
    log = EventLog(events, clock or ManualClock(), logger)
    try:
        yield events, records
    finally:
        log.close()


def test_an_event_is_one_line_with_its_fields() -> None:
    with logged() as (events, records):
        events.emit(ActorReady("orders"))
        events.emit(ActorRestarting("orders", 0.5, 2))
    assert records.brief() == [
        ("INFO", "actor ready", {"actor": "orders"}),
        ("WARNING", "actor restarts", {"actor": "orders", "delay_s": 0.5, "restarts": 2}),
    ]


def test_a_routes_actor_is_told_as_the_route() -> None:
    """Operators know routes; that each is run by an actor is no matter of theirs."""
    line = line_of(ActorReady("route/orders"))
    assert (line.text, line.fields) == ("route ready", {"route": "orders"})


def test_a_crash_shows_its_traceback() -> None:
    with logged() as (events, records):
        error = ValueError("broken")
        events.emit(ActorCrashed("orders", error))
    (record,) = records.records
    assert record.levelname == "WARNING"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    "event",
    [ActorFailed("a", 5, 30.0, None), MessageLost("m"), Notice("the disk is full", "error")],
    ids=lambda event: type(event).__name__,
)
def test_error_means_that_somebody_must_act(event: Event) -> None:
    assert line_of(event).level == logging.ERROR


@pytest.mark.parametrize(
    "event",
    [
        AttemptFailed("r", "t", "m", 1, "connect", "no", 1.0),
        MessageDeadLettered("r", None, "m", "unroutable", "nowhere"),
        RouteSuspended("r", "t", "away"),
        ActorUnavailable("t", "away"),
        Notice("look", "warning"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_mends_itself_or_is_kept_is_a_warning(event: Event) -> None:
    assert line_of(event).level == logging.WARNING


def test_every_event_there_is_has_its_line() -> None:
    """A new event is not told by the name of its class alone."""

    def below(kind: type[Event]) -> Iterator[type[Event]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    roots = {"ActorEvent", "ChangeEvent", "ConnectionEvent", "RouteEvent", "Notice"}
    ours = {kind for kind in below(Event) if kind.__module__ == "actors.core.events" and kind.__name__ not in roots}
    # A slotted dataclass replaces the class that was written, which stays known as a subclass for a while.
    assert {kind.__name__ for kind in ours} == {kind.__name__ for kind in LINES}


def test_an_event_of_a_plug_in_is_told_by_its_name() -> None:
    class TankIsEmpty(ActorEvent):
        """Somebody else's."""

    line = line_of(TankIsEmpty("pump"))
    assert (line.level, line.text, line.fields) == (logging.INFO, "tank is empty", {"actor": "pump"})


def test_fields_without_a_value_are_left_out() -> None:
    assert "target" not in line_of(MessageDeadLettered("", None, "m", "unroutable", "no route")).fields
    assert "retry_in_s" not in line_of(AttemptFailed("r", "t", "m", 5, "connect", "no", None)).fields


def test_an_attempt_whose_message_went_back_to_its_queue_says_so() -> None:
    line = line_of(AttemptReturned("r", "t", "m", 2, "overload", "busy", None))
    assert (line.level, line.text) == (logging.WARNING, "attempt failed, and the message returned to its queue")
    assert line.fields == {
        "route": "r",
        "target": "t",
        "message_id": "m",
        "attempt": 2,
        "reason": "overload",
        "error": "busy",
    }


def test_a_storm_of_failed_attempts_is_counted() -> None:
    """Ten thousand messages to a target that refuses are some lines, and one with the number of the rest."""

    async def scenario() -> None:
        clock = ManualClock()
        with logged(clock) as (events, records):
            for number in range(10_000):
                events.emit(AttemptFailed("r", "t", f"m{number}", 1, "refused", "no", 1.0))
            events.emit(AttemptFailed("r", "t", "other", 1, "connect", "no", 1.0))
            assert len(records.records) == 6
            await clock.advance(10)
            (_, _, fields) = records.brief()[-1]
            assert (fields["message_id"], fields["repeated"]) == ("m9999", 9995)

    asyncio.run(scenario())


def test_changes_of_state_are_never_held_back() -> None:
    """An actor that comes and goes is told each time, or the last line would lie."""
    with logged() as (events, records):
        for _ in range(50):
            events.emit(ActorUnavailable("a", "away"))
    assert len(records.records) == 50


def test_what_the_level_leaves_out_costs_no_counting() -> None:
    with logged(level=logging.ERROR) as (events, records):
        events.emit(ActorStarted("a"))
        for _ in range(100):
            events.emit(AttemptFailed("r", "t", "m", 1, "refused", "no", 1.0))
    assert not records.records


def test_closing_writes_what_was_held_and_hears_no_more() -> None:
    with logged() as (events, records):
        for _ in range(7):
            events.emit(Notice("again"))
    events.emit(Notice("late"))
    assert [fields.get("repeated") for _, _, fields in records.brief()] == [None] * 5 + [2]
