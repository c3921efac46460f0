"""Both stores of queues, taken through the same steps, are seen to be in the same state after each of them.

Time is moved by hand for both. What Redis itself has a clock for (locks, limiters, the time of a deduplication id)
does not expire here.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.clock import ManualClock
from actors.queues.contract import Completed, Consumer, Failed, Finish, JobNotFoundError, Order, Released, Retried
from actors.queues.job import STATES, Job, NewJob
from tests.queue_steps import (
    ALWAYS_MS,
    ORDERS,
    STEPS,
    Add,
    Clear,
    End,
    Of,
    Operate,
    Pass,
    Restart,
    Sketch,
    Stall,
    Step,
    Turn,
)
from tests.queues import Line, RedisPlace, SqlitePlace
from tests.servers import RedisServer

T = TypeVar("T")

EXAMPLES = "QUEUE_EXAMPLES"
"""With a number in this variable the stores are taken through so many runs, and others with each `--hypothesis-seed`;
a hundred take about 5 s."""
MOST = 1_000


@dataclass
class Side:
    """A queue in one of the stores, and those who work it."""

    line: Line
    consumers: list[Consumer] = field(default_factory=list)
    hands: dict[tuple[int, str], Job] = field(default_factory=dict)

    async def work(self, order: Order | None) -> None:
        options = {"order": order, "lock_ms": ALWAYS_MS, "stalled_interval_ms": ALWAYS_MS}
        self.consumers = [await self.line.consumer(name=f"w-{n}", **options) for n in range(2)]
        self.hands = {}

    async def forget_locks(self, jobs: Sequence[Job]) -> None:
        """As if their time were over."""
        place: Any = self.line.place
        if isinstance(place, SqlitePlace):
            for job in jobs:
                held = self.line.queue.claims.find(job.id)  # type: ignore[attr-defined]
                held.until = 0.0
        else:
            keys = self.line.queue.keys  # type: ignore[attr-defined]
            gone = [keys.stalled_check, *(keys.lock(job.id) for job in jobs)]
            await place.connection.execute("DEL", *gone)

    async def look(self) -> dict[str, list[Job]]:
        """All jobs, by their states; how far a store looks ahead to make keys is its own affair."""
        seen: dict[str, list[Job]] = {}
        for job in await self.line.queue.jobs(STATES, limit=MOST):
            seen.setdefault(str(job.state), []).append(job if job.parked else replace(job, key=None))
        return seen


class Pair:
    """The same queue in both stores."""

    def __init__(self, sides: Sequence[Side], clock: ManualClock) -> None:
        self._sides = sides
        self._clock = clock
        self._ids: list[str] = []
        self._hands: tuple[list[str], list[str]] = ([], [])

    async def begin(self, order: Order | None) -> None:
        for side in self._sides:
            await side.work(order)

    async def take(self, step: Step) -> None:
        match step:
            case Add(sketches):
                await self._add(sketches)
            case Turn(consumer, ends, want):
                hand = self._hands[consumer]
                chosen = {hand[at % len(hand)]: end for at, end in ends} if hand else {}
                for end in ("completed", "failed"):
                    # What ends in one millisecond is kept in no order.
                    for id in [id for id, each in chosen.items() if each == end][1:]:
                        del chosen[id]
                await self._turn(consumer, chosen, want)
            case Pass(ms):
                await self._clock.advance(ms / 1000)
            case Operate("pause"):
                await self._both(lambda side: side.line.queue.pause())
            case Operate("resume"):
                await self._both(lambda side: side.line.queue.resume())
            case Operate("retry all"):
                await self._both(lambda side: side.line.queue.retry())
            case Operate("promote all"):
                await self._both(lambda side: side.line.queue.promote())
            case Of(what, job):
                await self._to_one(what, job)
            case Clear(states):
                await self._both(lambda side: side.line.queue.clear(states))
            case Stall(consumer):
                await self._stall(consumer)
            case Restart(order):
                await self._restart(order)
        await self._agree()

    async def drain(self) -> None:
        """All that is left is worked, by one worker: in the same order, and to the end."""
        await self.take(Operate("resume"))
        for _ in range(MOST):
            await self.take(Operate("promote all"))
            for consumer in range(2):
                await self._turn(consumer, dict.fromkeys(self._hands[consumer][:1], "completed"), 1)
            counts = await self._both(lambda side: side.line.queue.counts())
            if counts.unfinished == 0:
                return
        raise AssertionError("there is no end to the jobs")

    async def _both(self, action: Callable[[Side], Awaitable[T]]) -> T:
        ours, theirs = [await action(side) for side in self._sides]
        assert _differences(ours, theirs) == []
        return ours

    async def _agree(self) -> None:
        await self._both(lambda side: side.line.queue.counts())
        await self._both(lambda side: side.look())

    async def _add(self, sketches: Sequence[Sketch]) -> None:
        now_ms = self._sides[0].line.now_ms
        jobs: list[NewJob] = []
        for sketch in sketches:
            # Not in the order in which names are sorted.
            id = f"j{len(self._ids) * 7 % 100:02}-{len(self._ids)}"
            if sketch.like is not None and self._ids:
                id = self._ids[sketch.like % len(self._ids)]
            else:
                self._ids.append(id)
            jobs.append(NewJob(id, "job", sketch.data, now_ms, sketch.options, key=sketch.key))
        await self._both(lambda side: side.line.submit(*jobs))

    async def _turn(self, consumer: int, ends: dict[str, End], want: int) -> None:
        async def turn(side: Side) -> tuple[list[str], list[Job]]:
            finished = [_finish(side.hands.pop((consumer, id)), end) for id, end in ends.items()]
            told = await side.line.turn(side.consumers[consumer], *finished, want=want)
            side.hands |= {(consumer, job.id): job for job in told.jobs}
            return sorted(told.lost), [replace(job, state=None, key=None) for job in told.jobs]

        await self._clock.advance(0.001)
        _, jobs = await self._both(turn)
        hand = [id for id in self._hands[consumer] if id not in ends]
        self._hands[consumer][:] = dict.fromkeys([*hand, *(job.id for job in jobs)])

    async def _to_one(self, what: str, number: int) -> None:
        if not self._ids:
            return
        id = self._ids[number % len(self._ids)]

        async def do(side: Side) -> object:
            queue = side.line.queue
            try:
                if what == "remove":
                    await queue.remove(id)
                    return "removed"
                return await (queue.retry([id]) if what == "retry" else queue.promote([id]))
            except JobNotFoundError:
                return "not found"

        await self._both(do)

    async def _stall(self, consumer: int) -> None:
        async def stall(side: Side) -> list[str]:
            other = side.consumers[1 - consumer]
            hand = self._hands[consumer]
            lost = await side.consumers[consumer].renew([side.hands[consumer, id] for id in hand])
            held = [side.hands[consumer, id] for id in hand if id not in lost]
            # BullMQ takes back what it finds without a lock for the second time.
            await side.forget_locks(())
            found = list(await other.look_for_stalled())
            await side.forget_locks(held)
            return sorted([*found, *await other.look_for_stalled()])

        await self._both(stall)

    async def _restart(self, order: Order | None) -> None:
        for hand in self._hands:
            hand.clear()
        for side in self._sides:
            await side.line.again()
        await self.begin(order)


def _differences(sqlite: Any, redis: Any, where: str = "") -> list[str]:
    """A line for each part that differs; of lists that have other jobs, which those are."""
    if isinstance(sqlite, Job) and isinstance(redis, Job) and sqlite.id == redis.id:
        parts = [(each.name, getattr(sqlite, each.name), getattr(redis, each.name)) for each in fields(Job)]
        where = f"{where} {sqlite.id}"
    elif isinstance(sqlite, dict) and sqlite.keys() == redis.keys():
        parts = [(name, sqlite[name], redis[name]) for name in sqlite]
    elif isinstance(sqlite, list | tuple) and [_brief(each) for each in sqlite] == [_brief(each) for each in redis]:
        parts = [("", *each) for each in zip(sqlite, redis, strict=True)]
    else:
        return [] if sqlite == redis else [f"{where}: {_brief(sqlite)} in SQLite, {_brief(redis)} in Redis"]
    return [line for name, ours, theirs in parts for line in _differences(ours, theirs, f"{where} {name}".strip())]


def _brief(value: object) -> object:
    match value:
        case Job():
            return value.id
        case list() | tuple():
            return [_brief(each) for each in value]
        case dict():
            return {name: _brief(each) for name, each in value.items()}
    return value


def _finish(job: Job, end: End) -> Finish:
    match end:
        case "completed" if job.doomed is None:
            return Completed(job, "[1]")
        case "completed" | "failed":
            return Failed(job, "no", "stack")
        case "retried":
            return Retried(job, 0, "no", "stack", '["a"]')
        case "retried later":
            return Retried(job, 6, "no", "stack")
        case "released":
            return Released(job)


def test_both_stores_agree_after_each_step(redis_server: RedisServer, tmp_path: Path) -> None:
    clock = ManualClock()
    places = (SqlitePlace(tmp_path / "queues.db", clock), RedisPlace(redis_server, tmp_path, clock.time))
    names = map("q-{}".format, count())
    most = int(os.environ.get(EXAMPLES, settings().max_examples))

    async def compare(order: Order | None, steps: Sequence[Step]) -> None:
        name = next(names)
        sides = [Side(Line(place, await place.queue(name))) for place in places]
        pair = Pair(sides, clock)
        await pair.begin(order)
        for step in steps:
            await pair.take(step)
        await pair.drain()
        for side in sides:
            await side.line.close()

    with asyncio.Runner() as runner:

        @settings(max_examples=most, database=None)
        @given(ORDERS, st.lists(STEPS, max_size=40))
        def agree(order: Order | None, steps: list[Step]) -> None:
            runner.run(compare(order, steps))

        try:
            for place in places:
                runner.run(place.start())
            agree()
        finally:
            for place in places:
                runner.run(place.stop())
