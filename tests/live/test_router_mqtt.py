"""A whole router between MQTT and MQTT, while its broker comes and goes."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.core.message import Message, Settlement
from router.catalog import Catalog
from router.engine import Engine
from router.topology.check import check
from router.topology.problems import render
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.servers import HOST
from tests.tcp_proxy import proxy

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_pub")

DEADLINE_S = 20.0

PASS_ON = """
actors:
  in: {type: mqtt, connection: broker, subscribe: in/#}
  out: {type: mqtt, connection: broker, publish: out/x}
routes:
  r: {from: in, to: out, concurrency: 500, durable: %s}
"""

WITH_FALLBACK = """
actors:
  in: {type: timer, every: 365d}
  out: {type: mqtt, connection: broker, publish: out/x}
  besides: {type: log}
routes:
  r: {from: in, to: out, fallback: besides, concurrency: 500, durable: true}
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    store = [f"persistence_location {tmp_path}/broker/", "persistence true", "autosave_interval 1"]
    with Mosquitto(tmp_path / "broker", *store) as running:
        yield running


@asynccontextmanager
async def router(folder: Path, url: str, rest: str) -> AsyncIterator[Engine]:
    head = f"router: 1\nname: test\nconnections:\n  broker: {{type: mqtt, url: '{url}', keepalive: 2s}}\n"
    topology, problems = check(head + rest, path=folder / "t.yaml", catalog=Catalog.installed(), environ={})
    assert topology is not None, "\n".join(map(render, problems))
    engine = Engine(topology, state_dir=folder / "state")
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in other processes too
            await asyncio.sleep(0.01)


def produce(broker: Mosquitto, first: int, count: int) -> None:
    """mosquitto_pub, with a line a message; it returns when the broker has acknowledged all."""
    lines = "".join(f"{number}\n" for number in range(first, first + count))
    command = ["mosquitto_pub", "-h", HOST, "-p", str(broker.port), "-V", "mqttv5", "-q", "1", "-t", "in/a", "-l"]
    subprocess.run(command, input=lines.encode(), check=True, timeout=DEADLINE_S)


class Consumer:
    """mosquitto_sub, and what it has got."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self._path = folder / "got"
        self._output = self._path.open("wb")
        command = ["mosquitto_sub", "-h", HOST, "-p", str(broker.port), "-V", "mqttv5", "-q", "1", "-t", "out/#"]
        self._process = subprocess.Popen(
            [*command, "-i", "consumer", "-c", "-x", "3600"], stdout=self._output, stderr=subprocess.DEVNULL
        )

    @property
    def got(self) -> list[int]:
        return [int(line) for line in self._path.read_text().split("\n")[:-1]]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(5)
        self._output.close()


@pytest.fixture
def consumer(broker: Mosquitto, tmp_path: Path) -> Iterator[Consumer]:
    made = Consumer(broker, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("durable", ["true", "false"])
def test_all_that_goes_in_comes_out(
    run: Run, tmp_path: Path, broker: Mosquitto, consumer: Consumer, durable: str
) -> None:
    """Once each, where nothing breaks; and the ledger says the same."""

    async def main() -> None:
        async with router(tmp_path, broker.url, PASS_ON % durable) as engine:
            await asyncio.to_thread(produce, broker, 0, 1000)
            await until(lambda: len(consumer.got) == 1000)
            assert sorted(consumer.got) == list(range(1000))
            await until(lambda: engine.routes["r"].under_way.quiet)
            balance = engine.routes["r"].balance()
            assert (balance.accepted, balance.outcomes["delivered"]) == (1000, 1000)

    run(main())


def test_connections_that_break_lose_nothing(run: Run, tmp_path: Path, broker: Mosquitto, consumer: Consumer) -> None:
    """Also where the route is not durable: what was not acknowledged comes again."""

    async def main() -> None:
        async with (
            proxy(broker.port) as front,
            router(tmp_path, f"mqtt://{HOST}:{front.port}", PASS_ON % "false") as engine,
        ):
            producing = asyncio.create_task(asyncio.to_thread(produce, broker, 0, 3000))
            for _ in range(5):
                await asyncio.sleep(0.15)
                front.cut()
            await producing
            await until(lambda: set(consumer.got) == set(range(3000)))
            await until(lambda: engine.routes["r"].under_way.quiet)

    run(main(), deadline_s=40)


def test_a_partition_is_noticed_and_loses_nothing(
    run: Run, tmp_path: Path, broker: Mosquitto, consumer: Consumer
) -> None:
    """The sockets stay open and nothing comes: within the keepalive the target is away."""

    async def main() -> None:
        async with (
            proxy(broker.port) as front,
            router(tmp_path, f"mqtt://{HOST}:{front.port}", PASS_ON % "true") as engine,
        ):
            await asyncio.to_thread(produce, broker, 0, 100)
            front.hold()
            began = time.monotonic()
            out = engine.supervisor.children["out"]
            await until(lambda: out.closed is not None)
            assert time.monotonic() - began < 3.0
            await asyncio.to_thread(produce, broker, 100, 100)
            front.cut()
            front.let_flow()
            await until(lambda: set(consumer.got) == set(range(200)))

    run(main(), deadline_s=40)


def test_without_a_broker_the_fallback_answers_at_once(run: Run, tmp_path: Path, broker: Mosquitto) -> None:
    """And what was under way when it was killed ends there too, or by MQTT when it is back."""

    async def main() -> None:
        async with router(tmp_path, broker.url, WITH_FALLBACK) as engine:
            outlet, route = engine.outlets["in"], engine.routes["r"]
            for number in range(500):
                outlet.offer(Message(f"m-{number}", "in", number))
            await asyncio.to_thread(broker.kill)
            out, besides = engine.supervisor.children["out"], engine.supervisor.children["besides"]
            await until(lambda: out.closed is not None)
            before = besides.succeeded
            began = time.monotonic()
            outlet.offer(Message("late", "in", "late"))
            await until(lambda: besides.succeeded > before)
            assert time.monotonic() - began < 1.0
            await asyncio.to_thread(broker.start)
            await until(lambda: route.ledger.delivered == 501)
            assert route.balance().outcomes["dead_lettered"] == 0
            await until(lambda: out.closed is None)
            settled = out.succeeded
            outlet.offer(Message("again", "in", "again"))
            await until(lambda: out.succeeded == settled + 1)

    run(main(), deadline_s=40)


def test_an_operator_can_send_to_it(run: Run, tmp_path: Path, broker: Mosquitto, consumer: Consumer) -> None:
    """`router send out` takes the same way as a route."""

    async def main() -> None:
        async with router(tmp_path, broker.url, PASS_ON % "false") as engine:
            await engine.inject("out", Message("1", "cli", 42), wait=True, timeout_s=5.0)
            await until(lambda: consumer.got == [42])
            settlement = await engine.inject("in", Message("2", "cli", 43), wait=True, timeout_s=5.0)
            assert settlement == Settlement("delivered")

    run(main())


@pytest.mark.parametrize("url", ["embedded:", "mosquitto:"])
@pytest.mark.parametrize("version", ["5", "'3.1.1'"])
def test_a_broker_in_the_house_needs_nothing_else(run: Run, tmp_path: Path, url: str, version: str) -> None:
    """It starts with the router, says where it listens, and ends with it."""
    rest = f"""
  house: {{type: mqtt, url: '{url}', protocol: {version}}}
actors:
  feed: {{type: timer, every: 365d}}
  out: {{type: mqtt, connection: house, publish: in/x}}
  in: {{type: mqtt, connection: house, subscribe: in/#}}
  end: {{type: log, level: debug}}
routes:
  there: {{from: feed, to: out, concurrency: 100}}
  back: {{from: in, to: end, durable: true}}
"""

    async def main() -> None:
        async with router(tmp_path, "mqtt://127.0.0.1:9", rest) as engine:
            assert [name for name, address in engine.listening() if address.startswith("mqtt://")]
            for number in range(300):
                engine.outlets["feed"].offer(Message(f"m-{number}", "feed", number))
            await until(lambda: engine.routes["back"].ledger.delivered == 300)

    run(main(), deadline_s=40)
