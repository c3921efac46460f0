"""What an actor has in hand is settled once, whether it is handled, refused, stopped or crashed on."""

import asyncio
from typing import Any

import pytest

from actors.core.actor import AsyncioActor
from actors.core.errors import ActorCrashedError, DeliveryError
from actors.core.hands import QUARANTINE
from actors.core.mailbox import Mailbox
from actors.core.message import Message
from tests.actors.core.answers import added_up, send, until
from tests.loop import Run


class Worker(AsyncioActor):
    """Works on each message until the test lets it go, or ends as its order says."""

    concurrency = 3

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Any] = []
        self.orders: dict[Any, asyncio.Future[Any]] = {}
        self.ends = 0

    async def on_receive(self, message: Any) -> Any:
        name = message.data if isinstance(message, Message) else message
        self.begun.append(name)
        order = self.orders[name] = asyncio.get_running_loop().create_future()
        return await order

    def on_stop(self) -> None:
        self.ends += 1


class Keeper:
    """Stands for a supervisor that keeps the mailbox."""

    def __init__(self) -> None:
        self.errors: list[Exception | None] = []

    def started(self, actor: Any) -> None: ...

    def ended(self, actor: Any, error: Exception | None) -> None:
        self.errors.append(error)


def employ(worker: AsyncioActor, mailbox: Mailbox | None = None) -> tuple[Mailbox, Keeper]:
    if mailbox is None:
        mailbox = Mailbox("worker", now=asyncio.get_running_loop().time)
    worker.adopt(mailbox)
    keeper = worker.observer = Keeper()
    worker._start_actor_loop()
    return mailbox, keeper


async def ended(actor: AsyncioActor) -> None:
    async with asyncio.timeout(5.0):
        await asyncio.wait([actor._task])


def waiting(mailbox: Mailbox) -> list[Any]:
    return [envelope.message for envelope in mailbox]


def test_no_more_than_concurrency_are_in_hand(run: Run) -> None:
    async def scenario() -> None:
        worker = Worker()
        mailbox, _ = employ(worker)
        answers = {name: send(mailbox, name) for name in "abcde"}
        await until(lambda: len(worker.begun) == 3)
        assert (len(mailbox.in_hand), len(mailbox)) == (3, 2)
        worker.orders["b"].set_result("done")
        assert await answers["b"].once() == "done"
        await until(lambda: worker.begun[3:] == ["d"])
        assert (len(mailbox.in_hand), len(mailbox), mailbox.handled) == (3, 1, 1)
        for name in "acde":
            await until(lambda name=name: name in worker.orders)  # type: ignore[misc]  # mypy does not infer defaults
            worker.orders[name].set_result(name)
            assert await answers[name].once() == name
        worker.stop()
        await ended(worker)
        assert mailbox.received == added_up(mailbox) == mailbox.handled == 5

    run(scenario())


def test_a_refusal_frees_its_place(run: Run) -> None:
    async def scenario() -> None:
        worker = Worker()
        worker.concurrency = 2
        mailbox, _ = employ(worker)
        answers = {name: send(mailbox, name) for name in "abc"}
        await until(lambda: len(worker.begun) == 2)
        worker.orders["a"].set_exception(DeliveryError("no", reason="overload"))
        assert (await answers["a"].once()).reason == "overload"
        await until(lambda: "c" in worker.orders)
        assert mailbox.failed == 1
        worker.stop()
        for name in "bc":
            worker.orders[name].set_result(None)
        await ended(worker)

    run(scenario())


def test_a_stop_waits_for_what_is_in_hand_and_takes_nothing_more(run: Run) -> None:
    async def scenario() -> None:
        worker = Worker()
        worker.concurrency = 2
        mailbox, keeper = employ(worker)
        answers = {name: send(mailbox, name) for name in "abc"}
        await until(lambda: len(worker.begun) == 2)
        worker.stop()
        worker.orders["a"].set_result("a")
        await answers["a"].once()
        assert worker.ends == 0
        worker.orders["b"].set_result("b")
        await ended(worker)
        assert await answers["b"].once() == "b"
        assert [envelope.message.data for envelope in mailbox] == ["c"]
        assert answers["c"].told == []
        assert (worker.ends, keeper.errors) == (1, [None])

    run(scenario())


def test_a_stop_is_obeyed_though_all_hands_are_full(run: Run) -> None:
    """Control messages come first also where the actor waits for one of its tasks."""

    async def scenario() -> None:
        worker = Worker()
        mailbox, _ = employ(worker)
        for name in "abcd":
            send(mailbox, name)
        await until(lambda: len(worker.begun) == 3)
        worker.stop()
        await until(lambda: not mailbox.control)
        assert len(mailbox) == 1
        for order in worker.orders.values():
            order.set_result(None)
        await ended(worker)
        assert worker.begun == ["a", "b", "c"]

    run(scenario())


