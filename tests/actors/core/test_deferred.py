"""Answers that come after the handler has returned."""

import asyncio
from typing import Any

import pytest

from actors.core.actor import AsyncioActor
from actors.core.clock import settle
from actors.core.deferred import Deferred
from actors.core.envelope import Envelope
from actors.core.errors import ActorCrashedError, DeliveryError
from actors.core.message import Message
from tests.loop import Run
from tests.stage import Played


class Later(AsyncioActor):
    """Answers when the test says so."""

    defers = True

    def __init__(self, concurrency: int = 3) -> None:
        super().__init__()
        self.concurrency = concurrency
        self.open: list[tuple[str, Deferred]] = []

    def on_receive(self, message: Message) -> Any:
        match message.data:
            case "at once":
                return "now"
            case "early":
                deferred = Deferred()
                deferred.answer("early")
                return deferred
            case "early refusal":
                deferred = Deferred()
                deferred.fail(DeliveryError("no"))
                return deferred
            case "crash":
                raise ZeroDivisionError("a driver failed")
            case "refuse":
                raise DeliveryError("not this one")
        deferred = Deferred()
        self.open.append((message.id, deferred))
        return deferred


def started(concurrency: int = 3) -> tuple[Later, Played]:
    actor = Later(concurrency)
    played = Played(actor)
    actor.observer = played
    actor._start_actor_loop()
    return actor, played


def ask(actor: Later, number: int, data: str = "") -> Any:
    return actor.actor_ref.ask(Message(str(number), "it", data), block=False)


def test_many_are_in_hand_and_each_is_answered_by_itself(run: Run) -> None:
    """In whatever order, and without a task for any of them."""

    async def main() -> None:
        actor, played = started()
        replies = [ask(actor, number) for number in range(3)]
        await settle()
        assert len(actor.actor_inbox.in_hand) == 3
        assert not actor._owned
        for number in (2, 0, 1):
            actor.open[number][1].answer(f"reply {number}")
            assert await replies[number] == f"reply {number}"
        assert not actor.actor_inbox.in_hand
        assert actor.actor_inbox.handled == 3
        await played.stop()

    run(main())


def test_no_more_than_concurrency_are_taken_on(run: Run) -> None:
    """The next one begins when an answer has come."""

    async def main() -> None:
        actor, played = started(concurrency=2)
        replies = [ask(actor, number) for number in range(4)]
        await settle()
        assert [id_ for id_, _ in actor.open] == ["0", "1"]
        actor.open[1][1].answer()
        await settle()
        assert [id_ for id_, _ in actor.open] == ["0", "1", "2"]
        for _, deferred in tuple(actor.open):
            deferred.answer()
        await settle()
        actor.open[-1][1].answer()
        await asyncio.gather(*replies)
        await played.stop()

    run(main())


def test_with_concurrency_one_there_is_one_at_a_time(run: Run) -> None:
    """Also where its answer comes later."""

    async def main() -> None:
        actor, played = started(concurrency=1)
        replies = [ask(actor, number) for number in range(2)]
        await settle()
        assert len(actor.open) == 1
        actor.open[0][1].answer("first")
        assert await replies[0] == "first"
        await settle()
        actor.open[1][1].answer("second")
        assert await replies[1] == "second"
        await played.stop()

    run(main())


def test_a_failed_attempt_goes_to_the_sender_and_the_actor_goes_on(run: Run) -> None:
    """Whether it is raised or comes later; an answer that is there already counts as well."""

    async def main() -> None:
        actor, played = started()
        reply = ask(actor, 1)
        await settle()
        actor.open[0][1].fail(DeliveryError("too late"))
        with pytest.raises(DeliveryError, match="too late"):
            await reply
        with pytest.raises(DeliveryError, match="not this one"):
            await ask(actor, 2, "refuse")
        with pytest.raises(DeliveryError, match="no"):
            await ask(actor, 3, "early refusal")
        assert await ask(actor, 4, "at once") == "now"
        assert await ask(actor, 5, "early") == "early"
        assert (actor.actor_inbox.handled, actor.actor_inbox.failed) == (2, 3)
        await played.stop()

    run(main())


def test_only_the_first_answer_counts(run: Run) -> None:
    """What a driver says a second time is nobody's any more."""

    async def main() -> None:
        actor, played = started()
        reply = ask(actor, 1)
        await settle()
        deferred = actor.open[0][1]
        deferred.answer("first")
        deferred.answer("second")
        deferred.fail(DeliveryError("third"))
        assert await reply == "first"
        assert (actor.actor_inbox.handled, actor.actor_inbox.failed) == (1, 0)
        await played.stop()

    run(main())


def test_a_crash_is_blamed_on_the_message_that_was_handled(run: Run) -> None:
    """What else was in hand has an unknown end, and its late answer is nobody's."""

    async def main() -> None:
        actor, played = started()
        waiting, crashing = ask(actor, 1), ask(actor, 2, "crash")
        with pytest.raises(ActorCrashedError, match="a driver failed"):
            await crashing
        with pytest.raises(DeliveryError) as error:
            await waiting
        assert error.value.reason == "unknown"
        await played.over.wait()
        actor.open[0][1].answer("late")
        assert isinstance(played.error, ZeroDivisionError)

    run(main())


def test_a_stopping_actor_waits_for_its_answers(run: Run) -> None:
    """As it does for its tasks: what it has in hand ends first."""

    async def main() -> None:
        actor, played = started()
        reply = ask(actor, 1)
        await settle()
        stopped = actor.actor_ref.stop(block=False)
        await settle()
        assert not played.over.is_set()
        actor.open[0][1].answer("done")
        assert await reply == "done"
        await stopped
        await played.over.wait()

    run(main())


def test_its_sender_is_known_when_the_handler_has_returned(run: Run) -> None:
    """That is a route; whoever asks has no name."""

    class Sent(Envelope):
        __slots__ = ()

        @property
        def sender(self) -> str:
            return "r"

    async def scenario() -> None:
        actor, played = started()
        deferred = Deferred()
        assert deferred.sender == ""
        actor.actor_inbox.offer(Sent(Message("1", "it", "")))
        asked = ask(actor, 2)
        await settle()
        assert [deferred.sender for _, deferred in actor.open] == ["r", ""]
        for _, deferred in actor.open:
            deferred.answer()
        await asked
        await played.stop()

    run(scenario())
