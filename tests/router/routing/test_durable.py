"""Durable routes: the commit comes before the word, and what is in the journal survives."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import BackPressureError, StorageError
from actors.core.message import Message
from tests.loop import Run
from tests.router.routing.harness import retry, system
from tests.router.routing.steps import crashes_on
from tests.router.routing.targets import OK, Hang, Refuse


def test_a_message_is_accepted_after_its_commit_and_not_before(run: Run, tmp_path: Path) -> None:
    """And before its steps: the source need not wait for them."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Hang()
            router.route("sink", durable=True)
            ticket = router.send("one")
            assert router.routes["r"].ledger.accepted == 0
            assert not ticket.was_accepted()
            await router.settle()
            assert ticket.was_accepted()
            assert ticket.ended() is None
            assert len(await router.journal.load("r", 0, 10)) == 1
            router.scripts["sink"].let_go()
            await router.settle()
            assert ticket.ended() == "delivered"
            assert router.all_is_empty()

    run(scenario())


def test_a_message_that_is_not_durable_is_accepted_when_it_is_settled(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Hang()
            router.route("sink")
            (ticket,) = await router.sent("one")
            assert not ticket.was_accepted()
            router.scripts["sink"].let_go()
            await router.settle()
            assert ticket.was_accepted()

    run(scenario())


def test_what_has_no_room_in_the_mailbox_waits_on_disk_in_its_order(run: Run, tmp_path: Path) -> None:
    """Memory stays bounded by the mailbox, whatever is accepted."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink", durable=True, capacity=4, timeout_s=1000.0)
            tickets = await router.sent(*range(50))
            assert all(ticket.was_accepted() for ticket in tickets)
            assert len(route.mailbox) <= 4
            assert route.queued == 49
            sink.otherwise = OK
            sink.let_go()
            late = await router.sent(50)
            assert sink.done_data == list(range(51))
            assert all(ticket.ended() == "delivered" for ticket in tickets + late)
            assert route.mailbox.high_water <= 4
            assert router.all_is_empty()

    run(scenario())


def test_an_outage_fills_the_disk_and_not_the_memory(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            route = router.route("sink", durable=True, capacity=4)
            router.child("sink").unavailable("the cable is out")
            await router.sent(*range(20))
            await router.advance(60.0)
            assert len(route.mailbox) + len([*route.under_way]) <= 5
            router.child("sink").available()
            await router.settle()
            assert sink.done_data == list(range(20))

    run(scenario())


def test_a_full_journal_refuses_until_there_is_room(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path, max_bytes=100) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink", durable=True, timeout_s=1000.0)
            await router.sent("x" * 200)
            with pytest.raises(BackPressureError) as refused:
                router.send("one more")
            assert refused.value.retry_after_s == 10.0
            assert (route.ledger.accepted, route.ledger.refused_at_source) == (1, 1)
            sink.otherwise = OK
            sink.let_go()
            await router.settle()
            (ticket,) = await router.sent("one more")
            assert ticket.ended() == "delivered"

    run(scenario())


def test_a_commit_that_fails_refuses_the_receipt(run: Run, tmp_path: Path) -> None:
    """Where nothing can be stored nothing is acknowledged; it goes on when there is space."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            route = router.route("sink", durable=True)
            await router.sent("first")
            await router.commit_fails(True)
            (ticket,) = await router.sent("second")
            assert isinstance(ticket.error, StorageError)
            assert (ticket.was_accepted(), ticket.ended(), route.ledger.accepted) == (False, None, 1)
            await router.commit_fails(False)
            (ticket,) = await router.sent("third")
            assert ticket.ended() == "delivered"
            assert sink.done_data == ["first", "third"]
            assert router.all_is_empty()

    run(scenario())


@pytest.mark.parametrize("unclean", [False, True])
def test_what_the_last_run_left_goes_on_in_its_order(run: Run, tmp_path: Path, unclean: bool) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").answers.extend([OK, Hang()])
            router.route("sink", durable=True, capacity=3)
            await router.sent(*range(10))
            copy = await router.killed()
        async with system(copy) as router:
            sink = router.target("sink")
            route = router.route("sink", durable=True, capacity=3, recover=unclean)
            await router.sent(10)
            assert sink.done_data == list(range(1, 11))
            assert route.ledger.accepted == 10
            assert router.all_is_empty()

    run(scenario())


def test_a_message_that_was_in_hand_at_three_starts_that_died_is_quarantined(run: Run, tmp_path: Path) -> None:
    """One death is only a suspicion. Its neighbours flow meanwhile, and none of them is blamed."""

    async def scenario() -> None:
        path = tmp_path / "router.db"
        for start in range(5):
            async with system(path) as router:
                sink = router.target("sink")
                sink.decide = lambda message: Hang() if message.data == "kills" else OK
                router.route("sink", durable=True, recover=True, timeout_s=1000.0)
                if start == 0:
                    await router.sent("before", "kills", "after")
                await router.settle()
                if start < 4:
                    assert sink.data[-1] == "kills"
                    path = await router.killed()
                else:
                    assert sink.data == ["after"]
                    assert [letter.reason for letter in await router.letters()] == ["quarantined"]
                    assert router.all_is_empty()

    run(scenario())


def test_a_failed_attempt_that_killed_nobody_clears_its_message(run: Run, tmp_path: Path) -> None:
    """It waits for its retry while the router dies again and again, and that is not its doing."""

    async def scenario() -> None:
        path = tmp_path / "router.db"
        plan: dict[str, Any] = {"durable": True, "retry": retry(50)}
        for start in range(6):
            async with system(path) as router:
                router.target("sink").otherwise = Refuse()
                router.route("sink", recover=True, **plan)
                if start == 0:
                    await router.sent("innocent")
                await router.settle()
                path = await router.killed()
        async with system(path) as router:
            sink = router.target("sink")
            router.route("sink", recover=True, **plan)
            await router.settle()
            assert sink.done_data == ["innocent"]

    run(scenario())


def test_an_outage_during_which_the_router_dies_makes_no_suspect(run: Run, tmp_path: Path) -> None:
    """A message that waits for its target is in nobody's hands."""

    async def scenario() -> None:
        path = tmp_path / "router.db"
        for start in range(6):
            async with system(path) as router:
                router.target("sink")
                router.child("sink").unavailable("the cable is out")
                router.route("sink", recover=True, durable=True)
                if start == 0:
                    await router.sent("innocent")
                await router.settle()
                path = await router.killed()
        async with system(path) as router:
            sink = router.target("sink")
            router.route("sink", recover=True, durable=True)
            await router.settle()
            assert sink.done_data == ["innocent"]

    run(scenario())


def test_a_crash_of_the_route_forgets_no_backlog(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            steps = (crashes_on(7),)
            router.route("sink", durable=True, capacity=2, steps=steps, repeatable=(True,), retry=retry(2))
            await router.sent(*range(20))
            await router.advance(5.0)
            assert sink.done_data == [number for number in range(20) if number != 7]
            assert await router.reasons() == {"quarantined": 1}
            assert router.all_is_empty()

    run(scenario())


def test_a_journal_that_cannot_be_read_is_read_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Hang()
            route = router.route("sink", durable=True, capacity=2, timeout_s=1000.0)
            await router.sent(*range(6))
            await router.database.transact(lambda connection: connection.execute("ALTER TABLE journal RENAME TO away"))
            sink.otherwise = OK
            sink.let_go()
            await router.advance(3.0)
            assert route.queued == 6 - len(sink.done) - len([*route.under_way])
            await router.database.transact(lambda connection: connection.execute("ALTER TABLE away RENAME TO journal"))
            await router.advance(2.0)
            assert sink.done_data == list(range(6))
            assert router.child("route/r").restarts == 0

    run(scenario())


def test_what_has_not_ended_at_the_end_was_refused_or_is_in_the_journal(run: Run, tmp_path: Path) -> None:
    """Also what is committed while the route closes; nothing counts as lost."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Hang()
            router.route("sink", name="kept", sources=["a"], durable=True, timeout_s=1000.0)
            router.route("sink", name="light", sources=["b"], timeout_s=1000.0)
            kept = [router.send(number, source="a") for number in range(3)]
            await router.settle()
            light = [router.send(number, source="b") for number in range(3)]
            kept.append(router.send("committed at the end", source="a"))
            for route in router.routes.values():
                route.close()
            with pytest.raises(BackPressureError):
                router.send("too late", source="b")
        assert all(ticket.error is not None and not ticket.was_accepted() for ticket in light)
        assert all(ticket.was_accepted() for ticket in kept)
        assert not router.routes["kept"].mailbox.messages
        async with system(tmp_path) as router:
            rows = await router.journal.load("kept", 0, 10)
            data = [Message.from_bytes(row.message).data for row in rows]
            assert data == [0, 1, 2, "committed at the end"]

    run(scenario())


def test_a_source_that_waits_for_the_journal_is_let_in_when_another_route_has_emptied_it(
    run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with system(tmp_path, max_bytes=100) as router:
            router.target("slow").otherwise = Hang()
            fast = router.target("fast")
            router.route("slow", name="slow", sources=["a"], durable=True, timeout_s=1000.0)
            router.route("fast", name="fast", sources=["b"], durable=True)
            router.send("x" * 200, source="a")
            await router.settle()
            waiting = asyncio.create_task(router.outlets["b"].put(router.message("waits")))
            await router.settle()
            assert not waiting.done()
            router.scripts["slow"].let_go()
            await router.advance(1.0)
            assert waiting.done()
            assert fast.done_data == ["waits"]

    run(scenario())
