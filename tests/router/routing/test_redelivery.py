"""What a queue sends again by itself: routes give it back, and repeat only what has not ended."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.core.events import AttemptFailed, AttemptReturned
from actors.core.limits import Limiter
from actors.core.message import Message
from actors.core.step import Passage, StepResult, Verdict
from router.routing.choose import OnUnknown, always
from router.routing.hold import drop, find, hold, release
from router.routing.plan import RoutePlan
from router.routing.rewire import bury_all, rewire
from tests.loop import Run
from tests.router.routing.harness import System, retry, system
from tests.router.routing.shelf import Shelf
from tests.router.routing.steps import Step, crashes_on, splits
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse


def away(router: System, name: str) -> None:
    router.child(name).unavailable("the line is down")


def change(router: System, *to: str, **plan: Any) -> None:
    """Give the route another plan, as a swap does."""
    route = router.routes["r"]
    names = dict.fromkeys((*to, *plan.get("fallback", ())))
    only = to[0] if len(to) == 1 else None
    made = RoutePlan("r", ("source",), always(to), tuple(names), only=only, retry=retry(), **plan)
    rewire(route, made, {name: router.child(name) for name in names}, keeps_order=True)
    route.pump()


def test_a_failed_attempt_is_given_back_and_the_last_one_is_a_dead_letter(run: Run, tmp_path: Path) -> None:
    """The route repeats nothing itself; events and the dead letter count as the queue does."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=9)
            sink.otherwise = Refuse()
            router.route("sink", concurrency=9)
            shelf = Shelf(router)
            (message,) = await shelf.sent("x")
            assert shelf.ends(message) == ["returned"]
            assert shelf.endings[message.id][0].reason == "refused: scripted refused"
            assert router.outcomes() == {"returned": 1}
            await router.advance(20.0)
            assert shelf.ends(message) == ["returned", "returned", "dead_lettered"]
            assert sink.at == [0.0, 10.0, 20.0]
            assert router.outcomes() == {"returned": 2, "dead_lettered": 1}
            assert [(type(event), event.attempt, event.retry_in_s) for event in router.heard(AttemptFailed)] == [
                (AttemptReturned, 1, None),
                (AttemptReturned, 2, None),
                (AttemptFailed, 3, None),
            ]
            assert [(letter.attempts, letter.reason) for letter in await router.letters()] == [(3, "refused")]
            assert router.routes["r"].ledger.retries == 0
            assert router.all_is_empty()

    run(scenario())


def test_the_queue_is_told_what_the_remote_end_asked_for(run: Run, tmp_path: Path) -> None:
    """Of several targets the longest."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            waits: tuple[float | None, ...] = (5.0, None, 42.0, 7.0)
            for number, wait_s in enumerate(waits):
                router.target(f"t{number}").answers.append(Refuse("overload", retry_after_s=wait_s))
            router.route(*(f"t{number}" for number in range(len(waits))))
            shelf = Shelf(router)
            (message,) = await shelf.sent("x")
            assert shelf.endings[message.id][0].retry_after_s == 42.0
            await router.advance(41.0)
            assert shelf.ends(message) == ["returned"]
            await router.advance(1.0)
            assert shelf.ends(message) == ["returned", "delivered"]

    run(scenario())


def test_fallbacks_follow_the_last_attempt_one_attempt_each(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            scripts = [router.target(name) for name in ("sink", "first", "second")]
            for script in scripts:
                script.otherwise = Refuse()
            router.route("sink", fallback=("first", "second"))
            shelf = Shelf(router, attempts=2)
            (message,) = await shelf.sent("x")
            assert [len(script.seen) for script in scripts] == [1, 0, 0]
            await router.advance(10.0)
            assert [len(script.seen) for script in scripts] == [2, 1, 1]
            assert shelf.ends(message) == ["returned", "dead_lettered"]

    run(scenario())


def test_what_no_repetition_can_change_goes_to_the_fallback_at_once(run: Run, tmp_path: Path) -> None:
    """Where that fails too, there are attempts left."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Refuse(retryable=False)
            spare = router.target("spare")
            spare.answers.append(Refuse())
            router.route("sink", fallback=("spare",))
            shelf = Shelf(router)
            (message,) = await shelf.sent("x")
            assert shelf.ends(message) == ["returned"]
            await router.advance(10.0)
            assert shelf.ends(message) == ["returned", "delivered"]
            assert len(spare.seen) == 2
            change(router, "sink")
            (hopeless,) = await shelf.sent("y")
            assert shelf.ends(hopeless) == ["dead_lettered"]

    run(scenario())


