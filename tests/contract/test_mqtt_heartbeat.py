"""Whether a broker answers pings, in both MQTT drivers, while other things come in."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actors.connections.mqtt.protocol import Arrival, Login, Server, Subscription, Version
from actors.connections.mqtt.subscriber import Subscriber
from actors.core.clock import LoopClock
from actors.core.events import Events
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.servers import HOST
from tests.tcp_proxy import proxy

pytestmark = [pytest.mark.live, pytest.mark.needs("mosquitto", "mosquitto_pub")]

KEEPALIVE_S = 2
DEADLINE_S = 10.0
LATE_S = 1.0
"""What a busy machine may add."""


class Recipient:
    """A source that acknowledges what arrives, and says until when it could."""

    def __init__(self) -> None:
        self.subscriber: Subscriber | None = None
        self.arrived_count = 0
        self.why: str | None = None
        self.up = asyncio.Event()
        self.down = asyncio.Event()

    def arrived(self, arrival: Arrival) -> None:
        self.arrived_count += 1
        if self.subscriber is not None:
            self.subscriber.acknowledge(arrival)

    def available(self) -> None:
        self.up.set()

    def unavailable(self, why: str) -> None:
        if self.up.is_set():
            self.why = why
            self.down.set()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


async def publish_for_ever(broker: Mosquitto) -> None:
    """mosquitto_pub, with a line a message, ten times a second."""
    command = ["mosquitto_pub", "-h", HOST, "-p", str(broker.port), "-q", "0", "-t", "a", "-l"]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    try:
        while True:
            process.stdin.write(b"x\n")
            await process.stdin.drain()
            await asyncio.sleep(0.1)
    finally:
        process.stdin.close()
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_broker_that_sends_and_does_not_hear_us_is_noticed(run: Run, broker: Mosquitto, version: Version) -> None:
    """When pings were unanswered for the keepalive; before that it stays connected as long as they are answered."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with proxy(broker.port) as front:
            recipient = Recipient()
            recipient.subscriber = Subscriber(
                recipient,
                Login("sub", keepalive_s=KEEPALIVE_S),
                [Subscription("a", 0)],
                connection="broker",
                version=version,
                servers=lambda: [Server(HOST, front.port)],
                clock=LoopClock(),
                events=Events(),
            )
            recipient.subscriber.open()
            publishing = loop.create_task(publish_for_ever(broker))
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await recipient.up.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(2 * KEEPALIVE_S):
                        await recipient.down.wait()
                assert not recipient.down.is_set()
                arrived = recipient.arrived_count
                assert arrived > KEEPALIVE_S
                began = loop.time()
                front.swallow(forth=True, back=False)
                async with asyncio.timeout(DEADLINE_S):
                    await recipient.down.wait()
                assert loop.time() - began < 1.5 * KEEPALIVE_S + LATE_S
                assert recipient.why is not None
                assert "has not answered for 2 s" in recipient.why
                assert recipient.arrived_count > arrived
            finally:
                publishing.cancel()
                await asyncio.wait([publishing])
                await recipient.subscriber.close()

    run(main())
