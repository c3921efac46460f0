"""Bull Board, with which people look after BullMQ's queues, looks after ours."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from actors.queues.contract import Completed, Consumer, Failed
from tests.bullmq_peer import BullmqPeer, line_beside
from tests.chromium import browse, has_chromium
from tests.loop import Run
from tests.queues import Line
from tests.servers import HOST, RedisServer

pytestmark = pytest.mark.needs("redis-server", "node", "npm")

STACK = "DeliveryError: 503 Service Unavailable\n    at crm (attempt 2 of 2)"

PRESS_RETRY = """(async () => {
  const until = (find) => new Promise((done) => {
    const look = () => {
      const found = find();
      if (found) { observer.disconnect(); done(found); }
      return found;
    };
    const observer = new MutationObserver(look);
    observer.observe(document, {subtree: true, childList: true, characterData: true});
    look();
  });
  const job = await until(() => [...document.querySelectorAll("a")].find((each) => each.textContent.includes("JOB")));
  const card = job.closest("[class^=card]");
  const text = await until(() => card.querySelector("code.stacktrace")?.textContent);
  card.querySelector("button:has(.lucide-refresh-cw)").click();
  const confirm = await until(() => document.querySelector("[role=alertdialog] button, [role=dialog] button"));
  [...confirm.closest("[role=alertdialog], [role=dialog]").querySelectorAll("button")]
    .find((each) => each.textContent.trim() === "Confirm").click();
  return text;
})()"""


@pytest.fixture(scope="module")
def peer(redis_server: RedisServer) -> Iterator[BullmqPeer]:
    with BullmqPeer(redis_server.port, "board") as running:
        yield running


@asynccontextmanager
async def failed_on_a_board(peer: BullmqPeer, queue: str) -> AsyncIterator[tuple[Line, Consumer, str]]:
    """A job of ours, failed, in a queue of that name; the address of the board comes with it."""
    board = f"http://{HOST}:{await peer.call('board', queues=[queue])}"
    async with line_beside(peer, queue) as line:
        await line.add(line.new("pm-1", name="order.paid", data='{"to": "Łódź 🦊"}', envelope="{}"))
        consumer = await line.consumer(name="router-1")
        (job,) = await line.take(consumer)
        await line.turn(consumer, Failed(job, "503 Service Unavailable", STACK))
        yield line, consumer, board


async def get(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.json()


def test_a_failed_job_is_shown_with_its_stack_and_a_retry_there_is_worked_here(run: Run, peer: BullmqPeer) -> None:
    async def scenario() -> None:
        async with failed_on_a_board(peer, "orders") as (line, consumer, board):
            listed = await get(f"{board}/api/queues?activeQueue=orders&status=failed&page=1&jobsPerPage=10")
            (queue,) = listed["queues"]
            (shown,) = queue["jobs"]
            assert (queue["name"], queue["counts"]["failed"], shown["id"]) == ("orders", 1, "pm-1")
            assert (shown["name"], shown["data"]) == ("order.paid", {"to": "Łódź 🦊"})
            assert (shown["failedReason"], shown["stacktrace"]) == ("503 Service Unavailable", [STACK])
            assert (shown["processedBy"], shown["attempts"]) == ("router-1", 1)

            retry = f"{board}/api/queues/orders/pm-1/retry"
            async with aiohttp.ClientSession() as session, session.put(retry) as answer:
                assert answer.status == 204
            (job,) = await line.take(consumer)
            assert (job.id, json.loads(job.data)) == ("pm-1", {"to": "Łódź 🦊"})
            await line.turn(consumer, Completed(job, '"well"'))
            seen = await get(f"{board}/api/queues/orders/pm-1")
            assert (seen["status"], seen["job"]["returnValue"]) == ("completed", "well")

    run(scenario())


@pytest.mark.skipif(not has_chromium(), reason="chromium is not installed")
def test_somebody_who_presses_retry_in_a_browser_has_the_job_worked_here(
    run: Run, peer: BullmqPeer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            failed_on_a_board(peer, "pressed") as (line, consumer, board),
            browse(f"{board}/queue/pressed?status=failed", tmp_path / "profile") as page,
        ):
            assert "503 Service Unavailable" in await page.evaluate(PRESS_RETRY.replace("JOB", "pm-1"))
            (job,) = await line.take(consumer)
            assert job.id == "pm-1"
            await line.turn(consumer, Completed(job))

    run(scenario(), deadline_s=60)
