"""`dedup`: who owns a key, what becomes of its copies, and what is remembered for how long."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError

from actors.core.clock import ManualClock
from actors.core.errors import ExpressionError
from actors.core.events import Notice
from actors.core.message import Outcome
from actors.core.step import HOLD, Verdict
from actors.steps.dedup import FORGOTTEN_AT_ONCE, Dedup, DedupOptions
from tests.actors.steps.stepping import Heard, KeptReservations, Way, build, message, spec_of
from tests.loop import Run

OUTCOMES_OF_FAILURE: tuple[Outcome, ...] = ("dead_lettered", "expired", "dropped")
OUTCOMES_OF_SUCCESS: tuple[Outcome, ...] = ("delivered", "filtered", "deduplicated", "merged")


class Traffic:
    """A route with one step, `dedup`, that messages are sent through; a restart keeps what was reserved."""

    def __init__(self, **options: Any) -> None:
        self.options = {"key": "{{ data }}", "for": "1h", **options}
        self.clock = ManualClock()
        self.reservations = KeptReservations()
        self.heard = Heard()
        self.restart()

    def restart(self) -> None:
        """The process dies: nobody settles, and nothing is known but what the reservations tell."""
        self.step = build(
            Dedup, self.options, clock=self.clock, events=self.heard.events, reservations=self.reservations
        )

    def send(self, key: object, id: str = "m-1", way: Way | None = None) -> Way:
        """Offer a message; the way tells what became of it."""
        way = way or Way()
        original = message(key, id=id)
        result = self.step(original, way)
        if isinstance(result, Verdict):
            way.end(result.outcome)
        elif result is not HOLD:
            assert result is original
            way.resume(original)
        return way

    def wait(self, run: Run, seconds: float) -> None:
        run(self.clock.advance(seconds))


def passed(way: Way) -> bool:
    return way.resumed is not None


def waits(way: Way) -> bool:
    return way.resumed is None and way.settlement is None


def test_the_first_message_of_a_key_passes_and_a_later_copy_is_deduplicated() -> None:
    traffic = Traffic()
    first = traffic.send("k", "m-1")
    first.end("delivered")

    assert traffic.send("k", "m-2").outcome == "deduplicated"
    assert passed(traffic.send("other", "m-3"))


def test_a_copy_may_bear_the_id_of_the_first() -> None:
    """A client that repeats a request repeats its Idempotency-Key, which makes the message's id."""
    traffic = Traffic()
    traffic.send("k", "m-1").end("delivered")

    assert traffic.send("k", "m-1").outcome == "deduplicated"


def test_a_copy_of_a_message_under_way_waits() -> None:
    traffic = Traffic()
    traffic.send("k", "m-1")

    assert waits(traffic.send("k", "m-1"))
    assert waits(traffic.send("k", "m-2"))


@pytest.mark.parametrize("outcome", OUTCOMES_OF_SUCCESS)
def test_copies_end_when_the_first_has_ended_well(outcome: Outcome) -> None:
    traffic = Traffic()
    first, *copies = [traffic.send("k", f"m-{number}") for number in range(3)]

    first.end(outcome)

    assert [copy.outcome for copy in copies] == ["deduplicated", "deduplicated"]


@pytest.mark.parametrize("outcome", OUTCOMES_OF_FAILURE)
def test_the_copy_that_waited_longest_takes_the_place_of_one_that_failed(outcome: Outcome) -> None:
    traffic = Traffic()
    first, second, third = [traffic.send("k", f"m-{number}") for number in range(3)]

    first.end(outcome)
    assert passed(second)
    assert waits(third)

    second.end("delivered")
    assert third.outcome == "deduplicated"


def test_when_all_have_failed_the_key_is_free() -> None:
    """So a replay of a dead letter, and a later copy, pass."""
    traffic = Traffic()
    traffic.send("k").end("dead_lettered")

    assert traffic.step.keys == 0
    assert passed(traffic.send("k"))


def test_a_message_that_comes_again_on_its_own_way_does_not_meet_itself() -> None:
    """A crash of the route brings the message in hand back, and its steps run again."""
    traffic = Traffic()
    way = traffic.send("k")
    way.resumed = None

    assert passed(traffic.send("k", way=way))
    way.end("delivered")
    assert traffic.send("k").outcome == "deduplicated"


