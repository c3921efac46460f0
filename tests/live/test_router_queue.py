"""A whole router with a queue in its middle, in the state directory and in Redis."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import aiohttp
import pytest

from tests.loop import Run
from tests.router_command import RunningRouter
from tests.servers import HOST, RedisServer

DEADLINE_S = 5.0

TOPOLOGY = """\
router: 1
name: shop
settings: {{http: {{port: 0}}, drain_timeout: 2s}}
{connections}
actors:
  orders: {{type: webhook, path: /orders, decode: json}}
  inbound:
    type: queue
    attempts: 3
    backoff: {{type: fixed, delay: 100ms, jitter: 0}}
{options}
  service: {{type: http, url: "http://127.0.0.1:{port}/", timeout: 10s}}
  other: {{type: log}}
routes:
  take: {{from: orders, to: inbound{fallback}}}
  work: {{from: inbound, to: service}}
"""


class Sink:
    """An HTTP service that keeps what it gets, and answers as the test says."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status: Callable[[dict[str, Any]], int] = lambda body: 204
        self.most = 0
        """How many of one key it was at work on at a time."""
        self._at_work: Counter[str] = Counter()
        self._lock = Lock()
        self.open = Lock()
        """Held: answers wait."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with sink._lock:
                    sink.received.append(body)
                    sink._at_work[body["key"]] += 1
                    sink.most = max(sink.most, sink._at_work[body["key"]])
                    status = sink.status(body)
                with sink.open:
                    pass
                with sink._lock:
                    sink._at_work[body["key"]] -= 1
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Not on the test's output."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def numbers(self) -> list[int]:
        return [body["number"] for body in tuple(self.received)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


@pytest.fixture
def sink() -> Iterator[Sink]:
    opened = Sink()
    yield opened
    opened.close()


def write(
    folder: Path, sink: Sink, *options: str, redis: RedisServer | None = None, fallback: str | None = None
) -> None:
    given = list(options)
    connections = ""
    if redis is not None:
        connections = f"connections: {{redis: {{type: redis, url: '{redis.url}', timeout: 2s}}}}"
        given.append("store: redis")
    text = TOPOLOGY.format(
        connections=connections,
        options="\n".join(f"    {option}" for option in given),
        port=sink.port,
        fallback="" if fallback is None else f", fallback: {fallback}",
    )
    (folder / "topology.yaml").write_text(text)


async def post(url: str, numbers: range, *, keys: int = 1) -> list[int]:
    """The statuses of a request for each number, one after the other."""
    statuses: list[int] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as client:
        for number in numbers:
            body = json.dumps({"number": number, "key": f"k{number % keys}"}).encode()
            headers = {"Idempotency-Key": f"m-{number}", "Content-Type": "application/json"}
            async with client.post(f"{url}/orders", data=body, headers=headers) as response:
                await response.read()
                statuses.append(response.status)
    return statuses


def counts(shop: RunningRouter) -> Counter[str]:
    """Of the queue's jobs, by their states."""
    status, listed = shop.get("/v1/queues/inbound")
    assert status == 200, listed
    # None while its store is away.
    return Counter({state: count for state, count in (listed["counts"] or {}).items() if count})


STORES = [
    pytest.param("sqlite"),
    pytest.param("redis", marks=pytest.mark.needs("redis-server")),
]


@pytest.fixture(params=STORES)
def redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer | None]:
    """None where the queue is kept in the state directory."""
    if request.param == "sqlite":
        yield None
        return
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder, appendfsync="always") as server:
        yield server


def test_what_a_webhook_takes_is_worked_off(run: Run, tmp_path: Path, sink: Sink, redis: RedisServer | None) -> None:
    """202 says that the job is kept; a repeat of a message is no second job."""
    write(tmp_path, sink, "concurrency: 10", redis=redis)
    with RunningRouter(tmp_path) as shop:
        assert run(post(shop.url, range(30))) == [202] * 30
        assert run(post(shop.url, range(10))) == [202] * 10
        shop.wait_until(lambda: counts(shop) == {"completed": 30})
        assert sorted(sink.numbers()) == list(range(30))
        assert shop.stop() == 0


