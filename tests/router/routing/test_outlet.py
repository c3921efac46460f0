"""A source's outlet: to every route or to none, waiting in turn, and never into nothing."""

import asyncio
from pathlib import Path

import pytest

from actors.core.errors import BackPressureError
from tests.loop import Run
from tests.router.routing.harness import Ticket, system
from tests.router.routing.targets import OK, Hang


def test_several_routes_are_offered_a_message_all_or_none(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("stuck").otherwise = Hang()
            free = router.target("free")
            router.route("free", name="free")
            router.route("stuck", name="stuck", capacity=1)
            await router.sent(1)
            await router.sent(2)
            with pytest.raises(BackPressureError) as refused:
                router.send(3)
            await router.settle()
            assert refused.value.route == "stuck"
            assert free.done_data == [1, 2]
            assert router.routes["free"].ledger.accepted == 2

    run(scenario())


def test_a_source_is_acknowledged_when_all_routes_have_accepted_or_settled(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Hang()
            router.route("sink", name="durable", durable=True)
            router.route("sink", name="light")
            (ticket,) = await router.sent("one")
            assert not ticket.was_accepted()
            router.scripts["sink"].otherwise = OK
            router.scripts["sink"].let_go()
            await router.settle()
            assert ticket.was_accepted()
            assert (ticket.ended(), ticket.settled_times) == ("delivered", 1)
            assert not router.outlets["source"].safe

    run(scenario())


def test_a_source_without_a_route_makes_dead_letters(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.outlets["source"] = router.outlet("source")
            ticket = router.send("one")
            assert ticket.ended() is None
            await router.settle()
            assert ticket.ended() == "dead_lettered"
            assert await router.reasons() == {"unroutable": 1}
            await router.commit_fails(True)
            (ticket,) = await router.sent("two")
            assert isinstance(ticket.error, BackPressureError)

    run(scenario())


def test_those_who_wait_for_room_are_let_in_in_turn(run: Run, tmp_path: Path) -> None:
    """Somebody who comes later does not go before them."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            router.route("sink", capacity=1)
            outlet = router.outlets["source"]
            await router.sent(0)
            await router.sent(1)
            waiting = []
            for number in (2, 3, 4):
                waiting.append(asyncio.create_task(outlet.put(router.message(number))))
                await router.settle()
            for _ in range(8):
                sink.let_go()
                await router.settle()
            assert all(task.done() for task in waiting)
            assert sink.done_data == [0, 1, 2, 3, 4]

    run(scenario())


def test_one_who_gives_up_waiting_gives_the_turn_to_the_next(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink", capacity=1)
            await router.sent(0)
            await router.sent(1)
            first, second = (asyncio.create_task(router.outlets["source"].put(router.message(n))) for n in (2, 3))
            await router.settle()
            sink.let_go()
            # Woken, and gone before it has run.
            woken = route.intake.waiters[0]
            for _ in range(100):
                if woken.done():
                    break
                await asyncio.sleep(0)
            assert not first.done()
            first.cancel()
            await router.settle()
            assert second.done()
            sink.let_go()
            await router.settle()
            assert 3 in sink.data

    run(scenario())


def test_one_who_waits_for_two_routes_does_not_keep_the_room_of_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            one, two = router.target("one"), router.target("two")
            one.otherwise = two.otherwise = Hang()
            router.route("one", name="one", capacity=1, sources=["both", "single"])
            router.route("two", name="two", capacity=1, sources=["both"])
            for _ in range(2):
                router.send("first", source="both")
                await router.settle()
            both = asyncio.create_task(router.outlets["both"].put(router.message("both")))
            await router.settle()
            single = asyncio.create_task(router.outlets["single"].put(router.message("single")))
            await router.settle()
            one.let_go()
            await router.settle()
            assert (both.done(), single.done()) == (False, True)
            for _ in range(4):
                one.let_go()
                two.let_go()
                await router.settle()
            assert both.done()

    run(scenario())


def test_what_no_route_can_take_is_rejected_into_the_store(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink")
            ticket = Ticket(router.message(b"\xff"))
            router.outlets["source"].reject(ticket.message, ticket, reason="undecodable", error="not JSON")
            await router.settle()
            assert ticket.ended() == "dead_lettered"
            assert await router.reasons() == {"undecodable": 1}

    run(scenario())


def test_whoever_takes_messages_out_of_a_store_waits_until_one_would_be_taken(run: Run, tmp_path: Path) -> None:
    """No route, a source that is shut, a route that is, a full one, targets that are away: it waits for all of it."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            outlet = router.outlets["source"] = router.outlet("source")
            outlet.shut("is paused")
            room = asyncio.create_task(outlet.room())
            await router.settle()
            outlet.open()
            await router.settle()
            assert not room.done()
            route = router.route("sink", capacity=1)
            await router.settle()
            assert room.done()

            route.intake.shut("is paused")
            room = asyncio.create_task(outlet.room())
            await router.settle()
            outlet.shut("is paused")
            route.intake.open()
            route.intake.let_in()
            await router.settle()
            assert not room.done()
            outlet.open()
            await router.settle()
            assert room.done()

            await router.sent("in hand")
            await router.sent("queued")
            room = asyncio.create_task(outlet.room())
            await router.settle()
            assert not room.done()
            sink.let_go()
            await router.settle()
            assert room.done()

            sink.otherwise = OK
            sink.let_go()
            router.child("sink").unavailable("the line is down")
            await router.sent("suspended")
            room = asyncio.create_task(outlet.room())
            await router.settle()
            assert not room.done()
            router.child("sink").available()
            await router.settle()
            assert room.done()

    run(scenario())


def test_one_who_waits_for_room_goes_over_to_the_routes_of_a_change(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            outlet = router.outlets["source"] = router.outlet("source")
            former = router.route("sink", name="former")
            former.intake.shut("is paused")
            room = asyncio.create_task(outlet.room())
            await router.settle()
            outlet.routes = ()
            former.intake.leave()
            await router.settle()
            assert not room.done()
            router.route("sink", name="latter")
            await router.settle()
            assert room.done()

    run(scenario())


def test_one_who_has_heard_of_room_and_does_not_take_it_keeps_nobody_waiting(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            router.route("sink", capacity=1)
            outlet = router.outlets["source"]
            await router.sent(0)
            await router.sent(1)
            room = asyncio.create_task(outlet.room())
            await router.settle()
            put = asyncio.create_task(outlet.put(router.message(2)))
            await router.settle()
            sink.let_go()
            await router.settle()
            assert (room.done(), put.done()) == (True, True)

    run(scenario())


def test_a_source_is_safe_where_each_route_is_durable_or_leads_to_what_keeps(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            outlet = router.outlets["source"] = router.outlet("source")
            found = [outlet.safe]
            router.route("sink", name="journaled", durable=True)
            router.route("sink", name="kept", keeps=True)
            found.append(outlet.safe)
            router.route("sink", name="neither")
            found.append(outlet.safe)
            assert found == [False, True, False]

    run(scenario())
