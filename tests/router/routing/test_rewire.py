"""A route goes on by another plan with all that it has under way: nothing is lost, repeated or overtaken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import BackPressureError
from actors.core.events import RouteResumed, RouteSuspended
from actors.core.limits import Limiter
from actors.core.message import Message
from router.routing.choose import always
from router.routing.plan import RoutePlan
from router.routing.rewire import rewire
from tests.loop import Run
from tests.router.routing.harness import System, retry, system
from tests.router.routing.steps import Holds, appends, splits
from tests.router.routing.targets import Hang, Refuse


def letter(message: Message) -> str:
    """The letter before the number."""
    return str(message.data)[0]


def number(message: Message) -> str:
    return str(message.data)[1]


def change(router: System, *to: str, keeps_order: bool = True, **plan: Any) -> None:
    """Give the route another plan, as a swap does."""
    route = router.routes["r"]
    plan.setdefault("retry", retry())
    plan.setdefault("steps", route.plan.steps)
    plan.setdefault("repeatable", route.plan.repeatable)
    if len(to) == 1:
        plan["only"] = to[0]
    names = dict.fromkeys((*to, *plan.get("fallback", ())))
    made = RoutePlan("r", ("source",), always(to), tuple(names), **plan)
    rewire(route, made, {name: router.child(name) for name in names}, keeps_order=keeps_order)
    route.pump()


def test_a_key_is_kept_in_order_from_the_old_target_to_the_new_one(run: Run, tmp_path: Path) -> None:
    """The one in hand ends at the old target; the next of its key waits for that, and other keys do not."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            old, new = router.target("old", concurrency=9), router.target("new", concurrency=9)
            old.otherwise = Hang()
            router.route("old", order_by=letter, concurrency=9)
            await router.sent("a1", "a2", "b1")
            change(router, "new", order_by=letter, concurrency=9)
            await router.sent("a3", "c1")
            assert (new.data, old.data) == (["c1"], ["a1", "b1"])
            old.let_go()
            await router.settle()
            assert new.data == ["c1", "a2", "a3"]
            assert router.all_is_empty()

    run(scenario())


def test_another_order_holds_for_what_waits_and_what_comes(run: Run, tmp_path: Path) -> None:
    """What is under way shares its new key side by side; whoever waits goes on behind the last of them."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=9)
            sink.otherwise = Hang()
            router.route("sink", order_by=letter, concurrency=9)
            await router.sent("a1", "b1", "a2", "b2")
            assert sink.data == ["a1", "b1"]
            change(router, "sink", order_by=number, concurrency=9, keeps_order=False)
            await router.sent("c1", "c2")
            assert sink.data == ["a1", "b1", "a2"]
            for _ in range(4):
                sink.let_go()
                await router.settle()
            assert sink.data == ["a1", "b1", "a2", "c1", "b2", "c2"]
            assert router.all_is_empty()
            assert not router.routes["r"].order._crowded

    run(scenario())


def test_whoever_waited_for_a_key_goes_on_when_no_order_is_kept_any_more(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=9)
            sink.otherwise = Hang()
            router.route("sink", order_by=letter, concurrency=9)
            await router.sent("a1", "a2", "a3")
            change(router, "sink", order_by=None, concurrency=9, keeps_order=False)
            await router.settle()
            assert sink.data == ["a1", "a2", "a3"]
            sink.let_go()
            await router.settle()
            assert router.all_is_empty()

    run(scenario())


def test_a_new_order_begins_with_what_is_under_way(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=9)
            sink.otherwise = Hang()
            router.route("sink", concurrency=9)
            await router.sent("a1", "a2")
            change(router, "sink", order_by=letter, concurrency=9, keeps_order=False)
            await router.sent("a3", "b1")
            assert sink.data == ["a1", "a2", "b1"]
            sink.hanging.popleft().set_result(None)
            await router.settle()
            assert "a3" not in sink.data
            for _ in range(3):
                sink.let_go()
                await router.settle()
            assert sink.data[-1] == "a3"
            assert router.all_is_empty()

    run(scenario())


def test_what_a_step_holds_goes_through_the_steps_it_is_among(run: Run, tmp_path: Path) -> None:
    """And through none of the new ones; what comes in goes through these alone."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            holds = Holds()
            sink = router.target("sink")
            route = router.route("sink", steps=(holds, appends("o")), repeatable=(True, True), concurrency=9)
            await router.sent("held")
            change(router, "sink", steps=(appends("n"), appends("m")), repeatable=(True, True), concurrency=9)
            await router.sent("new")
            assert len(route.former) == 1
            message, passage = holds.held[0]
            passage.resume(message)
            await router.settle()
            assert sink.data == ["newnm", "heldo"]
            assert not route.former
            assert router.all_is_empty()

    run(scenario())


