"""A worker hands jobs on as messages, and finishes them as those end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from actors.core.clock import ManualClock, settle
from actors.core.errors import BackPressureError, Reason, StoreAwayError
from actors.core.events import Events, Notice
from actors.core.message import Message, Outcome, Receipt, Reply, Settlement
from actors.queues.attempt import Attempt
from actors.queues.contract import Added, Consumer, ConsumerOptions, Finish, QueueStore, Turn
from actors.queues.handover import HOLD_S
from actors.queues.job import Backoff, Job, JobOptions, NewJob, State
from actors.queues.outage import Outage
from actors.queues.worker import QueueWorker
from tests.loop import Run
from tests.queues import SqlitePlace
from tests.stage import DELIVERED, KeepingOutlet

DEADLINE_S = 5.0
LOCK_MS = 30_000


class Outlet(KeepingOutlet):
    """Counts what was offered again, and settles what it rejects, as a router does."""

    again = 0

    def offer_again(self, message: Message, receipt: Receipt) -> None:
        self.again += 1
        self.offer(message, receipt)

    def reject(self, message: Message, receipt: Receipt | None, *, reason: Reason, error: str) -> None:
        super().reject(message, receipt, reason=reason, error=error)
        if receipt is not None:
            receipt.settle(Settlement("dead_lettered", f"{reason}: {error}"))


class Switched:
    """A consumer in front of the real one, whose way to its store can be cut."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.cut = False
        self.loses_answers = False
        self.turns = 0
        self.at_once = 0
        self.busy = False

    async def turn(self, finished: Sequence[Finish], want: int) -> Turn:
        assert not self.busy, "one exchange at a time"
        self.busy = True
        try:
            if self.cut:
                raise StoreAwayError("the wire is cut")
            turn = await self._consumer.turn(finished, want)
            self.turns += 1
            self.at_once = max(self.at_once, len(turn.jobs))
            return turn
        finally:
            self.busy = False

    async def wait(self, timeout_ms: int | None) -> None:
        if self.cut:
            raise StoreAwayError("the wire is cut")
        await self._consumer.wait(timeout_ms)

    async def renew(self, jobs: Any) -> Sequence[str]:
        if self.cut:
            raise StoreAwayError("the wire is cut")
        return await self._consumer.renew(jobs)

    async def look_for_stalled(self) -> Sequence[str]:
        return await self._consumer.look_for_stalled()

    async def close(self) -> None:
        await self._consumer.close()


