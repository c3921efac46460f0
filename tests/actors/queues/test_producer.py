"""A producer adds to the store, or beside it, and lets nothing overtake what came before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.core.actor import AsyncioActor
from actors.core.deferred import Deferred
from actors.core.errors import DeliveryError, StorageError, StoreAwayError
from actors.core.message import Message, Receipt, Settlement
from actors.queues.contract import Added, Done
from actors.queues.job import JobOptions, NewJob
from actors.queues.producer import Producer
from tests.actors.queues.test_spill import Reservoir, reservoir
from tests.loop import Run
from tests.stage import KeepingOutlet

DEADLINE_S = 5.0


class Slow:
    """A store that says what became of a job when the test tells it to."""

    def __init__(self) -> None:
        self.asked: list[tuple[NewJob, Done]] = []

    def add(self, job: NewJob, done: Done) -> None:
        self.asked.append((job, done))

    def answer(self, number: int, error: StorageError | None = None) -> None:
        job, done = self.asked[number]
        done(Added(job.id) if error is None else error)


class Adds(AsyncioActor):
    """Hands what it gets to a producer, as the endpoint does."""

    defers = True
    concurrency = 100

    def __init__(self, producer: Producer) -> None:
        super().__init__()
        self._producer = producer

    def on_receive(self, message: Message) -> Deferred:
        return self._producer.adding(message, "n", 0, JobOptions(), None)


@dataclass
class Bench:
    reservoir: Reservoir
    store: Slow
    producer: Producer
    actor: Any
    outlet: KeepingOutlet
    asked: list[Any] = field(default_factory=list)

    async def send(self, *numbers: int) -> None:
        for number in numbers:
            self.asked.append(self.actor.ask(Message(f"m-{number}", "in", number), block=False))
        while len(self.actor.actor_inbox.in_hand) < len(self.asked) - len(self.ended()):  # noqa: ASYNC110
            await asyncio.sleep(0)

    def ended(self) -> list[Any]:
        return [asked for asked in self.asked if asked._future.done()]

    async def result(self, number: int) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            return await self.asked[number]

    async def spilled(self) -> list[int]:
        """What is in the spill, in its order."""
        database = self.reservoir.spills._database
        rows = await database.read(lambda db: db.execute("SELECT job FROM queue_spill ORDER BY row").fetchall())
        jobs = [self.reservoir.spill._jobs.validate_json(row[0]) for row in rows]
        return [int(job.data) for job in jobs]


@asynccontextmanager
async def bench(directory: Path) -> AsyncIterator[Bench]:
    async with reservoir(directory) as reserve:
        store, outlet = Slow(), KeepingOutlet()
        producer = Producer("inbound", store, outlet)  # type: ignore[arg-type]  # as much of one as it needs
        producer.spill, producer.spills = reserve.spill, True
        actor = Adds.start(producer)
        try:
            yield Bench(reserve, store, producer, actor, outlet)
        finally:
            actor.stop(block=False)
            await asyncio.sleep(0)


def test_what_comes_when_the_store_is_gone_waits_for_what_is_under_way(run: Run, tmp_path: Path) -> None:
    """That may fail later, and goes before it."""

    async def main() -> None:
        async with bench(tmp_path) as it:
            await it.send(0, 1, 2)
            it.producer.away = "gone"
            await it.send(3)
            it.store.answer(0)
            it.store.answer(1, StoreAwayError("gone"))
            it.producer.away = None
            await it.send(4)
            it.store.answer(2, StoreAwayError("gone"))
            for number in range(5):
                await it.result(number)
            assert await it.spilled() == [1, 2, 3, 4]
            assert it.producer.added == 5
            assert len(it.store.asked) == 3

    run(main())


def test_while_anything_is_spilled_new_jobs_join_it(run: Run, tmp_path: Path) -> None:
    """Though the store is there again."""

    async def main() -> None:
        async with bench(tmp_path) as it:
            it.producer.away = "gone"
            await it.send(0)
            await it.result(0)
            it.producer.away = None
            await it.send(1)
            await it.result(1)
            assert (await it.spilled(), it.store.asked) == ([0, 1], [])

    run(main())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreAwayError("gone"), "connect"),
        (StorageError("no memory", full=True), "overload"),
        (StorageError("not this one"), "refused"),
    ],
)
def test_what_the_store_says_is_what_the_route_is_told(
    run: Run, tmp_path: Path, error: StorageError, reason: str
) -> None:
    """Each can be tried again."""

    async def main() -> None:
        async with bench(tmp_path) as it:
            it.producer.spills = False
            await it.send(0)
            it.store.answer(0, error)
            with pytest.raises(DeliveryError) as refused:
                await it.result(0)
            assert (refused.value.reason, refused.value.retryable) == (reason, True)

    run(main())


def test_without_spilling_a_store_that_is_known_to_be_gone_is_not_asked(run: Run, tmp_path: Path) -> None:
    """Even where something is spilled from another time."""

    async def main() -> None:
        async with bench(tmp_path) as it:
            it.producer.away = "gone"
            await it.send(0)
            await it.result(0)
            it.producer.spills = False
            await it.send(1)
            with pytest.raises(DeliveryError, match="gone"):
                await it.result(1)
            assert (await it.spilled(), it.store.asked) == ([0], [])

    run(main())


def test_a_spilled_job_that_is_given_up_is_a_dead_letter(run: Run, tmp_path: Path) -> None:
    """Kept before it is forgotten."""

    class Settling(KeepingOutlet):
        def reject(self, message: Message, receipt: Receipt | None, **why: Any) -> None:
            super().reject(message, receipt, **why)
            assert receipt is not None
            receipt.settle(Settlement("dead_lettered"))

    async def main() -> None:
        outlet = Settling()
        producer = Producer("inbound", Slow(), outlet)  # type: ignore[arg-type]  # as much of one as it needs
        kept: list[Exception | None] = []
        job = NewJob("pm-1", "n", '{"a":1}', 5000, envelope='{"id":"m-1","type":"t","time":1.0}')
        producer.give_up(job, StorageError("never"), kept.append)
        ((message, reason, error),) = outlet.rejected
        assert (message.id, message.source, message.data) == ("m-1", "inbound", {"a": 1})
        assert (reason, error, kept) == ("refused", "never", [None])

    run(main())
