"""What a job is told, whoever adds it and whoever works it: priorities, delays, deduplication, limits."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from actors.queues.contract import Completed, Limiter
from actors.queues.job import Deduplication, JobOptions
from tests.bullmq_peer import BullmqPeer, line_beside
from tests.loop import Run
from tests.servers import RedisServer

pytestmark = pytest.mark.needs("redis-server", "node", "npm")

DELAY_MS = 150
LATE_MS = 2_000
"""More than a busy machine is late by, and less than it would be if nobody had been woken."""


@pytest.fixture(scope="module")
def peer(redis_server: RedisServer) -> Iterator[BullmqPeer]:
    with BullmqPeer(redis_server.port, "node-options") as running:
        yield running


def now_ms() -> float:
    return time.time() * 1000


# Priorities and delays


def test_priorities_of_nodes_jobs_hold_here(run: Run, peer: BullmqPeer) -> None:
    """0 first, then 1, and so on; those of one priority in the order of their arrival."""

    async def scenario() -> None:
        for id, priority in {"c-1": 3, "a-1": 1, "b-1": 2, "a-2": 1, "z-1": 0, "y-1": 2_097_151}.items():
            await peer.add("prios", {}, jobId=id, priority=priority)
        async with line_beside(peer, "prios") as line:
            assert await line.take_ids(await line.consumer(), 6) == ["z-1", "a-1", "a-2", "b-1", "c-1", "y-1"]

    run(scenario())


def test_priorities_of_our_jobs_hold_in_node(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "prios-2") as line:
            for id, priority in {"c-1": 3, "a-1": 1, "b-1": 2, "a-2": 1, "z-1": 0}.items():
                await line.add(line.new(id, JobOptions(priority=priority)))
            assert await peer.queue("prios-2", "getCountsPerPriority", [0, 1, 2, 3]) == {
                "0": 1,
                "1": 2,
                "2": 1,
                "3": 1,
            }
            await peer.call("work", queue="prios-2", name="prios-2", options={"concurrency": 1})
            worked = [(await peer.expect("completed", worker="prios-2"))["job"] for _ in range(5)]
            assert worked == ["z-1", "a-1", "a-2", "b-1", "c-1"]
        await peer.call("stop", name="prios-2")

    run(scenario())


def test_a_job_that_node_delays_comes_here_at_its_time(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "delays") as line:
            consumer = await line.consumer()
            taking = asyncio.create_task(line.take(consumer))
            before = now_ms()
            await peer.add("delays", {}, delay=DELAY_MS)
            (job,) = await taking
            assert DELAY_MS <= now_ms() - before < LATE_MS
            assert job.options.delay_ms == DELAY_MS

    run(scenario())


def test_a_job_that_we_delay_comes_to_node_at_its_time(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        await peer.call("work", queue="delays-2", name="delays-2", options={})
        async with line_beside(peer, "delays-2") as line:
            before = now_ms()
            await line.add(line.new("pm-1", JobOptions(delay_ms=DELAY_MS)))
            assert await peer.job("delays-2", "pm-1", "getState") == "delayed"
            await peer.expect("completed", worker="delays-2", job="pm-1")
            assert DELAY_MS <= now_ms() - before < LATE_MS
        await peer.call("stop", name="delays-2")

    run(scenario())


# Deduplication


def test_one_job_for_a_deduplication_id_whoever_adds_it(run: Run, peer: BullmqPeer) -> None:
    """Simple: until it has finished."""

    async def scenario() -> None:
        async with line_beside(peer, "simple") as line:
            first = await peer.add("simple", {"n": 1}, deduplication={"id": "d"})
            ours = line.new("pm-1", JobOptions(deduplication=Deduplication("d")))
            assert await line.add(ours) == [first]
            consumer = await line.consumer()
            (job,) = await line.take(consumer)
            assert await line.add(ours) == [first]
            await line.turn(consumer, Completed(job))
            assert await line.add(ours) == ["pm-1"]
            assert await peer.add("simple", {"n": 2}, deduplication={"id": "d"}) == "pm-1"
            assert await peer.queue("simple", "getDeduplicationJobId", "d") == "pm-1"
            assert (await line.queue.counts()).waiting == 1

    run(scenario())


def test_throttle_holds_for_its_time_whoever_adds(run: Run, peer: BullmqPeer) -> None:
    """Also when the job has long been finished."""

    async def scenario() -> None:
        async with line_beside(peer, "throttle") as line:
            throttle = JobOptions(deduplication=Deduplication("d", ttl_ms=60_000))
            assert await line.add(line.new("pm-1", throttle)) == ["pm-1"]
            consumer = await line.consumer()
            (job,) = await line.take(consumer)
            await line.turn(consumer, Completed(job))
            assert await peer.add("throttle", {}, deduplication={"id": "d", "ttl": 60_000}) == "pm-1"
            assert await peer.queue("throttle", "removeDeduplicationKey", "d") == 1
            id = await peer.add("throttle", {}, deduplication={"id": "d", "ttl": 60_000})
            assert await line.add(line.new("pm-2", throttle)) == [id]

    run(scenario())


def test_debounce_keeps_the_last_one_whoever_adds(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "debounce") as line:
            rule = {"id": "d", "ttl": DELAY_MS, "extend": True, "replace": True}
            await peer.add("debounce", {"n": 1}, jobId="node-1", delay=DELAY_MS, deduplication=rule)
            debounce = JobOptions(
                delay_ms=DELAY_MS, deduplication=Deduplication("d", ttl_ms=DELAY_MS, extend=True, replace=True)
            )
            await line.add(line.new("pm-1", debounce, data='{"n": 2}'))
            assert await line.queue.job("node-1") is None
            await peer.add("debounce", {"n": 3}, jobId="node-2", delay=DELAY_MS, deduplication=rule)
            (job,) = await line.take(await line.consumer())
            assert (job.id, job.data) == ("node-2", '{"n":3}')
            assert (await line.queue.counts()).unfinished == 1

    run(scenario())


# Limits


def test_a_limiter_is_one_for_our_workers_and_nodes(run: Run, peer: BullmqPeer) -> None:
    """Two jobs begin here, and then none in Node before the time is over."""
    limit = Limiter(2, 400)

    async def scenario() -> None:
        async with line_beside(peer, "limit") as line:
            consumer = await line.consumer(limiter=limit)
            before = now_ms()
            await line.add(*[line.new(f"pm-{n}") for n in range(3)])
            jobs = (await line.turn(consumer, want=5)).jobs
            assert [job.id for job in jobs] == ["pm-0", "pm-1"]
            assert 0 < await peer.queue("limit", "getRateLimitTtl", limit.max) <= limit.duration_ms
            options = {"limiter": {"max": limit.max, "duration": limit.duration_ms}}
            await peer.call("work", queue="limit", name="limit", options=options)
            await peer.expect("completed", worker="limit", job="pm-2")
            assert limit.duration_ms <= now_ms() - before < LATE_MS
            await line.turn(consumer, *[Completed(job) for job in jobs])
        await peer.call("stop", name="limit")

    run(scenario())


def test_a_queue_that_node_limits_rests_here_too(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "rest") as line:
            consumer = await line.consumer(limiter=Limiter(10, 1_000))
            await line.add(line.new("pm-1"))
            await peer.queue("rest", "rateLimit", DELAY_MS)
            before = now_ms()
            turn = await line.turn(consumer, want=1)
            assert turn.jobs == ()
            assert turn.wait_ms is not None
            assert 0 < turn.wait_ms <= DELAY_MS
            await line.take(consumer)
            assert now_ms() - before < LATE_MS

    run(scenario())


def test_a_concurrency_that_node_sets_for_the_queue_holds_here(run: Run, peer: BullmqPeer) -> None:
    """Of all workers together; a job that is finished makes room for another one."""

    async def scenario() -> None:
        async with line_beside(peer, "narrow") as line:
            await peer.queue("narrow", "setGlobalConcurrency", 2)
            await line.add(*[line.new(f"pm-{n}") for n in range(4)])
            one, two = await line.consumer(), await line.consumer()
            jobs = (await line.turn(one, want=4)).jobs
            assert len(jobs) == 2
            assert await line.finds_nothing(two)
            taking = asyncio.create_task(line.take(two))
            await line.turn(one, Completed(jobs[0]))
            assert [job.id for job in await taking] == ["pm-2"]

    run(scenario())


def test_a_rate_that_node_sets_for_the_queue_holds_here(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "rate") as line:
            await peer.queue("rate", "setGlobalRateLimit", 2, 400)
            await line.add(*[line.new(f"pm-{n}") for n in range(3)])
            consumer = await line.consumer()
            before = now_ms()
            turn = await line.turn(consumer, want=3)
            assert [job.id for job in turn.jobs] == ["pm-0", "pm-1"]
            assert turn.wait_ms is not None
            assert await line.take_ids(consumer, 1) == ["pm-2"]
            assert 350 <= now_ms() - before < LATE_MS

    run(scenario())
