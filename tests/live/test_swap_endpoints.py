"""Swaps of a running router whose ends are real: HTTP clients, WebSocket clients, a broker, and the clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from actors.connections.mqtt.protocol import Login, Publish, Server
from actors.connections.mqtt.publisher import Publisher
from actors.core.clock import LoopClock
from actors.core.errors import DeliveryError
from actors.core.events import ConnectionOpened, Events
from router.change.conservation import Conservation
from router.change.swap import Swap
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.router.engine_stage import Stage, running, state_folder, topology_of
from tests.servers import HOST

DEADLINE_S = 10.0
SWAPS = 10


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


async def changed(stage: Stage, text: str) -> Conservation:
    swap = Swap(stage.engine.assembly, topology_of(text, stage.play))
    await swap.prepare()
    swap.switch()
    report = await swap.retire(5.0)
    assert report.difference == 0
    return report


@asynccontextmanager
async def under_way(act: Callable[[int], Awaitable[None]]) -> AsyncIterator[list[int]]:
    """Do something again and again, with a number; at the end the list has each that was done."""
    done: list[int] = []
    ends = asyncio.Event()

    async def go_on() -> None:
        while not ends.is_set():
            await act(len(done))
            done.append(len(done))

    task = asyncio.create_task(go_on())
    try:
        yield done
    finally:
        ends.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


HOOK = """
actors: {hook: {type: webhook, path: /in, id: "{{ data.n }}", methods: [%s], max_body: %s}, a: {type: sink}}
routes: {r: {from: hook, to: a, concurrency: 10, durable: true}}
"""


def test_http_clients_notice_nothing(run: Run, state: Path) -> None:
    """Each request is answered as it should be, and each message arrives once."""

    async def scenario() -> None:
        async with running(HOOK % ("POST", "1KiB"), state) as stage, aiohttp.ClientSession() as client:

            async def post(number: int) -> None:
                async with client.post(f"{stage.url}/in", json={"n": number}) as answer:
                    assert answer.status == 202, await answer.text()

            async with under_way(post) as sent:
                for number in range(SWAPS):
                    await asyncio.sleep(0.01)
                    report = await changed(stage, HOOK % (("POST", "POST, PUT")[number % 2], f"{number + 2}KiB"))
                    assert not report.gaps
            await stage.until(lambda: len(stage.play.taken) == len(sent))
            assert Counter(id for _, id in stage.play.taken) == Counter(map(str, sent))

    run(scenario())


CHAT = """
actors: {panel: {type: websocket, path: /ws, max_message: %s, body: {said: "{{ data }}"}}}
routes: {r: {from: panel, to: panel}}
"""


def test_websocket_clients_stay(run: Run, state: Path) -> None:
    """And hear each other all the time."""

    async def scenario() -> None:
        async with running(CHAT % "1KiB", state) as stage:
            url = f"{stage.url.replace('http', 'ws')}/ws"
            client = await connect(url)
            try:
                name = next(iter(stage.engine.supervisor.families["panel"].members))

                async def say(number: int) -> None:
                    await client.send(str(number))
                    async with asyncio.timeout(DEADLINE_S):
                        assert await client.recv() == f'{{"said":{number}}}'

                async with under_way(say) as said:
                    for number in range(SWAPS):
                        await asyncio.sleep(0.01)
                        report = await changed(stage, CHAT % f"{number + 2}KiB")
                        assert not report.gaps
                assert len(said) > SWAPS
                assert list(stage.engine.supervisor.families["panel"].members) == [name]
            finally:
                await client.close()

    run(scenario())


OUT = """
actors: {tap: {type: tap}, out: {type: http, url: "http://127.0.0.1:%d/", pool: %d}}
routes: {r: {from: tap, to: out, concurrency: 10}}
"""


def test_a_request_in_hand_ends_before_its_pool_does(run: Run, state: Path, free_port: int) -> None:
    """And behind the switch others use the next pool."""
    asked, answering = [], asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(writer)
        if len(asked) == 1:
            await answering.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(answer, HOST, free_port), running(OUT % (free_port, 5), state) as stage:
            first = stage.tap().send()
            await stage.until(lambda: asked)
            swap = Swap(stage.engine.assembly, topology_of(OUT % (free_port, 6), stage.play))
            await swap.prepare()
            swap.switch()
            retiring = asyncio.create_task(swap.retire(5.0))
            assert await stage.outcome(stage.tap().send()) == "delivered"
            assert not retiring.done()
            answering.set()
            assert await stage.outcome(first) == "delivered"
            assert (await retiring).difference == 0

    run(scenario())


BEAT = """
actors: {beat: {type: timer, every: 200ms, message_type: %s}, a: {type: sink}}
routes: {r: {from: beat, to: a, concurrency: 10}}
"""


def test_a_timer_leaves_out_no_tick(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(BEAT % "tick-0", state) as stage:
            for number in range(5):
                await changed(stage, BEAT % f"tick-{number + 1}")
                await stage.until(partial(lambda before: len(stage.play.taken) > before, number))
            ids = [id for _, id in stage.play.taken]
            assert len(set(ids)) == len(ids)

    run(scenario())


IN = """
connections: {broker: {type: mqtt, url: "mqtt://127.0.0.1:%d", keepalive: %s}}
actors:
  orders: {type: mqtt, connection: broker, subscribe: [%s], id: "{{ data }}", receive_maximum: %d}
  a: {type: sink}
