"""Operators hold, release and drop single messages, wherever these are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.core.errors import ControlError
from actors.core.limits import Limiter
from actors.core.message import Message
from router.routing.delivery import Delivery
from router.routing.hold import drop, find, hold, release
from router.routing.rewire import bury_all, rewire
from router.routing.route import Route
from tests.loop import Run
from tests.router.routing.harness import retry, system
from tests.router.routing.steps import Holds, splits
from tests.router.routing.targets import OK, Hang, Refuse


def key(message: Message) -> str:
    """The letter before the number."""
    return str(message.data)[0]


def of(route: Route, data: object) -> Delivery:
    """The one delivery with these data."""
    (found,) = (
        delivery
        for delivery in [*route.mailbox.messages, *route.under_way]
        if isinstance(delivery, Delivery) and delivery.message.data == data
    )
    return found


def test_one_that_waits_in_the_route_is_put_on_hold_when_its_turn_comes(run: Run, tmp_path: Path) -> None:
    """Those behind it go on, where the route keeps no order."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink")
            await router.sent(1, 2, 3)
            held = of(route, 2)
            hold(route, held)
            assert held in route.mailbox.messages
            sink.let_go()
            await router.settle()
            assert (sink.done_data, list(route.on_hold)) == ([1, 3], [held])
            release(route, held)
            await router.settle()
            assert sink.done_data == [1, 3, 2]
            assert router.all_is_empty()

    run(scenario())


def test_one_that_is_released_before_its_turn_keeps_its_place(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink")
            await router.sent(1, 2, 3)
            hold(route, of(route, 2))
            release(route, of(route, 2))
            sink.let_go()
            await router.settle()
            assert sink.done_data == [1, 2, 3]

    run(scenario())


def test_what_is_held_keeps_its_key(run: Run, tmp_path: Path) -> None:
    """Those of its key wait behind it, and others pass."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", order_by=key, concurrency=10)
            await router.sent("x1", "a1", "a2", "b1")
            hold(route, of(route, "a1"))
            sink.let_go()
            await router.settle()
            assert sink.done_data == ["x1", "b1"]
            release(route, of(route, "a1"))
            await router.settle()
            assert sink.done_data == ["x1", "b1", "a1", "a2"]

    run(scenario())


def test_one_in_its_target_s_mailbox_comes_back_and_its_attempt_is_still_to_come(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", concurrency=2)
            await router.sent(1, 2, 3)
            held = of(route, 2)
            hold(route, held)
            await router.settle()
            assert (list(route.on_hold), held.attempt, router.child("sink").started) == ([held], 1, 2)
            sink.let_go()
            await router.settle()
            assert sink.done_data == [1, 3]
            release(route, held)
            await router.settle()
            assert sink.done_data == [1, 3, 2]
            assert router.attempts_add_up("sink")

    run(scenario())


def test_what_a_target_has_in_hand_ends_there(run: Run, tmp_path: Path) -> None:
    """It is neither held nor dropped, and whoever asks is told where it is."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink")
            await router.sent(1)
            with pytest.raises(ControlError, match="sink has message m1 in hand: it ends there"):
                hold(route, of(route, 1))
            with pytest.raises(ControlError, match="in hand"):
                drop(route, of(route, 1), "why not")
            sink.let_go()
            await router.settle()
            assert router.outcomes() == {"delivered": 1}

    run(scenario())