def test_a_key_is_remembered_from_the_first_message_on(run: Run) -> None:
    traffic = Traffic()
    first = traffic.send("k")
    traffic.wait(run, 3000)
    first.end("delivered")
    traffic.wait(run, 599)
    assert traffic.send("k").outcome == "deduplicated"

    traffic.wait(run, 2)
    assert passed(traffic.send("k"))


def test_a_message_under_way_is_waited_for_even_when_its_time_is_up(run: Run) -> None:
    """It may still fail, and then its copy is the one that is left."""
    traffic = Traffic()
    first = traffic.send("k")
    traffic.wait(run, 4000)
    copy = traffic.send("k")
    assert waits(copy)

    first.end("delivered")
    assert copy.outcome == "deduplicated"
    assert passed(traffic.send("k"))


def test_expired_keys_are_removed_a_few_at_a_time(run: Run) -> None:
    """The first message after a quiet night does not pay for all that came before."""
    traffic = Traffic()
    for number in range(2 * FORGOTTEN_AT_ONCE):
        traffic.send(number).end("delivered")
    traffic.wait(run, 4000)

    traffic.send("a").end("delivered")
    assert traffic.step.keys == FORGOTTEN_AT_ONCE + 1
    traffic.send("b").end("delivered")
    assert traffic.step.keys == 2


def test_a_key_that_came_again_is_not_removed_with_its_first_time(run: Run) -> None:
    """Also where keys settled in another order than they came in."""
    traffic = Traffic()
    early = traffic.send("early")
    traffic.wait(run, 1800)
    traffic.send("late").end("delivered")
    early.end("delivered")
    traffic.wait(run, 2000)

    traffic.send("early").end("delivered")
    traffic.wait(run, 1700)
    traffic.send("third").end("delivered")

    assert traffic.send("early").outcome == "deduplicated"
    assert traffic.step.keys == 2


def test_beyond_max_keys_the_oldest_is_forgotten_and_said_once() -> None:
    traffic = Traffic(max_keys=2)
    for key in "abcd":
        traffic.send(key).end("delivered")

    assert traffic.step.keys == 2
    assert traffic.step.forgotten_early == 2
    assert [type(event) for event in traffic.heard.all] == [Notice]
    assert traffic.send("d").outcome == "deduplicated"
    assert passed(traffic.send("a"))


def test_keys_of_messages_under_way_are_never_forgotten() -> None:
    traffic = Traffic(max_keys=1)
    ways = [traffic.send(key) for key in "abc"]

    assert all(waits(traffic.send(key)) for key in "abc")
    for way in ways:
        way.end("delivered")
    assert traffic.step.keys == 1


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_key_is_not_deduplicated_but_counted(empty: object) -> None:
    traffic = Traffic()

    assert all(passed(traffic.send(empty)) for _ in range(3))
    assert traffic.step.empty_keys == 3
    assert [type(event) for event in traffic.heard.all] == [Notice]
    assert traffic.step.keys == 0


def test_a_key_that_cannot_be_rendered_fails() -> None:
    traffic = Traffic(key="{{ data.message_id }}")

    with pytest.raises(ExpressionError):
        traffic.send({})


@pytest.mark.parametrize(
    ("one", "other"),
    [(7, "7"), ({"a": 1, "b": [2]}, {"b": [2], "a": 1}), ("x" * 500, "x" * 500), (b"\x00\xff", b"\x00\xff")],
)
def test_keys_of_any_kind_are_compared_by_their_text(one: object, other: object) -> None:
    traffic = Traffic()
    traffic.send(one).end("delivered")

    assert traffic.send(other).outcome == "deduplicated"


def test_long_keys_differ_by_all_of_their_text_and_take_little_room() -> None:
    traffic = Traffic()
    traffic.send("x" * 500 + "1").end("delivered")

    assert passed(traffic.send("x" * 500 + "2"))
    assert all(len(key) <= 128 for key in traffic.reservations.kept_keys())


def test_settled_keys_are_remembered_over_a_restart_until_their_time_is_up(run: Run) -> None:
    traffic = Traffic()
    traffic.send("k").end("delivered")

    traffic.restart()
    assert traffic.send("k").outcome == "deduplicated"

    traffic.wait(run, 3601)
    traffic.restart()
    assert traffic.step.keys == 0
    assert passed(traffic.send("k"))