routes: {r: {from: orders, to: a, concurrency: 10}}
"""


class _Answer:
    def __init__(self) -> None:
        self.end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def acknowledged(self, publish: Publish, reason: int) -> None:
        self.end.set_result(reason)

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        self.end.set_exception(error)


@asynccontextmanager
async def publishing(broker: Mosquitto) -> AsyncIterator[list[int]]:
    """Somebody else's client, which publishes as fast as the broker acknowledges."""
    publisher = Publisher(
        Login("somebody"),
        connection="somebody",
        version="5",
        servers=lambda: (Server(HOST, broker.port),),
        clock=LoopClock(),
        events=Events(),
    )
    publisher.open()
    await publisher.tried()

    async def publish(number: int) -> None:
        answer = _Answer()
        publisher.publish(Publish("in/x", str(number).encode(), 1, False, answer))
        # Whoever is subscribed.
        assert await answer.end in (0, 0x10)

    try:
        async with under_way(publish) as sent:
            yield sent
    finally:
        await publisher.close()


@pytest.mark.needs("mosquitto")
def test_a_subscription_goes_on_over_its_connection(run: Run, state: Path, tmp_path: Path) -> None:
    """Each message comes once, while filters come and go; the broker sees one connection."""

    async def scenario(broker: Mosquitto) -> None:
        async with running(IN % (broker.port, "30s", "in/#", 100), state) as stage:
            async with publishing(broker) as sent:
                for number in range(SWAPS):
                    await asyncio.sleep(0.02)
                    report = await changed(stage, IN % (broker.port, "30s", f"in/#, other/{number}", 100))
                    assert not report.gaps
            await stage.until(lambda: len(stage.play.taken) >= len(sent))
            assert Counter(id for _, id in stage.play.taken) == Counter(map(str, sent))
            assert len(stage.of(ConnectionOpened)) == 1

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize("after", [("30s", "in/#", 50), ("20s", "in/#", 100)], ids=["session", "connection"])
def test_a_session_that_has_to_begin_anew_loses_nothing(
    run: Run, state: Path, tmp_path: Path, after: tuple[str, str, int]
) -> None:
    """The broker keeps what comes in the gap, and the report tells how long that was."""

    async def scenario(broker: Mosquitto) -> None:
        async with running(IN % (broker.port, "30s", "in/#", 100), state) as stage:
            async with publishing(broker) as sent:
                await asyncio.sleep(0.05)
                report = await changed(stage, IN % (broker.port, *after))
                assert [gap.actor for gap in report.gaps] == ["orders"]
                await asyncio.sleep(0.05)
            await stage.until(lambda: len(stage.play.taken) >= len(sent))
            assert Counter(id for _, id in stage.play.taken) == Counter(map(str, sent))

    with Mosquitto(tmp_path) as broker:
        run(scenario(broker))