class Wired:
    """A store whose consumers are `Switched`; all else is the store's own."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self.consumers: list[Switched] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def consumer(self, options: ConsumerOptions) -> Consumer:
        self.consumers.append(Switched(await self._store.consumer(options)))
        return self.consumers[-1]


@dataclass
class Works:
    """A queue in SQLite, and workers of it."""

    clock: ManualClock
    store: QueueStore
    outlet: Outlet = field(default_factory=Outlet)
    events: Events = field(default_factory=Events)
    notices: list[Notice] = field(default_factory=list)
    workers: list[QueueWorker] = field(default_factory=list)
    spawned: list[asyncio.Task[None]] = field(default_factory=list)
    wired: Wired | None = None

    def worker(self, *, concurrency: int = 1, outlet: Outlet | None = None, **options: Any) -> QueueWorker:
        given = ConsumerOptions(f"w{len(self.workers)}", f"w{len(self.workers)}", lock_ms=LOCK_MS)
        self.wired = Wired(self.store)
        made = QueueWorker(
            self.wired,
            replace(given, **options),
            source="inbound",
            concurrency=concurrency,
            outlet=outlet or self.outlet,
            clock=self.clock,
            events=self.events,
            outage=Outage("inbound", "q", self.events, unfinished=lambda: made.owed),
            random=lambda: 0.0,
        )
        self.workers.append(made)
        made.start(lambda work: self.spawned.append(asyncio.create_task(work)))
        return made

    async def add(self, *data: Any, **options: Any) -> list[str]:
        loop = asyncio.get_running_loop()
        told: list[asyncio.Future[Added | Exception]] = []
        for each in data:
            future: asyncio.Future[Added | Exception] = loop.create_future()
            told.append(future)
            given = JobOptions(**options)
            text = each if isinstance(each, str) else json.dumps(each)
            self.store.add(NewJob(f"j-{each}" if isinstance(each, int) else "", "n", text, 0, given), future.set_result)
        ids = []
        async with asyncio.timeout(DEADLINE_S):
            for future in told:
                added = await future
                assert isinstance(added, Added), added
                ids.append(added.id)
        return ids

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  # nothing to wait on but the loop itself
                await asyncio.sleep(0)

    async def offered(self, count: int) -> list[Message]:
        await self.until(lambda: len(self.outlet.messages) >= count)
        return self.outlet.messages

    async def idle(self, worker: QueueWorker) -> None:
        """Until it owes nothing."""
        await self.until(lambda: not worker.owed)

    def receipt(self, number: int = -1) -> Attempt:
        receipt = self.outlet.receipts[number]
        assert isinstance(receipt, Attempt)
        return receipt

    async def job(self, id: str) -> Job:
        job = await self.store.job(id)
        assert job is not None
        return job

    async def states(self) -> dict[str, State | None]:
        states: tuple[State, ...] = ("waiting", "delayed", "active", "completed", "failed")
        return {job.id: job.state for job in await self.store.jobs(states)}


async def has_come(outlet: Outlet) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not outlet.messages:  # noqa: ASYNC110  # as `until`
            await asyncio.sleep(0)


@asynccontextmanager
async def works(directory: Path) -> AsyncIterator[Works]:
    place = SqlitePlace(directory / "queues.db")
    await place.start()
    try:
        made = Works(place.clock, await place.queue("q"))
        made.events.subscribe(Notice, made.notices.append)
        yield made
        for worker in made.workers:
            await worker.close()
        done, left = await asyncio.wait(made.spawned, timeout=DEADLINE_S) if made.spawned else (set(), set())
        assert not left
        for task in done:
            task.result()
    finally:
        await place.stop()


def test_a_job_is_a_message_and_completed_when_that_is_delivered(run: Run, tmp_path: Path) -> None:
    """What the target replied is its return value."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = Settlement("delivered", reply=Reply({"ok": True}, status=201))
            worker = it.worker()
            (id_,) = await it.add({"to": "ñ"})
            (message,) = await it.offered(1)
            assert (message.id, message.source, message.type, message.data) == (id_, "inbound", "n", {"to": "ñ"})
            await it.idle(worker)
            job = await it.job(id_)
            assert (job.state, job.return_value, job.attempts_made) == ("completed", '{"ok":true}', 1)
            assert worker.finished["completed"] == 1

    run(main())


@pytest.mark.parametrize("outcome", ["filtered", "deduplicated", "merged", "dropped", "expired"])
def test_whatever_else_ends_well_completes_it_too(run: Run, tmp_path: Path, outcome: Outcome) -> None:
    """The return value says how it ended."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = Settlement(outcome, "so" if outcome == "dropped" else None)
            worker = it.worker()
            (id_,) = await it.add(1)
            await it.offered(1)
            await it.idle(worker)
            job = await it.job(id_)
            told = {"outcome": outcome, "reason": "so"} if outcome == "dropped" else {"outcome": outcome}
            assert (job.state, json.loads(job.return_value or "")) == ("completed", told)

    run(main())


def test_a_dead_letter_is_a_failed_job(run: Run, tmp_path: Path) -> None:
    """With the reason, a stack for BullMQ's tools, and a line in its log."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = Settlement("dead_lettered", "refused: 404")
            worker = it.worker()
            (id_,) = await it.add(1, attempts=1)
            await it.offered(1)
            await it.idle(worker)
            await settle()
            job = await it.job(id_)
            assert (job.state, job.failed_reason) == ("failed", "refused: 404")
            assert job.stacktrace == ("refused: 404\n    at attempt 1 of 1",)
            async with asyncio.timeout(DEADLINE_S):
                while not (lines := await it.store.logs(id_)):  # noqa: ASYNC110  # as `until`
                    await asyncio.sleep(0)
            assert lines == ["2023-11-14T22:13:20.000+00:00 attempt 1 of 1 failed: refused: 404"]
            assert worker.finished["failed"] == 1

    run(main())


