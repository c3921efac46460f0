"""`router queue` beside a running router, on both stores: what an operator sees and does from one end to the other."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.router_command import RunningRouter
from tests.servers import RedisServer

TOPOLOGY: Final = """\
router: 1
name: shop
settings: {drain_timeout: 2s, redact: [token]}
%(connections)s
actors:
  inbound: {type: queue, queue: tania-messages, attempts: 1%(store)s}
  seen: {type: log, message: "seen {{ data.n }}"}
routes:
  work:
    from: inbound
    to: {match: [{when: data.n < 100, to: seen}]}  # what it says nothing of fails at once
"""


class Shop:
    """A router with a queue that a route works."""

    def __init__(self, folder: Path, router: RunningRouter) -> None:
        self.folder = folder
        self.router = router

    def queue(self, *arguments: str, code: int = 0) -> str:
        """What `router queue …` prints."""
        ended = self.router.ask("queue", *arguments)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.queue(*arguments, "--json"))

    def until(self, state: str, number: int) -> None:
        """Wait until so many jobs are in a state."""
        self.router.wait_until(lambda: self.router.get("/v1/queues/inbound")[1]["counts"][state] == number)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("redis", marks=pytest.mark.needs("redis-server"))])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """On a store, which the tests of this module use one after the other."""
    with tempfile.TemporaryDirectory(prefix="queue-") as name:
        folder = Path(name)
        if request.param == "sqlite":
            with started(folder, connections="", store="") as router:
                yield Shop(folder, router)
            return
        with RedisServer(folder, appendfsync="everysec") as server:
            connections = f"connections: {{mem: {{type: redis, url: '{server.url}'}}}}"
            with started(folder, connections=connections, store=", store: mem") as router:
                yield Shop(folder, router)


def started(folder: Path, *, connections: str, store: str) -> RunningRouter:
    (folder / "topology.yaml").write_text(TOPOLOGY % {"connections": connections, "store": store})
    return RunningRouter(folder, "topology.yaml")


def test_a_paused_queue_fills_is_looked_into_and_is_worked_when_it_goes_on(shop: Shop) -> None:
    """By the actor's name and by its own; what is to be masked is."""
    assert shop.queue("pause", "inbound", "--why", "a look") == "tania-messages is paused, for all that work it\n"
    for number in range(3):
        shop.queue("add", "inbound", json.dumps({"n": number, "token": "hunter2"}), "--id", f"job-{number}")
    (listed,) = shop.json("list")["queues"]
    assert (listed["paused"], listed["counts"]["waiting"], listed["counts"]["active"]) == (True, 3, 0)
    shown = shop.queue("list")
    assert "tania-messages" in shown
    assert "paused" in shown
    assert "waiting" in shop.queue("stats", "tania-messages")
    lines = shop.queue("jobs", "inbound", "--state", "waiting")
    assert "job-1" in lines
    whole = shop.queue("job", "inbound", "job-1")
    assert '"n": 1' in whole
    assert "hunter2" not in lines + whole
    assert shop.queue("resume", "inbound") == "tania-messages goes on\n"
    shop.until("completed", 3)
    shop.router.wait_for("seen 2")


def test_failed_jobs_are_found_retried_and_cleared(shop: Shop) -> None:
    """Nothing is deleted without the queue's own name."""
    for number in (100, 101):
        shop.queue("add", "inbound", json.dumps({"n": number}), "--id", f"bad-{number}")
    shop.until("failed", 2)
    failed = shop.json("jobs", "inbound", "--state", "failed")["jobs"]
    assert {job["id"] for job in failed} == {"bad-100", "bad-101"}
    assert all(job["failed_reason"] and job["attempts_made"] == 1 for job in failed)
    assert "last errors" in shop.queue("jobs", "inbound", "--state", "failed")
    shop.queue("pause", "inbound")
    assert shop.queue("retry", "inbound", "bad-100") == "1 job waits for a worker now\n"
    shop.until("failed", 1)
    assert "no job of tania-messages was changed" in shop.queue("retry", "inbound", "bad-100", code=1)
    assert "--confirm" in shop.queue("clear", "inbound", "--state", "failed", code=1)
    assert "tania-messages" in shop.queue("clear", "inbound", "--state", "failed", "--confirm", "inbound", code=2)
    cleared = shop.queue("clear", "inbound", "--state", "failed", "--confirm", "tania-messages")
    assert cleared == "1 job deleted\n"
    assert shop.queue("remove", "inbound", "bad-100") == "bad-100 is deleted\n"
    shop.queue("resume", "inbound")


def test_delayed_jobs_are_promoted(shop: Shop) -> None:
    shop.queue("add", "inbound", '{"n": 7}', "--id", "late", "--delay", "1h")
    assert [job["id"] for job in shop.json("jobs", "inbound", "--state", "delayed")["jobs"]] == ["late"]
    assert shop.queue("promote", "inbound", "--all") == "1 job waits for a worker now\n"
    shop.router.wait_for("seen 7")


def test_an_unknown_name_comes_with_a_suggestion(shop: Shop) -> None:
    assert "did you mean 'inbound'?" in shop.queue("stats", "inbund", code=1)


def test_metrics_have_what_the_store_counts_and_what_the_actor_did(shop: Shop) -> None:
    status, text = shop.router.get("/metrics")
    lines = [line for line in text.decode().splitlines() if line.startswith("router_queue_")]
    assert status == 200
    assert any('router_queue_jobs{actor="inbound",queue="tania-messages"' in line for line in lines)
    assert any("router_queue_finished_total" in line and 'outcome="completed"' in line for line in lines)
    assert any(line.startswith("router_queue_available") and line.endswith(" 1.0") for line in lines)


def test_the_start_says_where_the_queue_is_kept_and_how_durably(shop: Shop) -> None:
    """Whoever runs it learns what a crash may cost before it comes."""
    told = shop.router.wait_for(r"^  queue +inbound: (.+)$")[1]
    assert "tania-messages" in told
    assert ("state directory" in told) != ("append-only file every second" in told)