def test_failed_attempts_are_repeated_and_then_a_dead_letter(
    run: Run, tmp_path: Path, sink: Sink, redis: RedisServer | None
) -> None:
    """The queue repeats them; what nothing mends is in the failed set, and in the dead letters."""
    write(tmp_path, sink, "concurrency: 10", redis=redis)
    sink.status = lambda body: 500 if body["number"] == 1 or sink.numbers().count(body["number"]) == 1 else 204
    with RunningRouter(tmp_path) as shop:
        assert run(post(shop.url, range(3))) == [202] * 3
        shop.wait_until(lambda: counts(shop) == {"completed": 2, "failed": 1})
        assert Counter(sink.numbers()) == {0: 2, 1: 3, 2: 2}
        (letter,) = json.loads(shop.ask("dead-letters", "list", "--json").stdout)["dead_letters"]
        assert (letter["route"], letter["message_id"]) == ("work", "m-1")
        assert json.loads(shop.ask("queue", "stats", "inbound", "--json").stdout)["counts"]["failed"] == 1
        (failed,) = json.loads(shop.ask("queue", "jobs", "inbound", "--state", "failed", "--json").stdout)["jobs"]
        assert failed["attempts_made"] == 3
        sink.status = lambda body: 204
        assert shop.ask("queue", "retry", "inbound", failed["id"]).returncode == 0
        shop.wait_until(lambda: counts(shop) == {"completed": 3})


def test_jobs_of_a_key_are_worked_in_their_order(
    run: Run, tmp_path: Path, sink: Sink, redis: RedisServer | None
) -> None:
    """Also while one of them waits to be tried again."""
    write(tmp_path, sink, "concurrency: 20", 'order_by: "{{ data.key }}"', redis=redis)
    failed: set[int] = set()

    def status(body: dict[str, Any]) -> int:
        if body["number"] % 7 or body["number"] in failed:
            return 204
        failed.add(body["number"])
        return 500

    sink.status = status
    with RunningRouter(tmp_path) as shop:
        assert run(post(shop.url, range(60), keys=4)) == [202] * 60
        shop.wait_until(lambda: counts(shop) == {"completed": 60})
        for key in range(4):
            seen = list(dict.fromkeys(number for number in sink.numbers() if number % 4 == key))
            assert seen == list(range(key, 60, 4))
        assert sink.most == 1


def test_what_was_acknowledged_survives_a_kill(run: Run, tmp_path: Path, sink: Sink, redis: RedisServer | None) -> None:
    """What was in hand then is worked again; nothing else is."""
    write(tmp_path, sink, "concurrency: 5", redis=redis)
    with RunningRouter(tmp_path) as shop:
        with sink.open:
            assert run(post(shop.url, range(40))) == [202] * 40
            shop.wait_until(lambda: len(sink.received) == 5)
            shop.kill()
            shop.start()
            shop.wait_until(lambda: len(sink.received) == 10)
        shop.wait_until(lambda: counts(shop) == {"completed": 40})
        assert Counter(sink.numbers()) == {number: 2 if number < 5 else 1 for number in range(40)}
        assert shop.stop() == 0


def test_it_stops_and_goes_on(run: Run, tmp_path: Path, sink: Sink, redis: RedisServer | None) -> None:
    """What it had in hand when its time was over waits again, and no attempt is counted."""
    write(tmp_path, sink, "concurrency: 2", redis=redis)
    with RunningRouter(tmp_path) as shop:
        with sink.open:
            assert run(post(shop.url, range(5))) == [202] * 5
            shop.wait_until(lambda: len(sink.received) == 2)
            shop.stop()
        shop.start()
        shop.wait_until(lambda: counts(shop) == {"completed": 5})
        jobs = json.loads(shop.ask("queue", "jobs", "inbound", "--state", "completed", "--json").stdout)["jobs"]
        assert {job["attempts_made"] for job in jobs} == {1}


