"""A real BullMQ in Node at the other end of our queues: its jobs are ours, and ours are its."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from actors.core.message import Message
from actors.queues.bullmq.package import package_text
from actors.queues.contract import Completed, Failed, Order, Retried
from actors.queues.envelope import pack, unpack
from actors.queues.job import Backoff, JobOptions
from tests.bullmq_peer import BullmqPeer, line_beside
from tests.loop import Run
from tests.servers import RedisServer

pytestmark = pytest.mark.needs("redis-server", "node", "npm")

TEXT = 'Zażółć 🦊 “\u2028” \u0000 \\ " \u007f 漢字'


LOCK_MS = 300


@pytest.fixture(scope="module")
def peer(redis_server: RedisServer) -> Iterator[BullmqPeer]:
    with BullmqPeer(redis_server.port, "node") as running:
        yield running


@pytest.mark.parametrize(
    "script",
    [
        "addJobScheduler",
        "addLog",
        "extendLocks",
        "getStateV2",
        "moveJobFromActiveToWait",
        "moveStalledJobsToWait",
        "moveToActive",
        "moveToDelayed",
        "moveToFinished",
        "pause",
        "promote",
        "removeJob",
        "removeJobScheduler",
        "reprocessJob",
        "retryJob",
        "updateJobScheduler",
        "updateProgress",
    ],
)
def test_both_run_the_same_scripts(script: str, run: Run, peer: BullmqPeer) -> None:
    """To the letter. Those that add differ: Node's know `reschedule` and flows, and we add neither."""
    assert run(peer.call("script", script=script)).strip() == package_text(script).strip()


def test_node_adds_and_we_work(run: Run, peer: BullmqPeer) -> None:
    """Node sees what became of its job, and by whom."""

    async def scenario() -> None:
        id = await peer.add("node-adds", {"text": TEXT, "n": [1, 2.5, None]}, "order.paid")
        async with line_beside(peer, "node-adds") as line:
            (job,) = await line.take(await line.consumer(name="router-1"))
            assert (job.id, job.name, json.loads(job.data)) == (id, "order.paid", {"text": TEXT, "n": [1, 2.5, None]})
            await line.turn(line.consumers[0], Completed(job, json.dumps({"said": TEXT})))
        assert await peer.job("node-adds", id, "getState") == "completed"
        seen = await peer.job("node-adds", id)
        assert json.loads(seen["returnvalue"]) == {"said": TEXT}
        assert (seen["attemptsMade"], seen["processedBy"]) == (1, "router-1")

    run(scenario())


def test_we_add_and_node_works(run: Run, peer: BullmqPeer) -> None:
    """Our job's data is the payload itself; its envelope is nobody's business and stays."""

    async def scenario() -> None:
        async with line_beside(peer, "we-add") as line:
            data = {"text": TEXT, "n": [1, 2.5, None]}
            await line.add(line.new("pm-1", data=json.dumps(data), name="order.paid", envelope='{"id":"m-1"}'))
            await peer.call("work", queue="we-add", name="we-add", options={})
            done = await peer.expect("completed", worker="we-add")
            assert (done["job"], done["data"]) == ("pm-1", data)
            job = await line.job("pm-1")
            assert (job.state, job.attempts_made, job.worker) == ("completed", 1, "we-add")
            assert (json.loads(job.return_value or ""), job.envelope) == ({"node": "order.paid"}, '{"id":"m-1"}')
        await peer.call("stop", name="we-add")

    run(scenario())


def test_both_work_one_queue_and_each_job_is_worked_once(run: Run, peer: BullmqPeer) -> None:
    """Half of the jobs are added by each side, while both work."""
    count = 60

    async def scenario() -> None:
        async with line_beside(peer, "both") as line:
            consumer = await line.consumer()
            ours: list[str] = []

            async def work() -> None:
                while True:
                    turn = await consumer.turn((), 2)
                    ours.extend(job.id for job in turn.jobs)
                    await consumer.turn([Completed(job) for job in turn.jobs], 0)
                    if not turn.jobs:
                        await consumer.wait(turn.wait_ms)

            working = asyncio.create_task(work())
            await peer.call("work", queue="both", name="both", options={"concurrency": 2})
            bulk = [{"name": "n", "data": {"holdMs": 2}, "opts": {"jobId": f"n-{n}"}} for n in range(count)]
            await asyncio.gather(
                peer.queue("both", "addBulk", bulk),
                line.add(*[line.new(f"p-{n}", data='{"holdMs": 2}') for n in range(count)]),
            )
            async with asyncio.timeout(10):
                while (await line.queue.counts()).completed < 2 * count:  # noqa: ASYNC110  # two sides complete them
                    await asyncio.sleep(0.02)
            working.cancel()
            await asyncio.wait((working,))
            node = {*(f"n-{n}" for n in range(count)), *(f"p-{n}" for n in range(count))} - set(ours)
            for id in node:
                await peer.expect("completed", worker="both", job=id)
            assert not peer.happened("completed", worker="both")
            assert len(ours) + len(node) == 2 * count
            assert ours
            assert node
        await peer.call("stop", name="both")

    run(scenario())