def test_a_returned_message_is_tried_again_as_the_job_says(run: Run, tmp_path: Path) -> None:
    """After its own backoff, and not before the remote end wants it; what had ended well is known to the next."""

    async def main() -> None:
        async with works(tmp_path) as it:
            worker = it.worker()
            (id_,) = await it.add(1, attempts=3, backoff=Backoff("exponential", 1000))
            await it.offered(1)
            redelivery = it.receipt().redelivery
            assert (redelivery.attempt, redelivery.attempts, redelivery.is_last) == (1, 3, False)
            redelivery.record("notify", (0, "a"))
            it.receipt().settle(Settlement("returned", "refused: 500"))
            await it.idle(worker)
            assert (await it.job(id_)).state == "delayed"
            await it.clock.advance(0.99)
            assert len(it.outlet.messages) == 1
            await it.clock.advance(0.02)
            await it.offered(2)
            assert it.outlet.again == 1
            redelivery = it.receipt().redelivery
            assert (redelivery.attempt, redelivery.done_on("notify")) == (2, frozenset({(0, "a")}))
            it.receipt().settle(Settlement("returned", "overload: 503", retry_after_s=60))
            await it.idle(worker)
            await it.clock.advance(59)
            assert len(it.outlet.messages) == 2
            await it.clock.advance(1.1)
            await it.offered(3)
            assert it.receipt().redelivery.is_last
            it.receipt().settle(DELIVERED)
            await it.idle(worker)
            assert (await it.job(id_)).state == "completed"
            assert worker.finished == {"completed": 1, "failed": 0, "retried": 2, "released": 0, "lost": 0}

    run(main())


def test_without_a_backoff_it_is_tried_again_at_once(run: Run, tmp_path: Path) -> None:
    """As BullMQ does: jobs that others add say so by saying nothing."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.worker()
            await it.add(1, attempts=2)
            await it.offered(1)
            it.receipt().settle(Settlement("returned", "no"))
            await it.clock.advance(0.1)
            await it.offered(2)

    run(main())


def test_no_more_than_its_concurrency_is_in_hand(run: Run, tmp_path: Path) -> None:
    """What ends makes room, in one exchange for all that has ended."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(*range(20))
            worker = it.worker(concurrency=5)
            await it.offered(5)
            await settle()
            assert (len(it.outlet.messages), worker.owed) == (5, 5)
            assert it.wired is not None
            (consumer,) = it.wired.consumers
            before = consumer.turns
            for receipt in tuple(it.outlet.receipts):
                assert receipt is not None
                receipt.settle(DELIVERED)
            await it.offered(10)
            await settle()
            assert (worker.owed, worker.finished["completed"]) == (5, 5)
            assert consumer.turns == before + 1

    run(main())


def test_a_backlog_is_worked_off_in_as_many_exchanges_as_it_has_batches(run: Run, tmp_path: Path) -> None:
    """Completions and the next jobs travel together."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = DELIVERED
            await it.add(*range(200))
            worker = it.worker(concurrency=50)
            await it.until(lambda: worker.finished["completed"] == 200)
            assert it.wired is not None
            assert it.wired.consumers[0].turns <= 6
            assert it.wired.consumers[0].at_once == 50
            assert [message.data for message in it.outlet.messages] == list(range(200))

    run(main())


def test_nothing_is_claimed_without_room(run: Run, tmp_path: Path) -> None:
    """Jobs stay where others may have them."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.has_room.clear()
            await it.add(1)
            it.worker()
            await it.clock.advance(60)
            assert await it.states() == {"j-1": "waiting"}
            it.outlet.has_room.set()
            await it.offered(1)

    run(main())