def test_a_message_replayed_after_a_restart_passes_as_the_owner() -> None:
    traffic = Traffic()
    traffic.send("k", "m-1")
    traffic.restart()

    replayed = traffic.send("k", "m-1")
    assert passed(replayed)
    assert waits(traffic.send("k", "m-1")), "a copy with its id, which comes after it"

    replayed.end("delivered")
    assert traffic.send("k", "m-2").outcome == "deduplicated"


def test_another_message_takes_over_what_an_earlier_life_left_unsettled() -> None:
    """What was in no journal comes again from its source, perhaps under another id: it must not be lost."""
    traffic = Traffic()
    traffic.send("k", "m-1")
    traffic.restart()

    assert passed(traffic.send("k", "m-2"))
    assert waits(traffic.send("k", "m-1")), "the replayed one shares the fate of the one that was quicker"


def test_a_message_behind_the_step_is_adopted_after_a_restart() -> None:
    """A journal row goes on after its last completed step: its copies wait for it though it does not come by."""
    traffic = Traffic()
    traffic.send("k", "m-1")
    traffic.restart()

    adopted = Way()
    traffic.step.adopt("m-1", adopted)
    copy = traffic.send("k", "m-2")
    assert waits(copy)

    adopted.end("delivered")
    assert copy.outcome == "deduplicated"


def test_a_message_that_was_overtaken_adopts_nothing() -> None:
    traffic = Traffic()
    traffic.send("k", "m-1")
    traffic.restart()
    traffic.send("k", "m-2")

    late = Way()
    traffic.step.adopt("m-1", late)
    late.end("delivered")

    assert waits(traffic.send("k", "m-3"))


def test_steps_of_one_route_keep_their_keys_apart() -> None:
    """Also where they make them alike: there may be another step between them, which changes what they see."""
    reservations = KeptReservations()
    options = DedupOptions.model_validate({"key": "{{ data }}"})
    first = build(Dedup, {"key": "{{ data }}"}, reservations=reservations)
    second = build(Dedup, {"key": "{{ data }}"}, reservations=reservations, earlier=(options,))

    original = message("k")
    assert first(original, Way()) is original
    assert second(original, Way()) is original
    assert len(reservations.rows) == 2