def test_node_sees_why_our_attempts_failed_and_its_backoff_holds(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        id = await peer.add("tries", {}, attempts=2, backoff={"type": "fixed", "delay": 30})
        async with line_beside(peer, "tries") as line:
            consumer = await line.consumer()
            (job,) = await line.take(consumer)
            assert (job.options.attempts, job.options.backoff) == (2, Backoff("fixed", 30))
            await line.turn(consumer, Retried(job, 30, "no luck", "Error: no luck\n    at a line"))
            assert await peer.job("tries", id, "getState") == "delayed"
            (job,) = await line.take(consumer)
            assert job.attempts_made == 1
            await line.turn(consumer, Failed(job, "no luck again", "Error: no luck again"))
        seen = await peer.job("tries", id)
        assert (seen["failedReason"], seen["attemptsMade"]) == ("no luck again", 2)
        assert json.loads(seen["stacktrace"]) == ["Error: no luck\n    at a line", "Error: no luck again"]
        assert await peer.job("tries", id, "getState") == "failed"

    run(scenario())


def test_node_tries_our_job_as_often_as_we_said(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with line_beside(peer, "tries-2") as line:
            options = JobOptions(attempts=3, backoff=Backoff("exponential", 10, 0.5))
            await line.add(line.new("pm-1", options, data='{"failUntil": 3}'))
            await line.add(line.new("pm-2", options, data='{"fail": "never"}'))
            await peer.call("work", queue="tries-2", name="tries-2", options={})
            await peer.expect("completed", worker="tries-2", job="pm-1")
            await peer.expect("failed", worker="tries-2", job="pm-2", attempts=3)
            done, failed = await line.job("pm-1"), await line.job("pm-2")
            assert (done.state, done.attempts_made) == ("completed", 3)
            assert (failed.state, failed.attempts_made, failed.failed_reason) == ("failed", 3, "never")
            assert len(failed.stacktrace) == 3
            assert failed.stacktrace[0].startswith("Error: never\n")
        await peer.call("stop", name="tries-2")

    run(scenario())


def test_a_job_whose_node_worker_died_comes_back_here(run: Run, redis_server: RedisServer) -> None:
    async def scenario(peer: BullmqPeer) -> None:
        options = {"lockDuration": LOCK_MS, "stalledInterval": LOCK_MS}
        await peer.call("work", queue="dies", name="dies", options=options)
        async with line_beside(peer, "dies") as line:
            await line.add(line.new("pm-1", data='{"holdMs": 60000}'))
            await peer.expect("active", job="pm-1")
            peer.kill()
            consumer = await line.consumer(stalled_interval_ms=LOCK_MS)
            async with asyncio.timeout(10):
                while not await consumer.look_for_stalled():
                    await consumer.wait(LOCK_MS // 2)
            (job,) = await line.take(consumer)
            assert (job.id, job.stalled, job.attempts_started) == ("pm-1", 1, 2)

    with BullmqPeer(redis_server.port, "node-dies") as peer:
        run(scenario(peer))


def test_a_job_whose_worker_here_died_comes_back_in_node(run: Run, peer: BullmqPeer) -> None:
    """What is not renewed has expired, for all that Node can know; ours hears that it has lost the job."""

    async def scenario() -> None:
        async with line_beside(peer, "expires") as line:
            await line.add("pm-1")
            consumer = await line.consumer(lock_ms=LOCK_MS)
            (job,) = await line.take(consumer)
            await peer.call("work", queue="expires", name="expires", options={"stalledInterval": LOCK_MS})
            await peer.expect("completed", worker="expires", job="pm-1")
            assert list((await line.turn(consumer, Completed(job))).lost) == ["pm-1"]
        await peer.call("stop", name="expires")

    run(scenario())


def test_a_key_whose_job_node_has_finished_is_free_again(run: Run, peer: BullmqPeer) -> None:
    """Node knows nothing of keys: our look for stalled jobs finds that out."""

    async def scenario() -> None:
        async with line_beside(peer, "keys") as line:
            await line.add(*[line.new(f"a-{n}", key="by/a") for n in range(2)])
            consumer = await line.consumer(order=Order("by/", lambda job: ""))
            (job,) = await line.take(consumer)
            assert await line.finds_nothing(consumer)
            await line.turn(consumer, Retried(job, 0, "no luck"))
            await peer.call("work", queue="keys", name="keys", options={})
            await peer.expect("completed", worker="keys", job="a-0")
            await peer.call("stop", name="keys")
            assert (await line.queue.counts()).parked == 1
            await consumer.look_for_stalled()
            assert await line.take_ids(consumer, 1) == ["a-1"]

    run(scenario())


def test_a_job_of_nodes_is_a_message_and_ours_with_bytes_is_base64_for_node(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        await peer.add("messages", {"to": "Łódź"}, "sms.send", jobId="sms-1")
        async with line_beside(peer, "messages") as line:
            consumer = await line.consumer()
            (job,) = await line.take(consumer)
            message = unpack(job, "inbound")
            assert (message.id, message.type, message.data) == ("sms-1", "sms.send", {"to": "Łódź"})
            assert (message.source, message.attributes["subject"]) == ("inbound", "sms.send")
            await line.turn(consumer, Completed(job))

            photo = Message("m-1", "camera", b"\x00\xff\xfe", {"x": "y"}, "photo", 1.5, {"subject": "p"})
            data, envelope = pack(photo)
            await line.add(line.new("pm-1", data=data, name="photo", envelope=envelope))
            assert json.loads((await peer.job("messages", "pm-1"))["data"]) == "AP/+"
            (job,) = await line.take(consumer)
            assert unpack(job, "camera") == photo

    run(scenario())


def test_a_prefix_in_braces_keeps_a_queue_in_one_slot_of_a_cluster(run: Run, redis_server: RedisServer) -> None:
    async def scenario(peer: BullmqPeer) -> None:
        id = await peer.add("orders", {"n": 1})
        async with line_beside(peer, "orders") as line:
            (job,) = await line.take(await line.consumer())
            await line.turn(line.consumers[0], Completed(job))
            assert job.id == id
            await peer.call("work", queue="orders", name="orders", options={})
            await line.add(line.new("pm-1"))
            await peer.expect("completed", job="pm-1")

    with BullmqPeer(redis_server.port, "{bull}") as peer:
        run(scenario(peer))
