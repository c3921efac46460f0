"""Full disks and killed processes: nothing is half-kept, and what was told as added is there."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from actors.core.errors import StorageError
from actors.queues.contract import Added, Completed, Failed
from actors.queues.job import Deduplication, JobOptions, Keep
from tests.disks import failing_disk, small_disk
from tests.loop import Run
from tests.queues import Line, SqlitePlace, line, sqlite_place

ROOT = Path(__file__).resolve().parents[4]
DATA = '"' + "x" * 20_000 + '"'
LINES_AT_MOST = 3_000


def test_a_full_disk_is_told_to_who_adds_and_jobs_can_still_be_worked(run: Run, tmp_path: Path) -> None:
    async def scenario(disk: Path) -> None:
        async with line(lambda: sqlite_place(disk)) as queue:
            once = JobOptions(deduplication=Deduplication("only"))
            kept: list[str] = []
            refused: list[StorageError] = []
            while not refused:
                new = [queue.new(f"j-{len(kept) + n}", data=DATA) for n in range(5)]
                for outcome in await queue.submit(*new):
                    if isinstance(outcome, Added):
                        kept.append(outcome.id)
                    else:
                        assert isinstance(outcome, StorageError)
                        refused.append(outcome)
            assert {error.full for error in refused} == {True}
            assert await queue.ids("waiting", limit=1_000) == kept
            assert (await queue.queue.counts()).waiting == len(kept)
            consumer = await queue.consumer(keep_completed=Keep(0))
            jobs = await queue.take(consumer, len(kept), at_most=3)
            assert [job.id for job in jobs] == kept
            for job in jobs:
                assert not (await queue.turn(consumer, Completed(job))).lost
            assert await queue.add(queue.new("later-1", once, data=DATA), queue.new("later-2", data=DATA)) == [
                "later-1",
                "later-2",
            ]

    with small_disk(tmp_path / "disk") as disk:
        run(scenario(disk))


def test_a_turn_that_cannot_be_kept_changes_nothing_and_can_be_made_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            await queue.add("j-1", "j-2", "j-3")
            consumer = await queue.consumer()
            first, second = await queue.take(consumer, 2)
            with failing_disk():
                with pytest.raises(StorageError):
                    await queue.turn(consumer, Completed(first), Failed(second, "no"), want=1)
                with pytest.raises(StorageError):
                    await queue.queue.pause()
                once = JobOptions(deduplication=Deduplication("only"))
                for outcome in await queue.submit(queue.new("j-4", once), queue.new("j-5")):
                    assert isinstance(outcome, StorageError)
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.active, counts.completed, counts.failed) == (1, 2, 0, 0)
            assert not (await queue.queue.stats()).paused
            turn = await queue.turn(consumer, Completed(first), Failed(second, "no"), want=1)
            assert ([job.id for job in turn.jobs], list(turn.lost)) == (["j-3"], [])
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.active, counts.completed, counts.failed) == (0, 1, 1, 1)
            assert await queue.add("j-4") == ["j-4"]

    run(scenario())


# Says "+ID" when a job is told as added, "*ID" when one is claimed, "-ID" when its end is told. Until it is killed.
WORKER = """
import asyncio, os, sys
from pathlib import Path
from actors.core.clock import LoopClock
from actors.core.events import Events
from actors.kit.database import Database
from actors.queues.contract import Completed, ConsumerOptions
from actors.queues.job import NewJob
from actors.queues.sqlite.embedded import EmbeddedQueues
from actors.queues.sqlite.schema import TABLES

async def main(path):
    database = Database(path, schema=[TABLES])
    await database.open()
    queue = EmbeddedQueues(database, clock=LoopClock(), events=Events()).queue("orders")
    await queue.open()
    count = 0

    def say(text):
        os.write(1, text.encode() + b"\\n")

    def add(_=None):
        nonlocal count
        count += 1
        id = f"j-{count}"
        def done(outcome):
            say(f"+{outcome.id}")
            asyncio.get_running_loop().call_soon(add)
        queue.add(NewJob(id, "job", "{}", 1), done)

    for _ in range(10):
        add()
    consumer = await queue.consumer(ConsumerOptions("w", "n"))
    held = []
    while True:
        turn = await consumer.turn([Completed(job) for job in held], 5)
        for job in held:
            say(f"-{job.id}")
        held = turn.jobs
        for job in held:
            say(f"*{job.id}")
        if not held:
            await consumer.wait(turn.wait_ms)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_is_killed_loses_no_job_and_repeats_only_those_in_hand(
    seed: int, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "queues.db"
    lines = killed(path, random.Random(seed).randrange(50, LINES_AT_MOST))
    added = {text[1:] for text in lines if text.startswith("+")}
    claimed = {text[1:] for text in lines if text.startswith("*")}
    ended = {text[1:] for text in lines if text.startswith("-")}

    async def scenario() -> None:
        async with line(lambda: sqlite_place(tmp_path)) as queue:
            counts = await queue.queue.counts()
            there = set(await queue.ids("waiting", "active", "completed", limit=100_000))
            assert added <= there
            assert counts.unfinished + counts.completed == len(there)
            assert ended <= set(await queue.ids("completed", limit=100_000))
            stalled = [job for job in await queue.take(await queue.consumer(), counts.unfinished) if job.stalled]
            assert len(stalled) == counts.active <= 10
            assert claimed - ended <= {job.id for job in stalled} | set(await queue.ids("completed", limit=100_000))
            assert await integrity(queue) == []

    run(scenario())


async def integrity(queue: Line) -> list[str]:
    assert isinstance(queue.place, SqlitePlace)
    assert queue.place.database is not None
    return await queue.place.database.integrity_problems()


def killed(path: Path, after: int) -> list[str]:
    """What the worker said until it was killed with nothing to say for itself."""
    with subprocess.Popen([sys.executable, "-c", WORKER, path], stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(after)]
        process.kill()
        rest = process.stdout.read().splitlines(keepends=True)
    return lines + [text.strip() for text in rest if text.endswith("\n")]
