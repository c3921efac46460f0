"""So many posts a second to a program, each once; an HTTP service and a subscriber where what it makes of them ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise

import aiohttp
from aiohttp import web
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

RATE = 200.0
ANSWER_S = 5.0
"""Who posts waits so long for an answer."""
WORK_S = 0.1
"""How long the HTTP service takes for a message."""
HOST = "127.0.0.1"


@dataclass(slots=True)
class Account:
    """What became of each post. Times are monotonic seconds."""

    posted: dict[str, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    """By status, or by what happened in place of an answer."""
    arrivals: list[tuple[str, float]] = field(default_factory=list)

    @property
    def never_arrived(self) -> int:
        return len(self.posted.keys() - {id for id, _ in self.arrivals})

    @property
    def not_2xx(self) -> int:
        """Posts that were refused, or not answered at all."""
        return sum(number for answer, number in self.answers.items() if not answer.startswith("2"))

    def longest_gap_ms(self, began: float, ended: float) -> float:
        """The longest time in which nothing arrived."""
        times = [began, *(at for _, at in self.arrivals if began <= at <= ended), ended]
        return max(after - before for before, after in pairwise(times)) * 1000

    def arrived(self, body: bytes | bytearray) -> None:
        self.arrivals.append((json.loads(body)["id"], time.monotonic()))


@asynccontextmanager
async def http_sink(account: Account) -> AsyncIterator[str]:
    """Yields the service's URL."""

    async def take(request: web.BaseRequest) -> web.Response:
        account.arrived(await request.read())
        await asyncio.sleep(WORK_S)
        return web.Response(text="ok")

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}/out"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def mqtt_sink(account: Account, port: int, topic: str) -> AsyncIterator[None]:
    """It has subscribed."""
    loop, subscribed = asyncio.get_running_loop(), asyncio.Event()
    client = Client(CallbackAPIVersion.VERSION2, "bench-sink", protocol=MQTTProtocolVersion.MQTTv5)

    def arrived(_: Client, data: object, message: MQTTMessage) -> None:
        loop.call_soon_threadsafe(account.arrived, message.payload)

    def has_subscribed(*_: object) -> None:
        loop.call_soon_threadsafe(subscribed.set)

    client.on_message = arrived
    client.on_subscribe = has_subscribed
    await asyncio.to_thread(client.connect, HOST, port)
    client.subscribe(topic, qos=1)
    client.loop_start()
    try:
        async with asyncio.timeout(ANSWER_S):
            await subscribed.wait()
        yield
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


@asynccontextmanager
async def posting(account: Account, url: str) -> AsyncIterator[None]:
    """Nobody posts anything twice, whatever is answered; at the end all answers are waited for."""
    stopping = asyncio.Event()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(ANSWER_S)

    async def post(session: aiohttp.ClientSession, id: str) -> None:
        try:
            async with session.post(url, json={"id": id, "text": "hola"}) as response:
                await response.read()
                account.answers[str(response.status)] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            account.answers[type(error).__name__] += 1

    async def go_on(session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        for number in count():
            await asyncio.sleep(began + number / RATE - time.monotonic())
            if stopping.is_set():
                return
            account.posted[f"m-{number}"] = time.monotonic()
            tasks.create_task(post(session, f"m-{number}"))

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as tasks:
        tasks.create_task(go_on(session, tasks))
        try:
            yield
        finally:
            stopping.set()