def test_nothing_is_claimed_when_its_last_route_is_gone(run: Run, tmp_path: Path) -> None:
    """Though there was one, and there is room: without a route it would become a dead letter."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = DELIVERED
            worker = it.worker()
            await it.add(1)
            await it.offered(1)
            await it.idle(worker)
            it.outlet.routed = False
            it.outlet.has_room.clear()
            await it.add(2)
            await it.clock.advance(5)
            assert (await it.states())["j-2"] == "waiting"
            it.outlet.routed = True
            it.outlet.has_room.set()
            await it.offered(2)

    run(main())


def test_a_claimed_job_waits_for_room_for_a_while(run: Run, tmp_path: Path) -> None:
    """Then it goes back to where it came from, in its order, and no attempt is counted."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1, 2, 3)
            it.outlet.has_room.set()
            it.outlet.refusal = BackPressureError("full", route="notify")
            worker = it.worker(concurrency=2)
            await it.until(lambda: worker.owed == 2)
            it.outlet.has_room.clear()
            await settle()
            await it.clock.advance(HOLD_S + 0.1)
            await it.idle(worker)
            assert worker.finished["released"] == 2
            it.outlet.refusal = None
            it.outlet.has_room.set()
            messages = await it.offered(2)
            assert [message.data for message in messages] == [1, 2]
            assert it.receipt(0).redelivery.attempt == 1

    run(main())


def test_a_claimed_job_is_offered_as_soon_as_there_is_room(run: Run, tmp_path: Path) -> None:
    """In their order."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1, 2)
            it.outlet.refusal = BackPressureError("full", route="notify")
            worker = it.worker(concurrency=2)
            it.outlet.settlement = DELIVERED
            await it.until(lambda: worker.owed == 2)
            it.outlet.refusal = None
            await it.offered(2)
            assert [message.data for message in it.outlet.messages] == [1, 2]
            await it.idle(worker)
            assert worker.finished["completed"] == 2

    run(main())


def test_what_a_route_gives_back_is_offered_again_a_little_later(run: Run, tmp_path: Path) -> None:
    """It was not worked, so that no attempt is counted."""

    async def main() -> None:
        async with works(tmp_path) as it:
            worker = it.worker()
            (id_,) = await it.add(1)
            await it.offered(1)
            it.receipt().refuse(BackPressureError("stopped", route="notify", retry_after_s=3))
            await it.idle(worker)
            await it.clock.advance(2.9)
            assert (await it.states(), len(it.outlet.messages)) == ({id_: "waiting"}, 1)
            await it.clock.advance(0.2)
            await it.offered(2)
            assert it.receipt().redelivery.attempt == 1
            assert it.outlet.again == 0

    run(main())


@pytest.mark.parametrize("data", ["{", "NaN"])
def test_what_does_not_decode_is_a_dead_letter(run: Run, tmp_path: Path, data: str) -> None:
    """And a failed job; those behind it are worked."""

    async def main() -> None:
        async with works(tmp_path) as it:
            it.outlet.settlement = DELIVERED
            worker = it.worker()
            (broken,) = await it.add(data, attempts=5)
            await it.add(1)
            await it.offered(1)
            await it.idle(worker)
            ((message, reason, _),) = it.outlet.rejected
            assert (message.id, message.data, reason) == (broken, data, "undecodable")
            assert (await it.job(broken)).state == "failed"

    run(main())


def test_locks_are_renewed_while_jobs_are_in_hand(run: Run, tmp_path: Path) -> None:
    """However long that is: nobody else gets them."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1)
            worker = it.worker()
            await it.offered(1)
            other = it.worker(outlet=Outlet())
            await it.clock.advance(LOCK_MS / 1000 * 5)
            assert (worker.owed, other.owed) == (1, 0)
            it.receipt().settle(DELIVERED)
            await it.idle(worker)
            assert worker.finished["completed"] == 1

    run(main())


