"""Flows of Node's: parents that come when their children have been worked, by us or there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.queues.contract import Completed, Failed
from tests.bullmq_peer import BullmqPeer, line_beside
from tests.loop import Run
from tests.servers import RedisServer

pytestmark = pytest.mark.needs("redis-server", "node", "npm")


@pytest.fixture(scope="module")
def peer(redis_server: RedisServer) -> Iterator[BullmqPeer]:
    with BullmqPeer(redis_server.port, "node-flows") as running:
        yield running


def tree(queue: str, *, options: Any = None) -> dict[str, Any]:
    """A parent with two children, all in one queue."""
    children = [{"name": f"child-{n}", "queueName": queue, "data": {"n": n}, "opts": options or {}} for n in (1, 2)]
    return {"name": "parent", "queueName": queue, "data": {"children": True}, "children": children}


def test_a_parent_comes_when_we_have_worked_its_children(run: Run, peer: BullmqPeer) -> None:
    """Node's parent then has what we returned."""

    async def scenario() -> None:
        flow = await peer.call("flow", tree=tree("flow"))
        async with line_beside(peer, "flow") as line:
            consumer = await line.consumer()
            counts = await line.queue.counts()
            assert (counts.waiting_children, counts.waiting) == (1, 2)
            assert (await line.job(flow["id"])).state == "waiting-children"
            assert await line.ids("waiting-children") == [flow["id"]]
            children = await line.take(consumer, 2)
            assert sorted(job.id for job in children) == sorted(flow["children"])
            assert {job.parent for job in children} == {f"{peer.prefix}:flow:{flow['id']}"}
            await line.turn(consumer, *[Completed(job, json.dumps({"done": job.name})) for job in children])
            (parent,) = await line.take(consumer)
            assert parent.id == flow["id"]
            values = await peer.job("flow", parent.id, "getChildrenValues")
            assert sorted(value["done"] for value in values.values()) == ["child-1", "child-2"]
            await line.turn(consumer, Completed(parent))
            assert await peer.job("flow", parent.id, "getState") == "completed"

    run(scenario())


def test_a_parent_in_node_comes_when_we_have_worked_its_children(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        flow = await peer.call("flow", tree=tree("children") | {"queueName": "parents"})
        await peer.call("work", queue="parents", name="parents", options={})
        async with line_beside(peer, "children") as line:
            consumer = await line.consumer()
            children = await line.take(consumer, 2)
            await line.turn(consumer, *[Completed(job, '"ours"') for job in children])
            done = await peer.expect("completed", worker="parents", job=flow["id"])
            assert list(done["result"]["children"].values()) == ["ours", "ours"]
        await peer.call("stop", name="parents")

    run(scenario())


def test_a_child_that_fails_here_fails_its_parent_where_node_said_so(run: Run, peer: BullmqPeer) -> None:
    """The parent comes to be failed, and is not worked."""

    async def scenario() -> None:
        flow = await peer.call("flow", tree=tree("fails", options={"failParentOnFailure": True}))
        async with line_beside(peer, "fails") as line:
            consumer = await line.consumer()
            (child,) = await line.take(consumer)
            await line.turn(consumer, Failed(child, "no luck"))
            while (job := (await line.take(consumer))[0]).id != flow["id"]:
                await line.turn(consumer, Completed(job))
            assert job.doomed == f"child {peer.prefix}:fails:{child.id} failed"
            await line.turn(consumer, Failed(job, job.doomed))
            assert await peer.job("fails", flow["id"], "getState") == "failed"

    run(scenario())


def test_a_child_that_fails_here_is_ignored_where_node_said_so(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        flow = await peer.call("flow", tree=tree("ignored", options={"ignoreDependencyOnFailure": True}))
        async with line_beside(peer, "ignored") as line:
            consumer = await line.consumer()
            children = await line.take(consumer, 2)
            await line.turn(consumer, *[Failed(job, "no luck") for job in children])
            (parent,) = await line.take(consumer)
            assert (parent.id, parent.doomed) == (flow["id"], None)
            failures = await peer.job("ignored", parent.id, "getIgnoredChildrenFailures")
            assert set(failures.values()) == {"no luck"}

    run(scenario())