def test_a_held_retry_goes_on_with_its_attempt(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.extend([Refuse(), Refuse()])
            route = router.route("sink")
            await router.sent(1)
            hold(route, of(route, 1))
            await router.advance(60.0)
            assert (len(sink.seen), of(route, 1).attempt, list(route.on_hold)) == (1, 2, [of(route, 1)])
            release(route, of(route, 1))
            await router.settle()
            assert of(route, 1).attempt == 3
            await router.advance(60.0)
            assert router.outcomes() == {"delivered": 1}

    run(scenario())


def test_only_what_is_held_is_released(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink")
            await router.sent(1, 2)
            with pytest.raises(ControlError, match="message m2 is not held"):
                release(route, of(route, 2))

    run(scenario())


def test_one_that_a_step_holds_is_on_hold_when_the_step_lets_it_go(run: Run, tmp_path: Path) -> None:
    """Dropped it cannot be there: what the step has of it would be wrong."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, step = router.target("sink"), Holds(lambda data: True)
            route = router.route("sink", steps=(step,), repeatable=(True,))
            await router.sent(1)
            held = of(route, 1)
            hold(route, held)
            with pytest.raises(ControlError, match="a step of r has message m1"):
                drop(route, held, "why not")
            ((message, passage),) = step.held
            passage.resume(message)
            await router.settle()
            assert (sink.seen, list(route.on_hold)) == ([], [held])
            release(route, held)
            await router.settle()
            assert sink.done_data == [1]

    run(scenario())


def test_one_that_has_expired_while_it_was_held_ends_as_expired(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", timeout_s=100.0, retry=retry(1))
            await router.sent(1)
            await router.sent(2, expirytime=router.clock.time() + 5.0)
            hold(route, of(route, 2))
            sink.let_go()
            await router.advance(10.0)
            assert len(route.on_hold) == 1
            release(route, of(route, 2))
            await router.settle()
            assert router.outcomes() == {"delivered": 1, "expired": 1}

    run(scenario())


# Dropped wherever it waits


def test_one_is_dropped_with_its_reason_and_its_source_is_told(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink")
            _, ticket = await router.sent(1, 2)
            drop(route, of(route, 2), "sent by mistake")
            assert ticket.settlement is not None
            assert (ticket.settlement.outcome, ticket.settlement.reason) == ("dropped", "sent by mistake")
            assert router.outcomes() == {"dropped": 1}
            router.check()

    run(scenario())


@pytest.mark.parametrize("is_held", [False, True])
def test_one_that_waits_for_another_of_its_key_leaves_the_others_in_their_order(
    run: Run, tmp_path: Path, is_held: bool
) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", order_by=key, concurrency=10)
            await router.sent("a1", "a2", "a3")
            if is_held:
                hold(route, of(route, "a2"))
            drop(route, of(route, "a2"), "sent by mistake")
            await router.settle()
            assert (sink.data, route.order.waiting) == (["a1"], 1)
            sink.let_go()
            await router.settle()
            assert sink.done_data == ["a1", "a3"]
            assert router.all_is_empty()

    run(scenario())


def test_one_on_hold_frees_its_key_when_it_is_dropped(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", order_by=key, concurrency=10)
            await router.sent("x1", "a1", "a2")
            hold(route, of(route, "a1"))
            sink.let_go()
            await router.settle()
            drop(route, of(route, "a1"), "sent by mistake")
            await router.settle()
            assert sink.done_data == ["x1", "a2"]
            assert router.all_is_empty()

    run(scenario())


def test_one_that_waits_for_a_retry_or_in_the_target_s_mailbox_is_dropped(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.extend([Refuse(), Hang()])
            route = router.route("sink", concurrency=2)
            await router.sent(1, 2, 3)
            for data in (1, 3):
                drop(route, of(route, data), "sent by mistake")
            sink.let_go()
            await router.advance(60.0)
            assert sink.data == [1, 2]
            assert router.outcomes() == {"delivered": 1, "dropped": 2}
            assert router.attempts_add_up("sink")
            assert router.all_is_empty()

    run(scenario())


def test_a_route_whose_last_suspended_message_is_dropped_takes_messages_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            router.target("other")
            choose = {1: ("sink",), 2: ("other",)}
            route = router.route("sink", "other", choose=lambda message: choose[message.data])
            router.child("sink").unavailable("the cable is out")
            await router.sent(1)
            assert route.intake.obstacle() == "away"
            drop(route, of(route, 1), "sent by mistake")
            await router.sent(2)
            assert router.outcomes() == {"delivered": 1, "dropped": 1}

    run(scenario())


def test_one_that_waits_for_its_target_s_limit_is_dropped(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", limiter=Limiter(1, 10.0))
            route = router.route("sink")
            await router.sent(1, 2, 3)
            drop(route, of(route, 2), "sent by mistake")
            await router.advance(30.0)
            assert sink.done_data == [1, 3]
            assert router.outcomes() == {"delivered": 2, "dropped": 1}

    run(scenario())


@pytest.mark.parametrize("number", [2, 3])
def test_a_part_that_waits_its_turn_ends_without_the_next_going_before_its_own(
    run: Run, tmp_path: Path, number: int
) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=10)
            sink.answers.append(Hang())
            route = router.route(
                "sink", order_by=lambda _: "same", concurrency=10, steps=(splits,), repeatable=(True,), durable=True
            )
            await router.sent(["a1", "a2", "a3"], ["b1"])
            drop(route, of(route, f"a{number}"), "sent by mistake")
            await router.settle()
            assert sink.data == ["a1"]
            sink.let_go()
            await router.settle()
            assert sink.done_data == ["a1", "a3" if number == 2 else "a2", "b1"]
            assert router.outcomes() == {"delivered": 3, "dropped": 1}
            assert router.all_is_empty()

    run(scenario())


def test_a_way_to_one_of_several_targets_is_held_and_dropped_by_itself(run: Run, tmp_path: Path) -> None:
    """The message is found there, and not as the parent of its ways; it ends as the worst of them."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            one, two = router.target("one"), router.target("two")
            one.otherwise = two.otherwise = Hang()
            route = router.route("one", "two", concurrency=10)
            await router.sent(1, 2)
            ways = {way.target.name: way for way in find(route, "m2") if way.target is not None}
            assert set(ways) == {"one", "two"}
            hold(route, ways["one"])
            drop(route, ways["two"], "sent by mistake")
            for script in (one, two):
                script.otherwise = OK
                script.let_go()
            await router.settle()
            assert router.outcomes() == {"delivered": 1}
            release(route, ways["one"])
            await router.settle()
            assert (one.done_data, two.done_data) == ([1, 2], [1])
            assert router.outcomes() == {"delivered": 1, "dropped": 1}
            assert router.all_is_empty()

    run(scenario())


# What a swap makes of it


async def rewired(route: Route, choose: Callable[[Message], tuple[str, ...]]) -> None:
    from dataclasses import replace

    rewire(route, replace(route.plan, choose=choose, only=None), route.targets, keeps_order=True)
    route.pump()


def test_what_is_held_stays_so_when_its_route_is_led_elsewhere_and_goes_there(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            old, new = router.target("old"), router.target("new")
            old.answers.append(Hang())
            route = router.route("old", "new", choose=lambda _: ("old",), order_by=key, concurrency=3)
            await router.sent("x1", "a1", "a2", "b1")
            for data in ("a1", "b1"):
                hold(route, of(route, data))
            await rewired(route, lambda _: ("new",))
            await router.settle()
            assert (old.data, new.data) == (["x1"], [])
            old.let_go()
            await router.settle()
            assert {delivery.message.data for delivery in route.on_hold} == {"a1", "b1"}
            for data in ("a1", "b1"):
                release(route, of(route, data))
            await router.settle()
            assert (old.done_data, sorted(new.done_data)) == (["x1"], ["a1", "a2", "b1"])
            assert new.done_data.index("a1") < new.done_data.index("a2")

    run(scenario())


def test_what_is_held_when_its_route_ends_becomes_a_dead_letter(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", concurrency=2)
            await router.sent(1, 2)
            hold(route, of(route, 2))
            sink.let_go()
            await router.settle()
            bury_all(route, "the route ended")
            await router.settle()
            assert router.outcomes() == {"delivered": 1, "dead_lettered": 1}
            assert router.all_is_empty()

    run(scenario())


def test_a_hold_does_not_survive_a_restart_and_the_message_does(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", durable=True, concurrency=2)
            await router.sent(1, 2)
            hold(route, of(route, 2))
            sink.let_go()
            await router.settle()
            killed = await router.killed()
        async with system(killed) as router:
            sink = router.target("sink")
            router.route("sink", durable=True, recover=True)
            await router.until(router.all_is_empty, within_s=5.0)
            assert sink.done_data[-1] == 2

    run(scenario())


def test_a_route_with_nothing_but_held_messages_keeps_no_stop_waiting(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            route = router.route("sink", order_by=key, concurrency=10)
            await router.sent("x1", "a1", "a2")
            hold(route, of(route, "a1"))
            before = route.under_way.waits_for_others
            sink.let_go()
            await router.settle()
            assert (before, route.under_way.waits_for_others, route.under_way.quiet) == (False, True, False)

    run(scenario())