def test_a_job_whose_lock_was_lost_is_not_finished(run: Run, tmp_path: Path) -> None:
    """Somebody else works it by then: it is counted, and told."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1)
            worker = it.worker()
            await it.offered(1)
            assert it.wired is not None
            it.wired.consumers[0].cut = True
            theirs = Outlet()
            other = it.worker(outlet=theirs, stalled_interval_ms=1000)
            await it.clock.advance(LOCK_MS / 1000 * 3)
            await it.until(lambda: theirs.messages)
            it.receipt().settle(DELIVERED)
            first = worker
            assert first.finished["completed"] == 0
            it.workers[0]._store.consumers[0].cut = False  # type: ignore[attr-defined]  # it is a `Wired`
            await it.clock.advance(60)
            await it.idle(first)
            assert (first.finished["lost"], first.finished["completed"]) == (1, 0)
            assert any("taken away" in notice.text for notice in it.notices)
            receipt = theirs.receipt
            receipt.settle(DELIVERED)
            await it.idle(other)
            assert other.finished["completed"] == 1

    run(main())


def test_while_the_store_is_away_what_has_ended_is_kept_and_told_later(run: Run, tmp_path: Path) -> None:
    """It says so once, and once that it is over."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1, 2, 3)
            worker = it.worker(concurrency=2)
            await it.offered(2)
            assert it.wired is not None
            (consumer,) = it.wired.consumers
            consumer.cut = True
            it.receipt(0).settle(DELIVERED)
            await settle()
            it.receipt(1).settle(DELIVERED)
            await it.clock.advance(10)
            assert worker.owed == 2
            consumer.cut = False
            await it.clock.advance(10)
            await it.offered(3)
            await it.until(lambda: worker.finished["completed"] == 2)
            assert [notice.level for notice in it.notices] == ["warning", "info"]

    run(main())


def test_a_drained_worker_claims_nothing_and_finishes_what_it_has(run: Run, tmp_path: Path) -> None:
    """What it has in hand is owed until the store has heard of it."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1, 2)
            worker = it.worker()
            await it.offered(1)
            worker.drain()
            worker.drain()
            assert worker.owed == 1
            it.receipt().settle(DELIVERED)
            await it.idle(worker)
            await it.clock.advance(60)
            assert await it.states() == {"j-1": "completed", "j-2": "waiting"}

    run(main())


def test_a_closed_worker_gives_back_what_it_has(run: Run, tmp_path: Path) -> None:
    """In the order in which it came; what ends then is nobody's."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1, 2, 3)
            worker = it.worker(concurrency=2)
            await it.offered(2)
            await worker.close()
            it.receipt(0).settle(DELIVERED)
            assert set((await it.states()).values()) == {"waiting"}
            theirs = Outlet(settlement=DELIVERED)
            it.worker(outlet=theirs)
            await it.until(lambda: len(theirs.messages) == 3)
            assert [message.data for message in theirs.messages] == [1, 2, 3]

    run(main())


def test_a_job_that_stalled_too_often_is_a_dead_letter(run: Run, tmp_path: Path) -> None:
    """It may be what kills its workers."""

    async def main() -> None:
        async with works(tmp_path) as it:
            await it.add(1)
            theirs = [Outlet(), Outlet()]
            for outlet in theirs:
                it.worker(outlet=outlet, stalled_interval_ms=1000)
                await has_come(outlet)
                assert it.wired is not None
                it.wired.consumers[0].cut = True
                await it.clock.advance(LOCK_MS / 1000 * 2)
            worker = it.worker(stalled_interval_ms=1000)
            await it.clock.advance(LOCK_MS / 1000 * 3)
            await it.until(lambda: it.outlet.rejected)
            await it.until(lambda: worker.finished["failed"] == 1)
            ((message, reason, _),) = it.outlet.rejected
            assert (message.data, reason) == (1, "quarantined")
            assert (await it.job("j-1")).state == "failed"
            for each in it.workers[:2]:
                each._store.consumers[0].cut = False  # type: ignore[attr-defined]  # it is a `Wired`
            await it.clock.advance(60)

    run(main())
