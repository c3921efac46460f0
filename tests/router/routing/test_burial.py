"""Dead letters: to an actor where the route names one, to the store in any other case, and never lost between."""

from pathlib import Path

import pytest

from actors.core.errors import BackPressureError
from actors.core.events import MessageDeadLettered, Notice
from actors.core.message import Message
from tests.loop import Run
from tests.router.routing.harness import system
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse


def hopeless(message: Message) -> Answer:
    return Refuse(retryable=False) if message.data == "bad" else OK


def test_a_dead_letter_keeps_the_message_and_what_happened_to_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").decide = hopeless
            router.route("sink")
            (ticket,) = await router.sent("bad")
            (letter,) = await router.letters()
            assert (letter.route, letter.target, letter.reason, letter.error) == (
                "r",
                "sink",
                "refused",
                "scripted refused",
            )
            assert Message.from_bytes(letter.message) == ticket.message
            assert ticket.settlement is not None
            assert ticket.settlement.reason == "refused: scripted refused"
            assert [event.message_id for event in router.heard(MessageDeadLettered)] == ["m1"]

    run(scenario())


def test_a_dead_letter_actor_gets_the_message_with_headers_that_say_why(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").decide = hopeless
            grave = router.target("grave")
            router.route("sink", dead_letter="grave")
            (ticket,) = await router.sent("bad")
            (buried,) = grave.done
            assert (buried.id, buried.data) == ("m1", "bad")
            assert buried.headers["dead-letter-reason"] == "refused"
            assert ticket.ended() == "dead_lettered"
            assert await router.letters() == []
            assert router.attempts_add_up("grave")

    run(scenario())


@pytest.mark.parametrize("answer", [Refuse(), Crash(), Hang()])
def test_a_dead_letter_actor_that_fails_is_replaced_by_the_store(run: Run, tmp_path: Path, answer: Answer) -> None:
    """It has the route's timeout, and one attempt."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").decide = hopeless
            grave = router.target("grave")
            grave.otherwise = answer
            router.route("sink", dead_letter="grave", timeout_s=10.0)
            (ticket,) = await router.sent("bad")
            await router.advance(10.0)
            assert ticket.ended() == "dead_lettered"
            assert await router.reasons() == {"refused": 1}
            assert router.outcomes() == {"dead_lettered": 1}
            grave.let_go()
            await router.settle()
            assert router.attempts_add_up("grave")
            assert len(await router.letters()) == 1

    run(scenario())


def test_a_dead_letter_actor_that_is_away_is_not_asked(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").decide = hopeless
            grave = router.target("grave")
            router.route("sink", dead_letter="grave")
            router.child("grave").unavailable("the cable is out")
            (ticket,) = await router.sent("bad")
            assert (ticket.ended() or "", grave.seen) == ("dead_lettered", [])
            assert len(await router.letters()) == 1

    run(scenario())


@pytest.mark.parametrize("durable", [False, True])
def test_a_message_ends_only_when_its_dead_letter_is_committed(run: Run, tmp_path: Path, durable: bool) -> None:
    """While the store fails the route takes nothing more; it goes on when there is space."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(Hang())
            sink.decide = None
            route = router.route("sink", durable=durable, capacity=2)
            (ticket,) = await router.sent("bad")
            await router.sent("waits")
            await router.commit_fails(True)
            sink.decide = hopeless
            router.child("sink").unavailable("gone")
            router.child("sink").available()
            await router.supervisor.restart("sink")
            await router.advance(5.0)
            assert ticket.ended() is None
            assert len(route.burial.pending) == 1
            assert len([notice for notice in router.heard(Notice) if notice.level == "error"]) == 1
            if not durable:
                await router.sent("one", "two")
                assert len(route.mailbox) == 2
                with pytest.raises(BackPressureError):
                    router.send("one too many")
            await router.commit_fails(False)
            await router.advance(2.0)
            assert ticket.ended() == "dead_lettered"
            assert len(await router.letters()) == 1
            assert "waits" in sink.done_data
            assert router.all_is_empty()

    run(scenario())


def test_the_journal_row_goes_in_the_transaction_of_the_dead_letter(run: Run, tmp_path: Path) -> None:
    """A kill finds the one or the other, never both and never neither."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").decide = hopeless
            router.route("sink", durable=True)
            await router.sent("bad")
            copy = await router.killed()
        async with system(copy) as router:
            assert len(await router.letters()) == 1
            assert router.journal.routes() == []

    run(scenario())


def test_a_message_that_no_case_fits_is_unroutable(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            router.route("sink", choose=lambda _: ())
            await router.sent("one")
            assert await router.reasons() == {"unroutable": 1}

    run(scenario())
