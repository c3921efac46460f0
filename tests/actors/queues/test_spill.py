"""What is spilled is there after a crash, and goes to its store in its order when that is back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.clock import ManualClock, settle
from actors.core.errors import StorageError, StoreAwayError
from actors.core.events import Events, Notice
from actors.kit.database import Database
from actors.queues import spill as spill_module
from actors.queues.contract import Added, Done, QueueStore
from actors.queues.job import Backoff, JobOptions, NewJob
from actors.queues.spill import AT_A_TIME, TRIES, Spill, Spills
from tests.loop import Run
from tests.queues import SqlitePlace

DEADLINE_S = 5.0
KEY = "redis/bull:q"


class SwitchedStore:
    """A queue whose store can be away, full, or against some jobs; all else is the real one's."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self.is_away = True
        self.is_full = False
        self.loses_answers = False
        self.refuses: set[str] = set()
        self.watchers: list[tuple[Callable[[], None], Callable[[str], None]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def watch(self, available: Callable[[], None], unavailable: Callable[[str], None]) -> Callable[[], None]:
        watcher = (available, unavailable)
        self.watchers.append(watcher)
        if self.is_away:
            unavailable("switched off")
        else:
            available()
        return lambda: self.watchers.remove(watcher)

    def switch(self, *, on: bool) -> None:
        self.is_away = not on
        for available, unavailable in tuple(self.watchers):
            if on:
                available()
            else:
                unavailable("switched off")

    def add(self, job: NewJob, done: Done) -> None:
        soon = asyncio.get_running_loop().call_soon
        if self.is_away:
            soon(done, StoreAwayError("switched off"))
        elif self.is_full:
            soon(done, StorageError("no memory", full=True))
        elif job.id in self.refuses:
            soon(done, StorageError("not this one"))
        elif self.loses_answers:
            self._store.add(job, lambda _: done(StoreAwayError("the answer got lost")))
        else:
            self._store.add(job, done)


@dataclass
class Reservoir:
    """A spill in one database, and its store in another."""

    clock: ManualClock
    spills: Spills
    spill: Spill
    store: SwitchedStore
    notices: list[Notice]
    given_up: list[str] = field(default_factory=list)

    def attach(self) -> Callable[[], None]:
        return self.spill.attach(self.store, self._give_up)

    def _give_up(self, job: NewJob, error: Exception, kept: Callable[[Exception | None], None]) -> None:
        self.given_up.append(job.id)
        kept(None)

    async def add(self, *ids: str, spill: Spill | None = None) -> None:
        told: list[asyncio.Future[Added | Exception]] = []
        for id_ in ids:
            future: asyncio.Future[Added | Exception] = asyncio.get_running_loop().create_future()
            told.append(future)
            (spill or self.spill).add(job(id_), future.set_result)
        async with asyncio.timeout(DEADLINE_S):
            assert [await future for future in told] == [Added(id_) for id_ in ids]

    async def empty(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.spill.count:
                await self.clock.advance(1)

    async def ids(self) -> list[str]:
        return [job.id for job in await self.store.jobs(["waiting"], limit=10_000)]


def job(id: str) -> NewJob:
    options = JobOptions(attempts=3, backoff=Backoff("fixed", 10), others={"a": [1]})
    return NewJob(id, "n", f'"{id}"', 1, options, '{"ñ":1}', "k")


@asynccontextmanager
async def reservoir(directory: Path) -> AsyncIterator[Reservoir]:
    place = SqlitePlace(directory / "store.db")
    await place.start()
    database = Database(directory / "router.db", schema=[spill_module.TABLE])
    await database.open()
    events = Events()
    notices: list[Notice] = []
    events.subscribe(Notice, notices.append)
    spills = Spills(database, clock=place.clock, events=events)
    try:
        store = SwitchedStore(await place.queue("q"))
        yield Reservoir(place.clock, spills, await spills.of(KEY), store, notices)
    finally:
        await spills.close()
        await database.close()
        await place.stop()


def test_what_is_spilled_moves_in_its_order_when_the_store_is_back(run: Run, tmp_path: Path) -> None:
    """As it was, all of it, in as many pieces as that takes."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            it.attach()
            ids = [f"j-{number}" for number in range(AT_A_TIME * 2 + 5)]
            await it.add(*ids)
            await it.clock.advance(30)
            assert (it.spill.count, await it.ids()) == (len(ids), [])
            assert [notice.level for notice in it.notices] == ["warning"]
            it.store.switch(on=True)
            await it.empty()
            assert [notice.level for notice in it.notices] == ["warning", "info"]
            assert await it.ids() == ids
            moved = await it.store.job("j-7")
            assert moved is not None
            assert (moved.name, moved.data, moved.timestamp_ms, moved.envelope) == ("n", '"j-7"', 1, '{"ñ":1}')
            assert (moved.options.attempts, moved.options.backoff) == (3, Backoff("fixed", 10))

    run(main())


def test_it_is_there_after_a_restart(run: Run, tmp_path: Path) -> None:
    """And moves then, before anybody has added anything."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            await it.add("a", "b")
        async with reservoir(tmp_path) as it:
            assert it.spill.count == 2
            it.attach()
            it.store.switch(on=True)
            await it.empty()
            assert await it.ids() == ["a", "b"]
        async with reservoir(tmp_path) as it:
            assert it.spill.count == 0

    run(main())


def test_queues_spill_apart(run: Run, tmp_path: Path) -> None:
    """Each into its own, whoever asks for it."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            other = await it.spills.of("redis/bull:other")
            assert await it.spills.of(KEY) is it.spill
            await it.add("a")
            await it.add("b", spill=other)
            assert (it.spill.count, other.count) == (1, 1)
            it.attach()
            it.store.switch(on=True)
            await it.empty()
            assert (await it.ids(), other.count) == (["a"], 1)

    run(main())


def test_a_lost_answer_is_asked_for_again(run: Run, tmp_path: Path) -> None:
    """A job that the store has by then is not there twice."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            it.attach()
            await it.add("a", "b")
            it.store.loses_answers = True
            it.store.switch(on=True)
            await settle(100)
            await it.clock.advance(10)
            assert it.spill.count == 2
            it.store.loses_answers = False
            await it.empty()
            assert await it.ids() == ["a", "b"]

    run(main())


def test_a_store_that_is_full_is_waited_for(run: Run, tmp_path: Path) -> None:
    """However long that takes: nothing is given up."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            it.attach()
            await it.add("a")
            it.store.is_full = True
            it.store.switch(on=True)
            for _ in range(TRIES * 3):
                await it.clock.advance(10)
            assert (it.spill.count, it.given_up) == (1, [])
            it.store.is_full = False
            await it.empty()
            assert await it.ids() == ["a"]

    run(main())


def test_a_job_that_its_store_never_takes_does_not_hold_the_others(run: Run, tmp_path: Path) -> None:
    """After some tries it is given up, as a dead letter; the others have moved by then."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            it.attach()
            await it.add("a", "bad", "c")
            it.store.refuses = {"bad"}
            it.store.switch(on=True)
            await it.empty()
            assert (await it.ids(), it.given_up) == (["a", "c"], ["bad"])

    run(main())


def test_with_nobody_attached_nothing_moves(run: Run, tmp_path: Path) -> None:
    """The last who is attached counts, and whoever is left when that is gone."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            first, second = it.attach(), it.attach()
            await it.add("a")
            second()
            first()
            it.store.switch(on=True)
            await it.clock.advance(30)
            assert it.spill.count == 1
            third = it.attach()
            await it.empty()
            third()

    run(main())


def test_what_comes_while_it_moves_comes_behind(run: Run, tmp_path: Path) -> None:
    """As long as anything is in it, new jobs join it."""

    async def main() -> None:
        async with reservoir(tmp_path) as it:
            it.attach()
            ids = [f"j-{number}" for number in range(AT_A_TIME + 1)]
            await it.add(*ids)
            it.store.switch(on=True)
            late: list[str] = []
            while it.spill.count:
                late.append(f"late-{len(late)}")
                await it.add(late[-1])
                if len(late) > 20:
                    break
            await it.empty()
            assert await it.ids() == [*ids, *late]

    run(main())


@given(st.lists(st.sampled_from(["add", "add many", "on", "off", "full", "lossy", "sound", "wait"]), max_size=25))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_its_store_does_everything_comes_there_once_and_in_order(
    run: Run, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """It may be away, full, or lose its answers, in any order."""

    async def main() -> None:
        async with reservoir(tmp_path_factory.mktemp("spill")) as it:
            it.attach()
            ids: list[str] = []
            for step in [*steps, "sound", "on"]:
                match step:
                    case "add" | "add many":
                        new = [f"j-{len(ids) + number}" for number in range(1 if step == "add" else AT_A_TIME + 1)]
                        ids += new
                        await it.add(*new)
                    case "on" | "off":
                        it.store.switch(on=step == "on")
                    case "full":
                        it.store.is_full = True
                    case "lossy":
                        it.store.loses_answers = True
                    case "sound":
                        it.store.is_full = it.store.loses_answers = False
                    case _:
                        await it.clock.advance(1)
            await it.empty()
            assert await it.ids() == ids

    run(main())
