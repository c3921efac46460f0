"""What operators do to a queue is done for Node too, and what Node's operators do is done for us."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest

from actors.queues.contract import Completed, Failed, JobNotFoundError, Order
from actors.queues.job import JobOptions, Scheduler
from tests.bullmq_peer import BullmqPeer, line_beside
from tests.loop import Run
from tests.servers import RedisServer

pytestmark = pytest.mark.needs("redis-server", "node", "npm")

EVERY_MS = 120
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def peer(redis_server: RedisServer) -> Iterator[BullmqPeer]:
    with BullmqPeer(redis_server.port, "node-operators") as running:
        yield running


# Pause


def test_a_queue_that_node_pauses_is_paused_here_and_we_can_resume_it(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "pause") as line:
            consumer = await line.consumer()
            await peer.queue("pause", "pause")
            await peer.add("pause", {})
            assert await line.finds_nothing(consumer)
            stats = await line.queue.stats()
            assert (stats.paused, stats.counts.waiting) == (True, 1)
            taking = asyncio.create_task(line.take(consumer))
            await line.queue.resume()
            assert not await peer.queue("pause", "isPaused")
            assert await taking

    run(scenario())


def test_a_queue_that_we_pause_is_paused_in_node_and_node_can_resume_it(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "pause-2") as line:
            await peer.call("work", queue="pause-2", name="pause-2", options={})
            await line.queue.pause()
            await line.add(line.new("pm-1"))
            assert await peer.queue("pause-2", "isPaused")
            assert not peer.happened("active", job="pm-1")
            assert (await line.job("pm-1")).state == "waiting"
            await peer.queue("pause-2", "resume")
            await peer.expect("completed", worker="pause-2", job="pm-1")
        await peer.call("stop", name="pause-2")

    run(scenario())


# Jobs


def test_both_count_the_same(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "counts") as line:
            await line.add("a-1", "a-2", "a-3", "a-4")
            await line.add("p-1", options=JobOptions(priority=2))
            await line.add("d-1", "d-2", options=JobOptions(delay_ms=HOUR_MS))
            consumer = await line.consumer()
            done, failed, _ = await line.take(consumer, 3)
            await line.turn(consumer, Completed(done), Failed(failed, "no"))
            assert await peer.queue("counts", "getJobCounts") == {
                "active": 1,
                "completed": 1,
                "delayed": 2,
                "failed": 1,
                "prioritized": 1,
                "waiting": 1,
                "waiting-children": 0,
            }
            counts = await line.queue.counts()
            assert (counts.active, counts.completed, counts.delayed, counts.failed) == (1, 1, 2, 1)
            assert (counts.prioritized, counts.waiting, counts.waiting_children) == (1, 1, 0)

    run(scenario())


def test_logs_and_progress_are_the_same_for_both(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        id = await peer.add("logs", {}, keepLogs=2)
        async with line_beside(peer, "logs") as line:
            await line.queue.log(id, "ours")
            await peer.job("logs", id, "log", "Node’s")
            await line.queue.log(id, "ours again")
            assert await line.queue.logs(id) == ["Node’s", "ours again"]
            assert await peer.queue("logs", "getJobLogs", id) == {"logs": ["Node’s", "ours again"], "count": 2}
            await line.queue.progress(id, '{"done": 5}')
            assert (await peer.job("logs", id))["progress"] == {"done": 5}
            await peer.job("logs", id, "updateProgress", 50)
            assert (await line.job(id)).progress == "50"

    run(scenario())


def test_what_failed_in_node_can_be_retried_here_and_the_other_way_round(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        await peer.call("work", queue="retry", name="retry", options={})
        id = await peer.add("retry", {"fail": "no luck"}, attempts=2)
        await peer.expect("failed", worker="retry", job=id, attempts=2)
        await peer.call("stop", name="retry")
        async with line_beside(peer, "retry") as line:
            failed = await line.job(id)
            assert (failed.state, failed.failed_reason, len(failed.stacktrace)) == ("failed", "no luck", 2)
            assert await line.queue.retry() == 1
            consumer = await line.consumer()
            (job,) = await line.take(consumer)
            assert (job.id, job.attempts_made) == (id, 0)
            await line.turn(consumer, Failed(job, "nor here"))
            await peer.job("retry", id, "retry")
            assert [job.id for job in await line.take(consumer)] == [id]

    run(scenario())


def test_delayed_jobs_are_promoted_for_whoever_works_them(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "promote") as line:
            await line.add("d-1", options=JobOptions(delay_ms=HOUR_MS))
            id = await peer.add("promote", {}, delay=HOUR_MS, priority=3)
            assert await line.queue.promote() == 2
            await peer.call("work", queue="promote", name="promote", options={})
            await peer.expect("completed", worker="promote", job="d-1")
            await peer.expect("completed", worker="promote", job=id)
        await peer.call("stop", name="promote")

    run(scenario())


def test_a_parent_is_removed_with_its_children_unless_one_is_active(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        child = {"name": "child", "queueName": "remove", "data": {}}
        tree = {"name": "parent", "queueName": "remove", "data": {}, "children": [child, child]}
        async with line_beside(peer, "remove") as line:
            flow = await peer.call("flow", tree=tree)
            await line.queue.remove(flow["id"])
            assert (await line.queue.counts()).unfinished == 0

            flow = await peer.call("flow", tree=tree)
            await line.take(await line.consumer())
            with pytest.raises(JobNotFoundError, match="is active"):
                await line.queue.remove(flow["id"])
            assert (await line.queue.counts()).unfinished == 3

    run(scenario())


def test_clear_leaves_nothing_of_many_jobs(run: Run, peer: BullmqPeer) -> None:
    """In pieces, from where the next jobs are taken; Redis keeps no key of theirs."""

    async def scenario() -> None:
        async with line_beside(peer, "clear") as line:
            await line.add(*[line.new(f"k-{n}", key="by/k") for n in range(300)])
            await line.add(*[line.new(f"a-{n}") for n in range(600)])
            await line.queue.log("a-9", "line")
            assert await line.take_ids(await line.consumer(order=Order("by/", lambda job: "")), 2) == ["k-0", "a-0"]
            counts = await line.queue.counts()
            assert (counts.waiting, counts.parked) == (299 + 599, 299)
            assert await line.queue.clear(["waiting"]) == 299 + 599
            assert await peer.queue("clear", "getJobCountByTypes", "waiting") == 0
            assert await line.queue.jobs(["waiting"]) == []
            assert await line.queue.logs("a-9") == []

    run(scenario())


# Schedulers


def test_node_lists_our_schedulers_and_takes_them_over(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "ours") as line:
            options = JobOptions(attempts=3)
            await line.queue.schedule(Scheduler("tick", "tick.job", '{"n": 1}', every_ms=EVERY_MS, options=options))
            await line.queue.schedule(Scheduler("daily", "daily.job", "{}", cron="0 8 * * *", zone="Europe/Warsaw"))
            await line.queue.schedule(Scheduler("nightly", "nightly.job", "{}", cron="0 0 * * *"))
            listed = {each["key"]: each for each in await peer.queue("ours", "getJobSchedulers")}
            assert (listed["tick"]["every"], listed["tick"]["name"]) == (EVERY_MS, "tick.job")
            assert listed["tick"]["template"] == {"data": {"n": 1}, "opts": {"attempts": 3}}
            assert (listed["daily"]["pattern"], listed["daily"]["tz"]) == ("0 8 * * *", "Europe/Warsaw")
            assert listed["nightly"]["next"] % (24 * HOUR_MS) == 0
            await peer.call("work", queue="ours", name="ours", options={})
            jobs = [await peer.expect("completed", worker="ours") for _ in range(3)]
            assert [job["data"] for job in jobs] == [{"n": 1}] * 3
            await peer.queue("ours", "promoteJobs")
            daily = await peer.expect("completed", worker="ours", result={"node": "daily.job"})
            assert daily["job"].startswith("repeat:daily:")
            assert {each.id for each in await line.queue.schedulers()} == {"tick", "daily", "nightly"}
        await peer.call("stop", name="ours")

    run(scenario())


def test_we_list_nodes_schedulers_and_take_them_over(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "nodes") as line:
            template = {"name": "tick.job", "data": {"n": 2}, "opts": {"attempts": 4}}
            await peer.queue("nodes", "upsertJobScheduler", "tick", {"every": EVERY_MS}, template)
            cron = {"pattern": "0 9 * * 1-5", "tz": "America/Guayaquil"}
            await peer.queue("nodes", "upsertJobScheduler", "daily", cron, {"name": "daily.job"})
            tick, daily = await line.queue.schedulers()
            assert (tick.id, tick.name, tick.every_ms, tick.options.attempts) == ("tick", "tick.job", EVERY_MS, 4)
            assert json.loads(tick.data) == {"n": 2}
            assert (daily.id, daily.cron, daily.zone) == ("daily", "0 9 * * 1-5", "America/Guayaquil")
            consumer = await line.consumer()
            ids: list[str] = []
            for _ in range(3):
                (job,) = await line.take(consumer)
                assert (job.scheduler, job.options.attempts, json.loads(job.data)) == ("tick", 4, {"n": 2})
                await line.turn(consumer, Completed(job))
                ids.append(job.id)
            assert len(set(ids)) == 3
            (seen,) = [each for each in await peer.queue("nodes", "getJobSchedulers") if each["key"] == "tick"]
            assert seen["iterationCount"] == 4
            assert seen["next"] > time.time() * 1000 - EVERY_MS

            await line.queue.promote([f"repeat:daily:{daily.next_ms}"])
            job = (await line.take(consumer))[0]
            while job.scheduler != "daily":
                await line.turn(consumer, Completed(job))
                job = (await line.take(consumer))[0]
            after = next(each for each in await line.queue.schedulers() if each.id == "daily")
            assert (after.next_ms or 0) > (daily.next_ms or 0)
            assert await line.queue.unschedule("tick")
            assert [each["key"] for each in await peer.queue("nodes", "getJobSchedulers")] == ["daily"]

    run(scenario())


def test_the_next_job_of_a_scheduler_stays(run: Run, peer: BullmqPeer) -> None:
    """As with Node: without it there would never be another one."""

    async def scenario() -> None:
        async with line_beside(peer, "stays") as line:
            await line.queue.schedule(Scheduler("daily", "job", "{}", cron="0 0 * * *"))
            await line.add("d-1", options=JobOptions(delay_ms=HOUR_MS))
            (scheduler,) = await line.queue.schedulers()
            next_one = f"repeat:daily:{scheduler.next_ms}"
            with pytest.raises(JobNotFoundError, match="scheduler"):
                await line.queue.remove(next_one)
            assert await line.queue.clear(["delayed"]) == 1
            assert await line.ids("delayed") == [next_one]

    run(scenario())
