"""Whoever subscribes hears of what happens, in its order, and cannot disturb it."""

import pytest

from actors.core.events import ActorEvent, ActorReady, ActorStarted, ActorUnavailable, Event, Events, Notice


def test_a_subscriber_hears_of_its_kind_and_of_those_below() -> None:
    events = Events()
    everything: list[Event] = []
    of_actors: list[ActorEvent] = []
    ready: list[ActorReady] = []
    events.subscribe(Event, everything.append)
    events.subscribe(ActorEvent, of_actors.append)
    events.subscribe(ActorReady, ready.append)
    sent = [ActorStarted("a"), ActorReady("a"), ActorUnavailable("a", "away"), Notice("well")]
    for event in sent:
        events.emit(event)
    assert everything == sent
    assert of_actors == sent[:3]
    assert ready == sent[1:2]


def test_events_of_different_kinds_are_not_equal_though_they_say_the_same() -> None:
    events: list[Event] = [ActorStarted("a"), ActorReady("a"), ActorStarted("a")]
    assert events[0] != events[1]
    assert events[0] == events[2]


def test_subscribers_are_called_in_the_order_in_which_they_came() -> None:
    events = Events()
    called: list[int] = []
    for number in range(5):
        events.subscribe(Event, lambda _, number=number: called.append(number))  # type: ignore[misc]
    events.emit(Notice("now"))
    assert called == [0, 1, 2, 3, 4]


def test_who_unsubscribes_hears_no_more_also_in_the_middle_of_an_event() -> None:
    events = Events()
    heard: list[str] = []

    def first(_: Event) -> None:
        heard.append("first")
        leave()

    leave = events.subscribe(Event, first)
    events.subscribe(Event, lambda _: heard.append("second"))
    events.emit(Notice("one"))
    events.emit(Notice("two"))
    leave()
    assert heard == ["first", "second", "second"]


def test_a_subscriber_that_raises_is_logged_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    heard: list[Event] = []

    def clumsy(_: Event) -> None:
        raise ValueError

    events.subscribe(Event, clumsy)
    events.subscribe(Event, heard.append)
    events.emit(Notice("now"))
    assert heard == [Notice("now")]
    assert "a subscriber to Notice raised" in caplog.text