def test_a_crash_tells_the_guilty_one_and_the_bystanders_once_each(run: Run) -> None:
    """The bystanders may have had their effect, and are not to blame: theirs is `unknown`."""

    async def scenario() -> None:
        worker = Worker()
        mailbox, keeper = employ(worker)
        answers = {name: send(mailbox, name) for name in "abcd"}
        await until(lambda: len(worker.begun) == 3)
        error = ValueError("poison")
        worker.orders["b"].set_exception(error)
        await ended(worker)
        crash = await answers["b"].once()
        assert isinstance(crash, ActorCrashedError)
        assert crash.__cause__ is error
        for name in "ac":
            unknown = await answers[name].once()
            assert isinstance(unknown, DeliveryError)
            assert unknown.reason == "unknown"
        assert answers["d"].told == []
        assert keeper.errors == [error]
        assert (mailbox.failed, len(mailbox.in_hand), len(mailbox)) == (3, 0, 1)
        assert mailbox.received == added_up(mailbox) == 4

    run(scenario())


def test_a_crash_while_a_stop_waits_for_the_others_is_a_crash(run: Run) -> None:
    async def scenario() -> None:
        worker = Worker()
        mailbox, keeper = employ(worker)
        answers = [send(mailbox, name) for name in "ab"]
        await until(lambda: len(worker.begun) == 2)
        worker.stop()
        await until(lambda: not mailbox.control)
        error = ValueError("late")
        worker.orders["a"].set_exception(error)
        await ended(worker)
        assert keeper.errors == [error]
        assert isinstance(await answers[0].once(), ActorCrashedError)
        assert (await answers[1].once()).reason == "unknown"

    run(scenario())


def test_a_handler_that_takes_its_cancellation_for_an_end_settles_its_message_once(run: Run) -> None:
    """What it returned or raised then comes before what the actor would say of it."""

    class Calm(Worker):
        async def on_receive(self, message: Any) -> Any:
            try:
                return await super().on_receive(message)
            except asyncio.CancelledError:
                if message.data == "refuse":
                    raise DeliveryError("closing") from None
                if message.data == "raise":
                    raise OSError("broken pipe") from None
                return "saved"

    async def scenario() -> None:
        worker = Calm()
        mailbox, _ = employ(worker)
        answers = {name: send(mailbox, name) for name in ("return", "refuse", "raise")}
        await until(lambda: len(worker.begun) == 3)
        worker._task.cancel()
        await ended(worker)
        assert await answers["return"].once() == "saved"
        assert str(await answers["refuse"].once()) == "closing"
        assert (await answers["raise"].once()).reason == "unknown"
        assert (mailbox.handled, mailbox.failed, len(mailbox.in_hand)) == (1, 2, 0)

    run(scenario())


def test_a_handler_that_is_cancelled_by_somebody_is_a_crash_and_leaks_no_place(run: Run) -> None:
    async def scenario() -> None:
        worker = Worker()
        mailbox, keeper = employ(worker)
        answer = send(mailbox, "a")
        await until(lambda: worker.begun)
        worker.orders["a"].cancel()
        await ended(worker)
        assert isinstance(await answer.once(), ActorCrashedError)
        assert isinstance(keeper.errors[0], RuntimeError)
        assert mailbox.received == added_up(mailbox) == mailbox.failed == 1

    run(scenario())


# Messages that nobody waits for


def test_a_told_message_that_was_in_hand_at_a_crash_comes_back_to_the_front_in_its_order(run: Run) -> None:
    async def scenario() -> None:
        worker = Worker()
        mailbox, _ = employ(worker)
        for name in "abcd":
            worker.actor_ref.tell(name)
        await until(lambda: len(worker.begun) == 3)
        answer = send(mailbox, "e")
        worker._crash(ValueError("behind the scenes"))
        await ended(worker)
        assert waiting(mailbox)[:4] == ["a", "b", "c", "d"]
        assert answer.told == []
        assert mailbox.failed == 0
        assert mailbox.received == added_up(mailbox) == 5

    run(scenario())


def test_a_told_message_that_an_actor_crashes_on_again_and_again_is_given_up(run: Run) -> None:
    class Fragile(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            raise ValueError(message)

    async def scenario() -> None:
        actor = Fragile()
        mailbox, _ = employ(actor)
        actor.actor_ref.tell("poison")
        await ended(actor)
        for survived in range(QUARANTINE):
            assert (waiting(mailbox), mailbox.failed) == (["poison"], 0), survived
            actor = Fragile()
            employ(actor, mailbox)
            await ended(actor)
        assert (len(mailbox), mailbox.failed) == (0, 1)
        assert mailbox.received == added_up(mailbox) == 1

    run(scenario())


def test_a_told_message_is_not_given_up_for_what_others_crash_on(run: Run) -> None:
    async def scenario() -> None:
        mailbox = Mailbox("worker", now=asyncio.get_running_loop().time)
        for incarnation in range(2 * QUARANTINE):
            worker = Worker()
            employ(worker, mailbox)
            if not incarnation:
                worker.actor_ref.tell("innocent")
            await until(lambda worker=worker: worker.begun)  # type: ignore[misc]  # mypy does not infer defaults
            worker._crash(ValueError())
            await ended(worker)
            assert waiting(mailbox) == ["innocent"]

    run(scenario())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_told_message_in_the_hand_of_an_actor_that_is_cancelled_is_kept(run: Run, concurrency: int) -> None:
    async def scenario() -> None:
        worker = Worker()
        worker.concurrency = concurrency
        mailbox, _ = employ(worker)
        worker.actor_ref.tell("a")
        await until(lambda: worker.begun)
        worker._task.cancel()
        await ended(worker)
        assert waiting(mailbox) == ["a"]
        assert mailbox.received == added_up(mailbox) == 1

    run(scenario())