class TestInARunningRoute:
    def test_its_successor_knows_what_it_knows(self) -> None:
        """Of messages that have ended and of those under way, and the other way round too."""
        traffic = Traffic()
        traffic.send("ended", "m-1").end("delivered")
        under_way, old = traffic.send("under way", "m-2"), traffic.step
        traffic.options["for"] = "2h"
        traffic.restart()
        assert traffic.step.inherit(old)

        assert traffic.send("ended", "m-3").outcome == "deduplicated"
        copy = traffic.send("under way", "m-4")
        assert waits(copy)
        under_way.end("delivered")
        assert copy.outcome == "deduplicated"
        new, traffic.step = traffic.step, old
        assert passed(traffic.send("later", "m-5"))
        traffic.step = new
        assert waits(traffic.send("later", "m-6"))

    def test_the_window_and_the_bound_are_those_of_the_successor(self, run: Run) -> None:
        traffic = Traffic(max_keys=10)
        for number in range(5):
            traffic.send(f"k-{number}", f"m-{number}").end("delivered")
        old = traffic.step
        traffic.options |= {"max_keys": 2, "for": "2h"}
        traffic.restart()
        traffic.step.inherit(old)
        assert traffic.step.keys == 2
        traffic.send("k", "m").end("delivered")
        traffic.wait(run, 3_601.0)
        assert traffic.send("k", "m-9").outcome == "deduplicated"
        assert passed(traffic.send("k-4", "m-10"))

    def test_keys_made_otherwise_are_not_inherited(self) -> None:
        traffic = Traffic()
        traffic.send("k", "m-1").end("delivered")
        old = traffic.step
        traffic.options["key"] = "{{ data | string }}"
        traffic.restart()
        assert not traffic.step.inherit(old)
        assert passed(traffic.send("k", "m-2"))

    def test_it_is_known_by_how_it_makes_its_keys_and_not_by_its_place(self) -> None:
        """So a restart finds them behind another step, too."""
        reservations = KeptReservations()
        before = build(Dedup, {"key": "{{ data }}"}, reservations=reservations)
        other = DedupOptions.model_validate({"key": "{{ message.id }}"})
        assert before(message("k"), Way()) is not None
        after = build(Dedup, {"key": "{{ data }}"}, reservations=reservations, earlier=(other,))
        assert after.keys == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"key": "{{ data }}", "for": 3600},
        {"key": "{{ data }}", "for": "1ms"},
        {"key": "{{ data }}", "max_keys": 0},
        {"key": "x"},
    ],
)
def test_options_that_make_no_sense_are_problems(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DedupOptions.model_validate(options)


def test_an_hour_is_remembered_where_nothing_is_said() -> None:
    assert DedupOptions.model_validate({"key": "{{ data }}"}).window == 3600.0


def test_it_may_run_again_for_a_message_that_comes_back() -> None:
    """Its owner passes again; so a journal row goes back before it, and takes its reservation up."""
    assert spec_of(Dedup).repeatable


class Copies(RuleBasedStateMachine):
    """Messages of two keys come, end and die with the process in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic(**{"for": "10s"})
        self.under_way: dict[Way, tuple[str, str]] = {}
        """Those who passed and have not ended: their key and id."""
        self.waiting: dict[Way, tuple[str, str]] = {}
        """In the order in which they came."""
        self.reserved_at: dict[Way, float] = {}
        self.done_until: dict[str, float] = {}
        """Per key: until when a message that ended well speaks for it."""
        self.journal: list[tuple[str, str]] = []
        """What died before it ended, and comes again."""

    @rule(key=st.sampled_from("ab"), id=st.sampled_from(["m-1", "m-2", "m-3"]))
    def comes(self, key: str, id: str) -> None:
        owned = any(owned_key == key for owned_key, _ in self.under_way.values())
        done = self.done_until.get(key, 0.0) > self.traffic.clock.time()
        way = self.traffic.send(key, id)
        if passed(way):
            assert not owned
            assert not done, "it passed although another one had ended well"
            self.begins(way, key, id)
        elif waits(way):
            assert owned
            self.waiting[way] = (key, id)
        else:
            assert way.outcome == "deduplicated"
            assert done, "it is deduplicated, and nobody has ended well"

    def begins(self, way: Way, key: str, id: str) -> None:
        self.under_way[way] = (key, id)
        self.reserved_at[way] = self.traffic.clock.time()

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1), outcome=st.sampled_from(OUTCOMES_OF_SUCCESS + OUTCOMES_OF_FAILURE))
    def ends(self, which: int, outcome: Outcome) -> None:
        way = list(self.under_way)[which % len(self.under_way)]
        key, _ = self.under_way.pop(way)
        copies = [copy for copy, (copied, _) in self.waiting.items() if copied == key]
        others = [copy for copy in self.waiting if copy not in copies]

        way.end(outcome)

        assert all(waits(copy) for copy in others)
        if outcome in OUTCOMES_OF_SUCCESS:
            self.done_until[key] = self.reserved_at[way] + 10.0
            assert all(copy.outcome == "deduplicated" for copy in copies)
            for copy in copies:
                del self.waiting[copy]
        elif copies:
            assert passed(copies[0])
            assert all(waits(copy) for copy in copies[1:])
            self.begins(copies[0], *self.waiting.pop(copies[0]))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1))
    def comes_by_again(self, which: int) -> None:
        """After a crash of the route, on the way it was on."""
        way = list(self.under_way)[which % len(self.under_way)]
        way.resumed = None
        assert passed(self.traffic.send(*self.under_way[way], way))

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        asyncio.run(self.traffic.clock.advance(seconds))

    @rule()
    def restarts(self) -> None:
        self.journal += [*self.under_way.values(), *self.waiting.values()]
        self.under_way.clear()
        self.waiting.clear()
        self.traffic.restart()

    @precondition(lambda self: self.journal)
    @rule(which=st.integers(0, 5))
    def is_replayed(self, which: int) -> None:
        self.comes(*self.journal.pop(which % len(self.journal)))

    @invariant()
    def a_key_has_one_owner_at_most(self) -> None:
        keys = [key for key, _ in self.under_way.values()]
        assert len(keys) == len(set(keys))

    @invariant()
    def who_waits_waits_for_somebody(self) -> None:
        assert {key for key, _ in self.waiting.values()} <= {key for key, _ in self.under_way.values()}

    def teardown(self) -> None:
        """Whoever waits ends as soon as those before it have ended, however they do."""
        while self.under_way:
            self.ends(0, "dead_lettered")
        assert not self.waiting


Copies.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
test_copies_share_the_fate_of_the_first = Copies.TestCase
