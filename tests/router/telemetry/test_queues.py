"""Metrics of queues: stores are asked when somebody scrapes, not too often, and what is old is told to nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from actors.core.actor import AsyncioActor
from actors.core.child import Child, ChildSpec
from actors.core.clock import ManualClock
from actors.core.connection import CONNECTION, ConnectionContext
from actors.core.events import Events
from actors.core.mailbox import Mailbox
from actors.queues.contract import QueueStore
from actors.queues.job import STATES, JobOptions, NewJob
from router.telemetry.queues import LABELS, REFERENCE, REFRESH_S, STALE_S, QueueSamples, metrics_of_queues
from tests.loop import Run
from tests.queues import SqlitePlace
from tests.servers import free_port

Values = dict[tuple[str, ...], float]


class Box(AsyncioActor):
    """An actor that has a queue."""

    def __init__(self, queue: QueueStore) -> None:
        super().__init__()
        self.queue = queue
        self.spilled = 3
        self.added = 10
        self.finished: Mapping[str, int] = {"completed": 6, "failed": 1}


class Plain(AsyncioActor):
    """An actor that has none."""

    queue = None


def child(name: str, actor: AsyncioActor) -> Child:
    clock = ManualClock()
    made = Child(ChildSpec(name, lambda: actor, Mailbox(name, now=clock.now)), clock, Events())
    made.actor = actor
    return made


def values(samples: QueueSamples, children: list[Child], name: str) -> Values:
    """The samples of one metric, by the values of its labels."""
    metrics = {metric.name: metric for metric in metrics_of_queues(samples.read(children))}
    labels = next(labels for known, _, labels, _ in REFERENCE if known == name)
    found = metrics[name.removesuffix("_total")].samples
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in found}


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[tuple[SqlitePlace, QueueStore]]:
    place = SqlitePlace(folder / "queues.db")
    await place.start()
    try:
        yield place, await place.queue("jobs")
    finally:
        await place.stop()


def add(queue: QueueStore, *ids: str, at_ms: int = 0, options: JobOptions | None = None) -> None:
    for job_id in ids:
        queue.add(NewJob(job_id, "message", "1", at_ms, options or JobOptions()), lambda _: None)


def test_a_scrape_tells_how_queues_stand_and_what_their_actors_did(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sqlite(tmp_path) as (place, queue):
            now_ms = round(place.clock.time() * 1000)
            add(queue, "a", "b", at_ms=now_ms - 5000)
            add(queue, "vip", at_ms=now_ms, options=JobOptions(priority=1))
            await queue.pause()
            children = [child("in", Box(queue)), child("plain", Plain())]
            samples = QueueSamples(place.clock)
            await samples.refresh(children)
            key = ("in", "jobs", "sqlite")
            jobs = values(samples, children, "router_queue_jobs")
            assert {labels[-1] for labels in jobs} == set(STATES)
            assert (jobs[*key, "waiting"], jobs[*key, "prioritized"], jobs[*key, "failed"]) == (2, 1, 0)
            assert values(samples, children, "router_queue_oldest_age_seconds") == {key: 5.0}
            assert values(samples, children, "router_queue_paused") == {key: 1}
            assert values(samples, children, "router_queue_available") == {key: 1}
            assert values(samples, children, "router_queue_spilled") == {key: 3}
            assert values(samples, children, "router_queue_added_total") == {key: 10}
            finished = values(samples, children, "router_queue_finished_total")
            assert (finished[*key, "completed"], finished[*key, "failed"], finished[*key, "lost"]) == (6, 1, 0)

    run(scenario())


def test_scrapes_close_to_each_other_share_what_the_store_said(run: Run, tmp_path: Path) -> None:
    """Each actor of a queue tells it, under its own name, and the store is asked once."""

    async def scenario() -> None:
        async with sqlite(tmp_path) as (place, queue):
            children = [child("in", Box(queue)), child("out", Box(queue))]
            samples = QueueSamples(place.clock)

            async def waiting() -> set[float]:
                await samples.refresh(children)
                found = values(samples, children, "router_queue_jobs")
                return {value for labels, value in found.items() if labels[-1] == "waiting"}

            assert await waiting() == {0}
            add(queue, "a")
            await queue.counts()
            await place.clock.advance(REFRESH_S / 2)
            assert await waiting() == {0}
            await place.clock.advance(REFRESH_S)
            assert await waiting() == {1}

    run(scenario())


def test_counts_that_nobody_has_refreshed_are_told_to_nobody(run: Run, tmp_path: Path) -> None:
    """As for a registry that only reads; what actors count themselves is there all the same."""

    async def scenario() -> None:
        async with sqlite(tmp_path) as (place, queue):
            children = [child("in", Box(queue))]
            samples = QueueSamples(place.clock)
            await samples.refresh(children)
            await place.clock.advance(STALE_S)
            assert values(samples, children, "router_queue_jobs") == {}
            assert set(values(samples, children, "router_queue_available").values()) == {0}
            assert set(values(samples, children, "router_queue_added_total").values()) == {10}

    run(scenario())


def test_a_store_that_is_away_has_no_counts_and_holds_up_no_scrape(run: Run, tmp_path: Path) -> None:
    """The others have theirs."""

    async def scenario() -> None:
        from actors.connections.redis import RedisConnection
        from actors.queues.bullmq import bullmq_queue

        async with sqlite(tmp_path) as (place, queue):
            spec = getattr(RedisConnection, CONNECTION)
            options = spec.options.model_validate({"url": f"redis://127.0.0.1:{free_port()}"})
            connection = RedisConnection(options, ConnectionContext("r", place.clock, Events(), tmp_path, tmp_path))
            await connection.open()
            try:
                far = bullmq_queue(connection, "far")
                children = [child("far", Box(far)), child("near", Box(queue))]
                samples = QueueSamples(place.clock)
                await samples.refresh(children)
                assert {labels[0] for labels in values(samples, children, "router_queue_jobs")} == {"near"}
                available = values(samples, children, "router_queue_available")
                assert available == {("far", "far", "redis"): 0, ("near", "jobs", "sqlite"): 1}
            finally:
                await connection.close()

    run(scenario())


def test_all_metrics_of_queues_say_whose_they_are() -> None:
    """Two actors may have the same queue, and two stores queues of one name."""
    assert all(labels[:3] == LABELS for _, _, labels, _ in REFERENCE)