@pytest.mark.parametrize(
    ("on_unknown", "spare_says", "ends", "at_sink", "at_spare"),
    [
        ("retry", OK, ["returned", "returned", "delivered"], 3, 1),
        ("fallback", OK, ["delivered"], 1, 1),
        ("fallback", Refuse(), ["dead_lettered"], 1, 1),
        ("fallback", Crash(), ["dead_lettered"], 1, 1),
        ("dead_letter", OK, ["dead_lettered"], 1, 0),
    ],
)
def test_an_attempt_that_may_have_had_its_effect_follows_on_unknown(
    run: Run, tmp_path: Path, on_unknown: OnUnknown, spare_says: Answer, ends: list[str], at_sink: int, at_spare: int
) -> None:
    """What is not to be repeated is not given back either, even where the fallback fails."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, spare = router.target("sink", concurrency=9), router.target("spare")
            sink.otherwise, spare.otherwise = Hang(), spare_says
            router.route("sink", fallback=("spare",), retry=retry(on_unknown=on_unknown))
            shelf = Shelf(router)
            (message,) = await shelf.sent("x")
            await router.advance(60.0)
            assert shelf.ends(message) == ends
            assert (len(sink.seen), len(spare.seen)) == (at_sink, at_spare)

    run(scenario())


def test_a_crash_of_the_target_is_a_failed_attempt_and_quarantined_at_the_last(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Crash()
            spare = router.target("spare")
            router.route("sink", fallback=("spare",))
            shelf = Shelf(router)
            (message,) = await shelf.sent("x")
            await router.advance(30.0)
            assert shelf.ends(message) == ["returned", "returned", "dead_lettered"]
            assert await router.reasons() == {"quarantined": 1}
            assert spare.seen == []

    run(scenario())


def later(step: Step) -> Step:
    async def asynchronous(message: Message, passage: Passage) -> StepResult:
        await asyncio.sleep(0)
        result = step(message, passage)
        assert not isinstance(result, asyncio.Future)
        return result  # type: ignore[return-value]  # the steps here are none that wait

    return asynchronous


@pytest.mark.parametrize("wrap", [lambda step: step, later])
def test_a_crash_of_a_step_counts_as_an_attempt_too(run: Run, tmp_path: Path, wrap: Callable[[Step], Step]) -> None:
    """The route's actor restarts; others go on."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            router.route("sink", steps=(wrap(crashes_on("bad")),), repeatable=(True,), concurrency=9)
            shelf = Shelf(router)
            bad, good = await shelf.sent("bad", "good")
            await router.advance(5.0)
            assert (shelf.ends(bad), shelf.ends(good)) == (["returned"], ["delivered"])
            reason = shelf.endings[bad.id][0].reason
            assert reason is not None
            assert reason.startswith("crashed: ZeroDivisionError")
            await router.advance(60.0)
            assert shelf.ends(bad) == ["returned", "returned", "dead_lettered"]
            assert await router.reasons() == {"quarantined": 1}
            assert sink.data == ["good"]

    run(scenario())


def test_only_the_targets_that_failed_get_it_again(run: Run, tmp_path: Path) -> None:
    """One that a way has become a dead letter for is not tried again either."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            good, bad, hopeless = (router.target(name) for name in ("good", "bad", "hopeless"))
            bad.answers.extend([Refuse(), Refuse()])
            hopeless.otherwise = Refuse(retryable=False)
            router.route("good", "bad", "hopeless")
            shelf = Shelf(router, attempts=5)
            (message,) = await shelf.sent("x")
            assert shelf.ends(message) == ["returned"]
            assert shelf.waiting[message.id] == {"r": {(0, "good"), (0, "hopeless")}}
            await router.advance(60.0)
            assert shelf.ends(message) == ["returned", "returned", "delivered"]
            assert [len(script.seen) for script in (good, bad, hopeless)] == [1, 3, 1]
            assert len(await router.letters()) == 1
            assert router.all_is_empty()

    run(scenario())


def drops_zero(message: Message, _: Passage) -> StepResult:
    if message.data == 0:
        return Verdict("filtered")
    return message


def test_only_the_parts_that_failed_are_sent_again(run: Run, tmp_path: Path) -> None:
    """Also parts of parts; those that were filtered or are dead letters have ended."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            failing = {3, 4}
            sink = router.target("sink", concurrency=9)
            sink.decide = lambda message: (
                Refuse(retryable=False) if message.data == 2 else Refuse() if message.data in failing else OK
            )
            router.route("sink", steps=(splits, splits, drops_zero), repeatable=(True, True, True), concurrency=9)
            shelf = Shelf(router, attempts=3)
            (message,) = await shelf.sent([0, 1, [2, 3, 0], [5, 6], 4])
            assert shelf.ends(message) == ["returned"]
            assert sorted(sink.data) == [1, 2, 3, 4, 5, 6]
            failing.remove(3)
            sink.seen.clear()
            await router.advance(10.0)
            assert sorted(sink.data) == [3, 4]
            failing.clear()
            sink.seen.clear()
            await router.advance(10.0)
            assert sink.data == [4]
            assert shelf.ends(message) == ["returned", "returned", "delivered"]
            assert len(await router.letters()) == 1
            assert router.all_is_empty()

    run(scenario())