def test_an_asynchronous_step_that_runs_ends_and_its_chain_goes_on(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            go = asyncio.Event()

            async def waits(message: Message, _: Any) -> Message:
                await go.wait()
                return message.with_data(message.data + "w")

            sink = router.target("sink")
            route = router.route("sink", steps=(waits, waits, appends("o")), repeatable=(True,) * 3, concurrency=9)
            await router.sent("1")
            change(router, "sink", steps=(appends("n"),), repeatable=(True,), concurrency=9)
            change(router, "sink", steps=(appends("x"),), repeatable=(True,), concurrency=9)
            await router.sent("2")
            go.set()
            await router.settle()
            assert sink.data == ["2x", "1wwo"]
            assert not route.former
            assert router.all_is_empty()

    run(scenario())


def test_parts_that_wait_for_one_another_follow_in_their_order_to_the_new_target(run: Run, tmp_path: Path) -> None:
    """They are not split again, and have the steps before and behind the split once."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            old, new = router.target("old", concurrency=9), router.target("new", concurrency=9)
            old.otherwise = Hang()
            steps = (splits, appends("o"))
            router.route("old", steps=steps, repeatable=(True, True), order_by=lambda _: "k", concurrency=9)
            await router.sent(["a", "b", "c"], ["d"])
            change(router, "new", steps=(splits,), repeatable=(True,), order_by=lambda _: "k", concurrency=9)
            await router.settle()
            assert (old.data, new.data) == (["ao"], [])
            old.let_go()
            await router.settle()
            assert new.data == ["bo", "co", "d"]
            assert router.all_is_empty()

    run(scenario())


def test_a_way_of_a_fan_out_goes_on_where_its_route_still_leads(run: Run, tmp_path: Path) -> None:
    """And becomes a dead letter where there is no target left that the message has not been sent to."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("a")
            b, c = router.target("b"), router.target("c")
            b.otherwise = c.otherwise = Refuse()
            router.route("a", "b", "c", concurrency=9)
            (ticket,) = await router.sent("1")
            b.otherwise = c.otherwise
            change(router, "a", "b", concurrency=9)
            await router.settle()
            assert [each.target for each in await router.letters()] == ["c"]
            b.answers.clear()
            b.otherwise = type(b)().otherwise
            await router.advance(2.0)
            assert b.done_data == ["1"]
            assert ticket.ended() == "dead_lettered"
            assert router.all_is_empty()

    run(scenario())


def test_an_attempt_keeps_the_deadline_it_began_with(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=9)
            sink.otherwise = Hang()
            router.route("sink", timeout_s=10.0, concurrency=9)
            await router.sent("1")
            change(router, "sink", timeout_s=2.0, retry=retry(1), concurrency=9)
            await router.sent("2")
            await router.advance(3.0)
            assert [each.message_id for each in await router.letters()] == ["m2"]
            await router.advance(8.0)
            assert await router.reasons() == {"unknown": 2}
            assert not router.routes["r"].attempts._deadlines or router.all_is_empty()

    run(scenario())


def test_a_backlog_on_disk_comes_before_what_is_taken_in_without_a_journal(run: Run, tmp_path: Path) -> None:
    """Its rows go as its messages end; until all of it is in the mailbox, sources are held back."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink", durable=True, capacity=2)
            await router.sent(*range(8))
            assert route.backlog.size
            change(router, "sink", durable=False, capacity=2)
            with pytest.raises(BackPressureError):
                router.send(8)
            for _ in range(8):
                sink.let_go()
                await router.settle()
            await router.sent(8)
            sink.let_go()
            await router.settle()
            assert sink.data == list(range(9))
            assert router.all_is_empty()

    run(scenario())


def test_what_waits_for_its_commit_is_not_overtaken_when_the_journal_is_switched_off(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            route = router.route("sink", durable=True)
            router.send(1)
            assert route.intake.committing == 1
            change(router, "sink", durable=False)
            with pytest.raises(BackPressureError):
                router.send(2)
            await router.settle()
            await router.sent(3)
            assert sink.data == [1, 3]
            assert router.all_is_empty()

    run(scenario())


def test_what_was_taken_in_without_a_journal_comes_before_what_is_journaled(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            router.route("sink")
            await router.sent(1, 2)
            change(router, "sink", durable=True)
            await router.sent(3)
            assert router.journal.waiting("r") == 1
            for _ in range(3):
                sink.let_go()
                await router.settle()
            assert sink.data == [1, 2, 3]
            assert router.all_is_empty()

    run(scenario())


def test_what_waits_for_a_target_to_return_goes_to_the_new_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("old")
            new = router.target("new")
            await router.settle()
            router.child("old").unavailable("the cable is out")
            router.route("old")
            await router.sent("1")
            assert len(router.heard(RouteSuspended)) == 1
            change(router, "new")
            await router.settle()
            assert new.data == ["1"]
            assert len(router.heard(RouteResumed)) == 1
            assert router.all_is_empty()

    run(scenario())


def test_what_pauses_for_a_limit_goes_to_the_new_target_at_once(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            old = router.target("old", limiter=Limiter(1, 60.0))
            new = router.target("new")
            router.route("old", concurrency=9)
            await router.sent("1", "2", "3")
            assert old.data == ["1"]
            change(router, "new", concurrency=9)
            await router.settle()
            assert new.data == ["2", "3"]
            assert router.all_is_empty()

    run(scenario())


def test_a_dead_letter_that_cannot_be_kept_yet_ends_once_it_is(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("old").otherwise = Refuse(retryable=False)
            new = router.target("new")
            await router.commit_fails(True)
            router.route("old", order_by=letter)
            first, _ = await router.sent("a1", "a2")
            change(router, "new", order_by=letter)
            await router.settle()
            assert new.data == []
            await router.commit_fails(False)
            await router.advance(2.0)
            assert new.data == ["a2"]
            assert first.ended() == "dead_lettered"
            assert [each.target for each in await router.letters()] == ["old"]
            assert router.all_is_empty()

    run(scenario())


def test_a_retry_keeps_its_attempt_at_the_new_target(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("old").otherwise = Refuse()
            router.target("new").otherwise = Refuse()
            route = router.route("old", retry=retry(3))
            await router.sent("1")
            await router.advance(1.0)
            change(router, "new", retry=retry(3))
            await router.settle()
            assert [each.attempts for each in await router.letters()] == [3]
            assert len(router.scripts["new"].seen) == 1
            assert route.ledger.retries == 2

    run(scenario())


@pytest.mark.parametrize("to", ["old", "new"])
def test_a_replay_on_its_way_goes_to_its_target_where_the_route_still_leads_there(
    run: Run, tmp_path: Path, to: str
) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            old, new = router.target("old"), router.target("new")
            old.otherwise = Refuse(retryable=False)
            route = router.route("old")
            await router.sent("1")
            (kept,) = await router.letters()
            old.otherwise = Hang()
            await router.sent("2")
            message = Message.from_bytes(kept.message)
            replay = asyncio.create_task(route.intake.replay(message, letter=kept.id, target="old", timeout_s=10.0))
            await router.settle()
            assert len(route.ready) == 1
            change(router, to)
            old.let_go()
            await router.settle()
            old.let_go()
            await router.settle()
            assert await replay
            assert {"old": old, "new": new}[to].done_data == (["2", "1"] if to == "old" else ["1"])
            assert router.all_is_empty()

    run(scenario())


def test_the_last_attempt_in_hand_goes_on_to_a_fallback_that_the_route_still_has(run: Run, tmp_path: Path) -> None:
    """Those that it knew from an earlier attempt are not gone to where a change has taken them away."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, former, spare = (router.target(name) for name in ("sink", "former", "spare"))
            sink.answers.extend([Refuse(), Hang()])
            router.route("sink", fallback=("former",), retry=retry(2), timeout_s=2.0)
            (ticket,) = await router.sent("x")
            await router.advance(1.0)
            assert sink.data == ["x", "x"]
            change(router, "sink", fallback=("spare",), retry=retry(2), timeout_s=2.0)
            await router.advance(2.0)
            assert (former.data, spare.data, ticket.ended()) == ([], ["x"], "delivered")
            assert not router.supervisor.children["route/r"].restarts

    run(scenario())
