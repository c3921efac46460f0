"""A whole router between BullMQ's queues, with Node at both ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.catalog import Catalog
from router.engine import Engine
from router.topology.check import check
from router.topology.problems import render
from tests.bullmq_peer import BullmqPeer
from tests.loop import Run
from tests.servers import HOST, RedisServer

pytestmark = pytest.mark.needs("redis-server", "node", "npm")

PASS_ON = """
actors:
  in: {type: queue, store: redis, prefix: node-router, queue: in, concurrency: 5}
  out: {type: queue, store: redis, prefix: node-router, queue: out}
routes:
  r: {from: in, to: out}
"""

REFUSES = """
actors:
  in: {type: queue, store: redis, prefix: node-router, queue: tries}
  crm: {type: http, url: "http://%s:%d/"}
routes:
  r: {from: in, to: crm}
"""


@pytest.fixture(scope="module")
def peer(redis_server: RedisServer) -> Iterator[BullmqPeer]:
    with BullmqPeer(redis_server.port, "node-router") as running:
        yield running


@asynccontextmanager
async def router(folder: Path, peer: BullmqPeer, rest: str) -> AsyncIterator[Engine]:
    head = f"router: 1\nname: test\nconnections:\n  redis: {{type: redis, url: 'redis://{HOST}:{peer.port}'}}\n"
    topology, problems = check(head + rest, path=folder / "t.yaml", catalog=Catalog.installed(), environ={})
    assert topology is not None, "\n".join(map(render, problems))
    engine = Engine(topology, state_dir=folder / "state")
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def test_jobs_go_from_node_through_a_router_to_node(run: Run, peer: BullmqPeer, tmp_path: Path) -> None:
    """Each is completed where it came from, and is a job with the same data where it went."""
    count = 20

    async def scenario() -> None:
        await peer.call("work", queue="out", name="out", options={"concurrency": 5})
        async with router(tmp_path, peer, PASS_ON):
            bulk = [{"name": "order.paid", "data": {"n": n, "to": "Łódź 🦊"}} for n in range(count)]
            await peer.queue("in", "addBulk", bulk)
            done = [await peer.expect("completed", worker="out") for _ in range(count)]
            assert sorted(said["data"]["n"] for said in done) == list(range(count))
            assert {said["data"]["to"] for said in done} == {"Łódź 🦊"}
            assert {said["result"]["node"] for said in done} == {"order.paid"}
            async with asyncio.timeout(10):
                while await peer.queue("in", "getCompletedCount") < count:  # noqa: ASYNC110  # Node knows it
                    await asyncio.sleep(0.02)
        await peer.call("stop", name="out")

    run(scenario(), deadline_s=60)


def test_what_a_router_cannot_deliver_is_tried_as_node_said_and_fails_there(
    run: Run, peer: BullmqPeer, tmp_path: Path
) -> None:
    """With its reason, where Node's tools look for it; a retry of theirs has it tried again."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        crm = await asyncio.start_server(refuse, HOST, 0)
        port = crm.sockets[0].getsockname()[1]
        async with crm, router(tmp_path, peer, REFUSES % (HOST, port)):
            await peer.call("listen", queue="tries")
            backoff = {"type": "fixed", "delay": 20}
            id = await peer.add("tries", {"n": 1}, attempts=2, backoff=backoff)
            await peer.expect("heard", queue="tries", what="failed", job=id)
            failed = await peer.job("tries", id)
            assert failed["attemptsMade"] == 2
            assert "500" in failed["failedReason"]
            assert len(json.loads(failed["stacktrace"])) == 2
            await peer.job("tries", id, "retry")
            await peer.expect("heard", queue="tries", what="failed", job=id)
            assert (await peer.job("tries", id))["attemptsMade"] == 3

    run(scenario(), deadline_s=60)