def test_only_the_targets_of_parts_that_failed_get_them_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            left, right = router.target("left", concurrency=9), router.target("right", concurrency=9)
            left.decide = lambda message: Refuse() if message.data == "a" and len(left.seen) < 3 else OK
            right.decide = lambda message: Refuse() if message.data == "b" and len(right.seen) < 3 else OK
            router.route("left", "right", steps=(splits,), repeatable=(True,), concurrency=9)
            shelf = Shelf(router)
            (message,) = await shelf.sent(["a", "b"])
            assert shelf.waiting[message.id]["r"] == {(1, "right"), (2, "left")}
            await router.advance(10.0)
            assert shelf.ends(message) == ["returned", "delivered"]
            assert (left.data, right.data) == (["a", "b", "a"], ["a", "b", "b"])

    run(scenario())


def test_a_route_on_which_it_has_ended_is_not_offered_it_again(run: Run, tmp_path: Path) -> None:
    """It has its room for others, and need have none for this; where all have it, it ends at once."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            good, bad = router.target("good"), router.target("bad")
            bad.answers.append(Refuse())
            router.route("good", name="one")
            router.route("bad", name="two")
            shelf = Shelf(router)
            (message,) = await shelf.sent("x")
            assert shelf.ends(message) == ["returned"]
            assert shelf.waiting[message.id] == {"one": {(0, "")}}
            router.routes["one"].intake.shut("is paused")
            await router.advance(10.0)
            assert shelf.ends(message) == ["returned", "delivered"]
            assert (len(good.seen), len(bad.seen)) == (1, 2)
            assert (router.outcomes("one"), router.outcomes("two")) == (
                {"delivered": 1},
                {"returned": 1, "delivered": 1},
            )
            shelf.waiting["m9"] = {"one": frozenset({(0, "")}), "two": frozenset({(0, "")})}
            shelf._again(router.message()._replace(id="m9"), 2)
            assert [settlement.outcome for settlement in shelf.endings["m9"]] == ["delivered"]
            assert router.all_is_empty()

    run(scenario())


def test_several_routes_repeat_their_own_parts(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink"), router.target("other")
            sink.answers.extend([OK, Refuse()])
            other.answers.append(Refuse())
            router.route("sink", name="one", steps=(splits,), repeatable=(True,))
            router.route("other", name="two")
            shelf = Shelf(router)
            (message,) = await shelf.sent(["a", "b"])
            assert shelf.waiting[message.id] == {"one": {(1, "sink")}}
            await router.advance(10.0)
            assert shelf.ends(message) == ["returned", "delivered"]
            assert (sink.data, len(other.seen)) == (["a", "b", "b"], 2)

    run(scenario())


def test_while_all_targets_are_away_it_stays_with_the_route(run: Run, tmp_path: Path) -> None:
    """No attempt is used; it expires there as any other does."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink", concurrency=9)
            shelf = Shelf(router)
            away(router, "sink")
            (brief,) = await shelf.sent("brief", expirytime=router.clock.time() + 5.0)
            await router.advance(5.0)
            assert shelf.ends(brief) == ["expired"]
            (message,) = await shelf.sent("x")
            await router.advance(60.0)
            assert shelf.ends(message) == []
            router.child("sink").available()
            await router.settle()
            assert shelf.ends(message) == ["delivered"]

    run(scenario())


def test_a_fallback_for_a_target_that_is_away_may_fail_and_be_tried_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, spare = router.target("sink"), router.target("spare")
            spare.otherwise = Refuse()
            router.route("sink", fallback=("spare",))
            shelf = Shelf(router)
            away(router, "sink")
            (message,) = await shelf.sent("x")
            assert (shelf.ends(message), len(spare.seen)) == (["returned"], 1)
            router.child("sink").available()
            await router.advance(10.0)
            assert shelf.ends(message) == ["returned", "delivered"]
            assert len(sink.done) == 1

    run(scenario())


