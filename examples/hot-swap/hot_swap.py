"""Changes a router from HTTP to MQTT and back while messages flow, and shows what that did to them.

Starts a router, stands in for the AI services that post to it and for the WhatsApp services that it leads to, and asks
for the changes by the same commands that an operator types.
"""

# ruff: noqa: INP001  # a program, and no module of a package

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path

import aiohttp
from aiohttp import web
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
ROUTER = (sys.executable, "-m", "router")
SERVICES = ("clientes", "proveedores")
NUMBERS = 50
"""Phone numbers that each service sends to."""
CHANGES = (
    ("a twentieth goes by MQTT", "five-percent.yaml"),
    ("all goes by MQTT", "mqtt.yaml"),
    ("back to HTTP", "http.yaml"),
)
WORK_S = (0.1, 0.3)
"""How long a WhatsApp service takes to answer over HTTP."""
CALM_S = 2.0
"""Between two changes."""
BEHIND_S = 0.5
"""So long behind a change it may still be felt."""
DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message at a WhatsApp service."""

    service: str
    key: str
    to: str
    number: int
    """Its place among those to that phone number."""
    via: str
    at: float


@dataclass(slots=True)
class Account:
    """What was posted, what was answered, and what arrived. Times are monotonic seconds."""

    posted: dict[str, float] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    refused: int = 0
    """Answers other than 2xx, and connections that failed."""
    arrivals: list[Arrival] = field(default_factory=list)

    def arrived(self, service: str, data: dict[str, object], via: str) -> None:
        """Write down a message that has come to `service`."""
        key, to, number = str(data["message_id"]), str(data["to"]), int(str(data["number"]))
        self.arrivals.append(Arrival(service, key, to, number, via, time.monotonic()))

    @property
    def missing(self) -> set[str]:
        return self.accepted - {each.key for each in self.arrivals}

    @property
    def twice(self) -> int:
        return len(self.arrivals) - len({each.key for each in self.arrivals})

    @property
    def out_of_order(self) -> int:
        last: dict[tuple[str, str], int] = {}
        wrong = 0
        for each in self.arrivals:
            wrong += each.number < last.get((each.service, each.to), 0)
            last[each.service, each.to] = each.number
        return wrong

    def longest_gap_ms(self, began: float, ended: float) -> float:
        """The longest time in which nothing arrived at one of the services."""
        gaps = [0.0]
        for service in SERVICES:
            times = [each.at for each in self.arrivals if each.service == service and began <= each.at <= ended]
            gaps += [after - before for before, after in pairwise(times)]
        return max(gaps) * 1000

    def latest_ms(self, began: float, ended: float) -> float:
        """The longest time from posting to arrival, of what was posted in between."""
        delays = [each.at - self.posted[each.key] for each in self.arrivals if began <= self.posted[each.key] <= ended]
        return max(delays, default=0.0) * 1000

    def ways(self, began: float, ended: float) -> str:
        """How what arrived in between came."""
        ways = [each.via for each in self.arrivals if began <= each.at <= ended]
        return " and ".join(f"{ways.count(way):,} by {way}" for way in ("HTTP", "MQTT") if way in ways)


# The WhatsApp services


@asynccontextmanager
async def http_service(account: Account) -> AsyncIterator[str]:
    """Both of them behind one port; yields the URL."""

    async def take(request: web.Request) -> web.Response:
        account.arrived(request.match_info["service"], json.loads(await request.read()), "HTTP")
        await asyncio.sleep(random.uniform(*WORK_S))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{service}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def mqtt_service(account: Account, router: Router) -> AsyncIterator[None]:
    """Both of them at the broker that comes with the router."""
    loop, subscribed = asyncio.get_running_loop(), asyncio.Event()
    client = Client(CallbackAPIVersion.VERSION2, "wa-services", protocol=MQTTProtocolVersion.MQTTv5)
    login = router.broker_login()
    client.username_pw_set(login["username"], login["password"])

    def connected(client: Client, *_: object) -> None:
        client.subscribe("whatsapp/+/send", qos=1)

    def has_subscribed(*_: object) -> None:
        loop.call_soon_threadsafe(subscribed.set)

    def arrived(_: Client, data: object, message: MQTTMessage) -> None:
        service = message.topic.split("/")[1]
        loop.call_soon_threadsafe(account.arrived, service, json.loads(message.payload), "MQTT")

    client.on_connect = connected
    client.on_subscribe = has_subscribed
    client.on_message = arrived
    client.connect(HOST, router.mqtt_port)
    client.loop_start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await subscribed.wait()
        yield
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


# The AI services


@asynccontextmanager
async def ai_services(account: Account, url: str, rate: float) -> AsyncIterator[None]:
    """They post `rate` messages a second together; a number's next one when the one before was answered."""
    stopping = asyncio.Event()
    began, every_s = time.monotonic(), NUMBERS * len(SERVICES) / rate

    async def write_to(session: aiohttp.ClientSession, service: str, phone: int) -> None:
        # Of both services and all numbers none has the beat of another.
        due = began + every_s * (phone + 0.5 * SERVICES.index(service)) / NUMBERS
        for number in count(1):
            await asyncio.sleep(due - time.monotonic())
            if stopping.is_set():
                return
            key, due = f"{service}-{phone}-{number}", due + every_s
            body = {"message_id": key, "to": f"09912345{phone:02}", "number": number, "text": "hola"}
            account.posted[key] = time.monotonic()
            while key not in account.accepted:
                try:
                    answer = await session.post(f"{url}/wa-{service}/send", json=body, headers={"Idempotency-Key": key})
                    async with answer:
                        accepted = answer.ok
                except (aiohttp.ClientError, TimeoutError):
                    accepted = False
                if accepted:
                    account.accepted.add(key)
                else:
                    account.refused += 1
                    await asyncio.sleep(0.1)

    timeout = aiohttp.ClientTimeout(DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as tasks:
        for service in SERVICES:
            for phone in range(NUMBERS):
                tasks.create_task(write_to(session, service, phone))
        try:
            yield
        finally:
            stopping.set()


# The router


class Router:
    """`router start` as a process, and other `router` commands beside it."""

    def __init__(self, folder: Path, service: str) -> None:
        """All that it keeps is in `folder`; `service` is the URL of the WhatsApp services."""
        http_port, self.mqtt_port = free_ports()
        self.url = f"http://{HOST}:{http_port}"
        self._state = folder / "state"
        self._log = folder / "router.log"
        self._env = {
            **os.environ,
            "ROUTER_CONTROL": str(self._state / "control.sock"),
            "HTTP_PORT": str(http_port),
            "MQTT_PORT": str(self.mqtt_port),
            "WA_URL": service,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything in it is ready."""
        command = [*ROUTER, "start", str(HERE / "http.yaml"), "--state-dir", str(self._state)]
        with self._log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, env=self._env, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not await self._is_ready():
                if process.returncode is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the router does not run:\n{self._log.read_text()}")
            yield
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run another command; returns its exit code, and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(*ROUTER, *arguments),
            env=self._env,
            cwd=HERE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return await process.wait(), said.decode()

    def broker_login(self) -> dict[str, str]:
        """The user and the password of the broker in the house."""
        login: dict[str, str] = json.loads((self._state / "brokers" / "broker" / "credentials.json").read_text())
        return login

    async def _is_ready(self) -> bool:
        code, said = await self.command("ps", "--json")
        if code:
            return False
        view = json.loads(said)
        return all(each["state"] == "ready" for each in (*view["actors"], *view["routes"]))


def free_ports() -> tuple[int, int]:
    """Two that nobody listens at."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


# The show


async def show(rate: float) -> int:
    """Make the three changes; the exit code is 0 where nothing was lost and nobody turned away."""
    account = Account()
    longest_ms, codes = 0.0, 0
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hot-swap-")))
        service = await stack.enter_async_context(http_service(account))
        router = Router(folder, service)
        await stack.enter_async_context(router.running())
        await stack.enter_async_context(mqtt_service(account, router))
        async with ai_services(account, router.url, rate):
            print(f"A router runs by http.yaml, and {rate:g} messages a second are posted to it.", flush=True)
            for text, file in CHANGES:
                calm = time.monotonic() + BEHIND_S
                await asyncio.sleep(CALM_S)
                began = time.monotonic()
                print(f"\n== {text}\n$ router apply {file}", flush=True)
                code, said = await router.command("apply", file)
                await asyncio.sleep(BEHIND_S)
                ended = time.monotonic()
                gap_ms = account.longest_gap_ms(began, ended)
                print(
                    f"{said}\nmeanwhile {account.ways(began, ended)}; longest gap {gap_ms:.0f} ms "
                    f"(without a change: {account.longest_gap_ms(calm, began):.0f} ms), "
                    f"latest message {account.latest_ms(began, ended):.0f} ms behind its posting",
                    flush=True,
                )
                longest_ms, codes = max(longest_ms, gap_ms), codes + code
            await asyncio.sleep(CALM_S)
        deadline = time.monotonic() + DEADLINE_S
        while account.missing and time.monotonic() < deadline:  # noqa: ASYNC110  # other processes are at work
            await asyncio.sleep(0.05)
    print(
        f"\n{len(account.accepted):,} messages were accepted, and {len(account.missing)} of them are missing; "
        f"{account.twice} came twice, {account.out_of_order} out of order; {account.refused} posts were refused.\n"
        f"Longest gap: {longest_ms:.0f} ms."
    )
    return 1 if codes or account.missing or account.out_of_order or account.refused else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="run", description="From HTTP to MQTT and back, while messages flow.")
    parser.add_argument("--rate", type=float, default=300.0, metavar="N", help="messages a second (default 300)")
    given = parser.parse_args()
    return asyncio.run(show(given.rate))


if __name__ == "__main__":
    sys.exit(main())
