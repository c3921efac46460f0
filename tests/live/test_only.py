"""One topology in several processes: a webhook in one, two workers in others, with Redis or a broker in between."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.mosquitto import Mosquitto
from tests.router_command import RunningRouter, router
from tests.servers import RedisServer

MESSAGES = 60
DEADLINE_S = 10.0

REDIS = """
router: 1
name: shop
settings: {{http: {{port: 0}}}}
connections: {{redis: {{type: redis, url: "{url}"}}}}
actors:
  inbound: {{type: webhook, path: /in}}
  jobs: {{type: queue, store: redis, queue: jobs-{name}, concurrency: 5}}
  out: {{type: log, level: debug}}
routes:
  take: {{from: inbound, to: jobs, concurrency: 10}}
  work: {{from: jobs, to: out}}
"""

BROKER = """
router: 1
name: shop
settings: {{http: {{port: 0}}}}
connections: {{broker: {{type: mqtt, url: "{url}"}}}}
actors:
  inbound: {{type: webhook, path: /in}}
  publish: {{type: mqtt, connection: broker, publish: jobs}}
  jobs: {{type: mqtt, connection: broker, subscribe: jobs, group: workers}}
  out: {{type: log, level: debug}}
routes:
  take: {{from: inbound, to: publish, concurrency: 10}}
  work: {{from: jobs, to: out, durable: true}}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a path short enough for sockets, which pytest's are not."""
    made = Path(tempfile.mkdtemp(prefix="only-"))
    yield made
    shutil.rmtree(made)


def node(folder: Path, only: str, name: str | None = None) -> RunningRouter:
    """A process that has not been started; what it prints is in a folder of its own."""
    called = name or only
    place = folder / f"of-{called}"
    place.mkdir(exist_ok=True)
    options = ["--only", only, *(["--node", name] if name else [])]
    return RunningRouter(place, str(folder / "shop.yaml"), *options, state_dir=folder / ".router" / called)


def send(url: str, number: int) -> int:
    request = urllib.request.Request(
        f"{url}/in",
        json.dumps({"number": number}).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": f"order-{number}"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        status: int = answer.status
        return status


def delivered(worker: RunningRouter) -> int:
    count: int = worker.route("work")["ledger"]["delivered"]
    return count


def work_apart(folder: Path) -> None:
    """Three processes, of which two work: all is done once, also what comes while one of them is dead."""
    with ExitStack() as running:
        front = running.enter_context(node(folder, "take"))
        first = running.enter_context(node(folder, "work", "worker-1"))
        second = running.enter_context(node(folder, "work", "worker-2"))
        for number in range(MESSAGES):
            assert send(front.url, number) in (200, 202)
        front.wait_until(lambda: delivered(first) + delivered(second) == MESSAGES)
        assert delivered(first)
        assert delivered(second)
        names = {each["name"] for each in first.get("/v1/actors")[1]["actors"]}
        assert names == {"jobs", "out"}
        view: dict[str, Any] = first.get("/v1/router")[1]
        assert (view["node"], view["only"]) == ("worker-1", ["work"])
        before = delivered(second)
        first.kill()
        for number in range(MESSAGES, MESSAGES + 10):
            assert send(front.url, number) in (200, 202)
        # It comes back under its name, to what the broker has kept for it.
        first.start()
        front.wait_until(lambda: delivered(first) + delivered(second) >= before + 10)
        assert front.stop() == 0


@pytest.mark.needs("redis-server")
def test_a_webhook_and_two_workers_on_one_redis(folder: Path, redis_server: RedisServer) -> None:
    """The front consumes nothing, though it has the queue's actor."""
    (folder / "shop.yaml").write_text(REDIS.format(url=redis_server.url, name=folder.name))
    work_apart(folder)


@pytest.mark.needs("mosquitto")
def test_a_webhook_and_two_workers_of_one_broker(folder: Path) -> None:
    """They share a subscription."""
    (folder / "broker").mkdir()
    with Mosquitto(folder / "broker") as broker:
        (folder / "shop.yaml").write_text(BROKER.format(url=broker.url))
        work_apart(folder)


def test_a_second_process_of_one_name_is_refused(folder: Path, free_port: int) -> None:
    """It says who holds the state, and how to go on. `ps` says which node answers."""
    (folder / "shop.yaml").write_text(BROKER.format(url=f"mqtt://127.0.0.1:{free_port}"))
    with node(folder, "take") as front:
        refused = router(folder, "start", "shop.yaml", "--only", "take")
        assert refused.returncode == 1
        assert f"in use by process {front.pid} " in refused.stderr
        assert "--node" in refused.stderr
        lost = router(folder, "ps")
        assert lost.returncode == 3
        assert "--control .router/take" in lost.stderr
        shown = router(folder, "ps", "--control", str(front.state_dir))
        assert "node take" in shown.stdout
        assert ", node take" in front.output
        examined = router(folder, "doctor", "shop.yaml")
        assert f"its node take is in use by process {front.pid} " in examined.stdout
        assert "not a state directory" not in examined.stdout
        applied = router(folder, "apply", "shop.yaml", "--control", str(front.state_dir))
        assert "this process runs only take" in applied.stdout + applied.stderr


def test_what_cannot_be_is_told_before_anything_starts(folder: Path) -> None:
    """A name that is not there, and a broker in the house that would be cut in two: exit code 78."""
    (folder / "shop.yaml").write_text(BROKER.format(url="embedded:"))
    unknown = router(folder, "start", "shop.yaml", "--only", "tak")
    assert unknown.returncode == 78
    assert "did you mean 'take'?" in unknown.stderr
    cut = router(folder, "start", "shop.yaml", "--only", "take")
    assert cut.returncode == 78
    assert "shop.yaml:5:15: error: the broker of connection 'broker' runs in this process alone" in cut.stderr
    assert not (folder / ".router").exists()
    nothing = router(folder, "start", "shop.yaml", "--only", " , ")
    assert nothing.returncode == 2


def test_a_path_that_is_too_long_for_a_socket_is_told(folder: Path) -> None:
    """With what to do about it, and nothing left running."""
    (folder / "shop.yaml").write_text(BROKER.format(url="mqtt://127.0.0.1:9"))
    long = router(folder, "start", "shop.yaml", "--only", "take", "--node", "n" * 100)
    assert long.returncode == 1
    assert "shorter settings.state_dir or --node" in long.stderr