def test_operators_hold_release_and_drop_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.extend([Hang(), Refuse()])
            route = router.route("sink", concurrency=9)
            shelf = Shelf(router)
            first, second, third = await shelf.sent("first", "second", "third")
            for message in (second, third):
                hold(route, find(route, message.id)[0])
            sink.let_go()
            await router.advance(60.0)
            assert [shelf.ends(message) for message in (first, second, third)] == [["delivered"], [], []]
            drop(route, find(route, third.id)[0], "not wanted")
            release(route, find(route, second.id)[0])
            await router.advance(10.0)
            assert (shelf.ends(second), shelf.ends(third)) == (["returned", "delivered"], ["dropped"])
            assert router.all_is_empty()

    run(scenario())


def test_an_attempt_in_hand_at_a_change_of_the_route_keeps_its_number(run: Run, tmp_path: Path) -> None:
    """The fallbacks that follow it are those of the new plan."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            old, new, spare = (router.target(name) for name in ("old", "new", "spare"))
            router.target("former")
            old.otherwise = Hang()
            new.otherwise = Refuse()
            route = router.route("old", fallback=("former",), timeout_s=1.0)
            shelf = Shelf(router, attempts=2)
            (message,) = await shelf.sent("x")
            change(router, "new", fallback=("spare",), timeout_s=1.0)
            await router.advance(1.0)
            assert shelf.ends(message) == ["returned"]
            await router.advance(10.0)
            assert shelf.ends(message) == ["returned", "delivered"]
            assert (len(old.seen), len(new.seen), len(spare.seen)) == (1, 1, 1)
            assert route.ledger.retries == 0

    run(scenario())


def test_fallbacks_that_a_change_has_taken_away_are_not_gone_to(run: Run, tmp_path: Path) -> None:
    """Also where the message knew them already, since it had waited for the target's limit."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", limiter=Limiter(1, 1.0), concurrency=9)
            spare, former = router.target("spare"), router.target("former")
            sink.answers.extend([OK, Hang()])
            router.route("sink", fallback=("former",), timeout_s=1.0, concurrency=9)
            shelf = Shelf(router, attempts=1)
            await shelf.sent("x")
            (message,) = await shelf.sent("y")
            await router.advance(1.0)
            assert sink.data == ["x", "y"]
            change(router, "sink", fallback=("spare",), timeout_s=1.0, concurrency=9)
            await router.advance(1.0)
            assert shelf.ends(message) == ["delivered"]
            assert (len(spare.seen), former.seen) == (1, [])

    run(scenario())


def test_what_a_route_has_when_it_ends_goes_back_where_an_attempt_is_left(run: Run, tmp_path: Path) -> None:
    """What no target has seen goes back in any case: it has that attempt still to come."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=2)
            sink.otherwise = Hang()
            route = router.route("sink", concurrency=9)
            shelf, last = Shelf(router), Shelf(router, attempts=1)
            (in_hand,), (lost_cause,) = await shelf.sent("in hand"), await last.sent("last one")
            (waiting,), (unseen,) = await shelf.sent("waiting"), await last.sent("unseen")
            bury_all(route, "the route has ended")
            await router.settle()
            assert (shelf.ends(in_hand), shelf.ends(waiting)) == (["returned"], ["returned"])
            assert last.ends(lost_cause) == ["dead_lettered"]
            assert [letter.message_id for letter in await router.letters()] == [lost_cause.id]
            assert (last.ends(unseen), last.released) == ([], [unseen.id])
            assert route.balance().difference == 0

    run(scenario())


def test_a_router_that_stops_refuses_what_has_not_ended(run: Run, tmp_path: Path) -> None:
    """So that it goes back to its queue without an attempt counted."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink")
            shelf = Shelf(router)
            away(router, "sink")
            suspended, queued = shelf.send("x"), shelf.send("y")
            await router.settle()
        assert sorted(shelf.released) == [suspended.id, queued.id]
        assert shelf.endings == {}

    run(scenario())


def test_a_message_that_its_target_has_in_hand_says_which_route_sent_it(run: Run, tmp_path: Path) -> None:
    """A dead letter on its way to an actor says so too."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, grave = router.target("sink"), router.target("grave")
            sink.otherwise, grave.otherwise = Hang(), Hang()
            router.route("sink", name="one", dead_letter="grave", timeout_s=1.0)
            shelf = Shelf(router, attempts=1)
            await shelf.sent("x")
            assert [envelope.sender for envelope in router.child("sink").mailbox.in_hand] == ["one"]
            await router.advance(1.0)
            assert [envelope.sender for envelope in router.child("grave").mailbox.in_hand] == ["one"]

    run(scenario())