def test_its_options_change_while_jobs_are_in_hand(
    run: Run, tmp_path: Path, sink: Sink, redis: RedisServer | None
) -> None:
    """The one before finishes what it has, and the new one takes the rest: nothing is lost, and nothing done twice."""
    write(tmp_path, sink, "concurrency: 2", redis=redis)
    with RunningRouter(tmp_path) as shop:
        sink.open.acquire()
        assert run(post(shop.url, range(20))) == [202] * 20
        shop.wait_until(lambda: len(sink.received) == 2)
        write(tmp_path, sink, "concurrency: 4", redis=redis)
        with ThreadPoolExecutor(1) as beside:
            applying = beside.submit(shop.ask, "apply")
            shop.wait_until(lambda: len(sink.received) == 4)
            sink.open.release()
            applied = applying.result(DEADLINE_S)
        assert applied.returncode == 0, applied.stdout + applied.stderr
        shop.wait_until(lambda: counts(shop) == {"completed": 20})
        assert sorted(sink.numbers()) == list(range(20))
        assert shop.stop() == 0


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that keeps what it has, and does not run."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, appendfsync="always")
    yield server
    server.stop()


@pytest.mark.needs("redis-server")
class TestWhileRedisIsAway:
    def test_spill_takes_everything_and_moves_it_in_its_order(
        self, run: Run, tmp_path: Path, sink: Sink, stopped: RedisServer
    ) -> None:
        """Over a kill of the router, too."""
        write(tmp_path, sink, "when_down: spill", redis=stopped)
        with RunningRouter(tmp_path) as shop:
            assert run(post(shop.url, range(10))) == [202] * 10
            shop.kill()
            shop.start()
            assert run(post(shop.url, range(10, 20))) == [202] * 10
            assert not sink.received
            stopped.start()
            shop.wait_until(lambda: counts(shop) == {"completed": 20})
            assert sink.numbers() == list(range(20))
            stopped.stop()
            assert run(post(shop.url, range(20, 30))) == [202] * 10
            stopped.start()
            shop.wait_until(lambda: counts(shop) == {"completed": 30})
            assert sink.numbers() == list(range(30))

    def test_wait_uses_the_fallback(self, run: Run, tmp_path: Path, sink: Sink, stopped: RedisServer) -> None:
        """At once, and no attempt fails."""
        write(tmp_path, sink, "when_down: wait", redis=stopped, fallback="other")
        with RunningRouter(tmp_path) as shop:
            assert run(post(shop.url, range(3))) == [200] * 3
            shop.wait_until(lambda: shop.route("take")["ledger"]["delivered"] == 3)
            assert not sink.received
            stopped.start()
            shop.wait_until(lambda: run(post(shop.url, range(9, 10))) and sink.received)
            assert sink.numbers()[0] == 9

    def test_what_ends_meanwhile_is_told_when_it_is_back(
        self, run: Run, tmp_path: Path, sink: Sink, stopped: RedisServer
    ) -> None:
        """Nothing that was in hand is worked twice, as long as its lock has not run out."""
        stopped.start()
        write(tmp_path, sink, "concurrency: 3", redis=stopped)
        with RunningRouter(tmp_path) as shop:
            with sink.open:
                assert run(post(shop.url, range(10))) == [202] * 10
                shop.wait_until(lambda: len(sink.received) == 3)
                stopped.stop()
            shop.wait_for("queue inbound cannot be worked for now")
            shop.wait_until(lambda: shop.route("work")["ledger"]["delivered"] == 3)
            stopped.start()
            shop.wait_until(lambda: counts(shop) == {"completed": 10})
            assert sorted(sink.numbers()) == list(range(10))
            assert shop.stop() == 0

    def test_fail_makes_failed_attempts(self, run: Run, tmp_path: Path, sink: Sink, stopped: RedisServer) -> None:
        """The route repeats them as it repeats any."""
        write(tmp_path, sink, "when_down: fail", redis=stopped, fallback="other")
        with RunningRouter(tmp_path) as shop:

            async def scenario() -> list[int]:
                asking = asyncio.create_task(post(shop.url, range(1)))
                await asyncio.to_thread(shop.wait_for, "connect")
                await asyncio.to_thread(stopped.start)
                return await asking

            assert run(scenario()) == [200]
            shop.wait_until(lambda: sink.numbers() == [0])
