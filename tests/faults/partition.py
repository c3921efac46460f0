"""Connections that break, stand still, are half-open or slow, and a broker that stands still, under load."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.account import Account, Fault, Verdict
from tests.faults.draining import drain
from tests.faults.mqtt_client import publishing, recording_subscriber
from tests.faults.producer import Producer, posting
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.faults.waiting import new_from
from tests.mosquitto import Mosquitto
from tests.servers import free_port
from tests.tcp_proxy import Proxy, proxy

TOPOLOGY = """
router: 1
name: partition
settings: {{http: {{port: {port}}}, log: {{level: warning}}}}
connections:
  broker: {{type: mqtt, url: "mqtt://127.0.0.1:{broker}", keepalive: 2s}}
actors:
  alone-in: {{type: webhook, path: /alone, decode: json}}
  backed-in: {{type: webhook, path: /backed, decode: json}}
  far-in: {{type: webhook, path: /far, decode: json}}
  outside: {{type: mqtt, connection: broker, subscribe: in/#, decode: json}}
  alone-out: {{type: mqtt, connection: broker, publish: out/alone}}
  backed-out: {{type: mqtt, connection: broker, publish: out/backed}}
  besides: {{type: http, url: "{sink}/besides", timeout: 5s}}
  far: {{type: http, url: "http://127.0.0.1:{far}/far", timeout: 1s}}
  end: {{type: http, url: "{sink}/end", timeout: 5s}}
routes:
  alone: {{from: alone-in, to: alone-out, <<: *durable}}
  backed: {{from: backed-in, to: backed-out, fallback: besides, <<: *durable}}
  away: {{from: far-in, to: far, <<: *durable}}
  inwards: {{from: outside, to: end, <<: *durable}}
"""

KEEPALIVE_S = 2.0
LATE_S = 1.0
"""What a busy machine may add, on either side."""
NOTICE_LIMIT_S = KEEPALIVE_S + LATE_S
UNANSWERED_LIMIT_S = KEEPALIVE_S * 1.5 + LATE_S
"""Where other things come in, pings must be unanswered for a whole interval."""
FALLBACK_LIMIT_S = 1.0
RECOVERY_LIMIT_S = 20.0
"""An attempt at connecting that began while nothing came through ends after five seconds; the wait behind it is
up to thirteen, since faults that follow each other within ten seconds make the waits grow."""
SLOW_S = 0.1
"""Each way, and far below what a dead peer is told by."""
LASTS_S = 2.0
"""How long a slow connection is looked at, and a dead peer beyond its notice at most."""
GROWTH_LIMIT_MIB = 48.0
PACE_S = 0.05
MQTT_ACTORS = ("alone-out", "backed-out", "outside")


@dataclass(frozen=True, slots=True)
class Harm:
    """One kind of fault: what is done to the broker or to the connections, and how it ends."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]
    limit_s: float | None = NOTICE_LIMIT_S
    """How soon the router must say that its broker is away; None: it must go on as if nothing were."""
    holds_back: tuple[str, ...] = ()
    """Of which keys the broker may have messages that it acknowledged and hands on only behind the fault."""


def harms(broker: Mosquitto, fronts: Sequence[Proxy]) -> list[Harm]:
    """Every kind; `fronts` are before the broker and before the HTTP target."""

    def each(act: Callable[[Proxy], None]) -> Callable[[], None]:
        def do() -> None:
            for front in fronts:
                act(front)

        return do

    def sever(front: Proxy) -> None:
        front.refuse()
        front.cut()

    def swallow(*, forth: bool, back: bool) -> Callable[[], None]:
        return each(lambda front: front.swallow(forth=forth, back=back))

    flow = each(Proxy.let_flow)
    return [
        Harm("broken", each(sever), each(lambda front: front.refuse(False))),
        Harm("held up", each(Proxy.hold), flow),
        Harm("half-open", swallow(forth=True, back=True), flow),
        Harm("half-open, nothing comes back", swallow(forth=False, back=True), flow),
        # The broker is not silent here: it still sends messages, and only does not hear us.
        Harm("half-open, nothing gets there", swallow(forth=True, back=False), flow, UNANSWERED_LIMIT_S),
        Harm("slow", each(lambda front: front.delay(SLOW_S)), each(lambda front: front.delay(0)), None),
        Harm("broker stopped", broker.pause, broker.resume, holds_back=("backed/",)),
    ]


async def partition(
    folder: Path, *, rounds: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds). Each round is one kind in turn."""
    chance = random.Random(seed)
    # What was delivered may not be known to be: that takes until the peer is noticed to be dead.
    account = Account(in_flight_s=2.0)
    wrong: list[str] = []
    port = free_port()
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder))
        sink = await stack.enter_async_context(recording_sink(account))
        fronts = [
            await stack.enter_async_context(proxy(behind)) for behind in (broker.port, int(sink.rpartition(":")[2]))
        ]
        await stack.enter_async_context(recording_subscriber(account, broker.port, "out/#", "sink"))
        topology = folder / "topology.yaml"
        topology.write_text(_topology(port=port, broker=fronts[0].port, far=fronts[1].port, sink=sink))
        router = RouterProcess(topology, folder / "state")
        await router.start()
        stack.push_async_callback(router.kill)
        async with AsyncExitStack() as ways:
            producers: list[Producer] = []
            for name in ("alone", "backed", "far"):
                post = await ways.enter_async_context(posting(f"http://127.0.0.1:{port}/{name}", account))
                producers.append(Producer(post, account, name=f"{name}/", pace_s=PACE_S))
            outside = await ways.enter_async_context(publishing(broker.port, "in/x", "producer"))
            producers.append(Producer(outside, account, name="inwards/", pace_s=PACE_S))
            for producer in producers:
                await ways.enter_async_context(producer)
            run = _Run(router, account, producers, wrong)
            kinds = harms(broker, fronts)
            chance.shuffle(kinds)
            await asyncio.gather(*(producer.acknowledged(20) for producer in producers))
            peak_mib = router.peak_mib
            for number in range(1, rounds + 1):
                harm = kinds[(number - 1) % len(kinds)]
                await asyncio.gather(*(producer.acknowledged(chance.randint(10, 60)) for producer in producers))
                told = await run.suffer(harm, lasts_s=chance.uniform(0, LASTS_S))
                grown_mib = router.peak_mib - peak_mib
                if grown_mib > GROWTH_LIMIT_MIB:
                    wrong.append(f"round {number}: {harm.name}: {grown_mib:.0f} MiB more than at the beginning")
                say(f"round {number}/{rounds}: {harm.name}: {told}; peak memory +{grown_mib:.0f} MiB")
        await drain(router, account, wrong)
        if account.dead:
            wrong.append(f"{len(account.dead)} dead letters, though every target came back")
        if (code := await router.stop()) != 0:
            wrong.append(f"the last stop ended with {code}: {router.output()}")
    return account.verdict(), wrong


def _topology(**where: Any) -> str:
    durable = (
        'durable: true, order_by: "{{ data.key }}", concurrency: 4, '
        "retry: {attempts: 50, delay: 50ms, max_delay: 500ms}"
    )
    return TOPOLOGY.format(**where).replace("<<: *durable", durable)


class _Run:
    """One router under load, which suffers one harm after the other."""

    def __init__(
        self, router: RouterProcess, account: Account, producers: Sequence[Producer], wrong: list[str]
    ) -> None:
        self._router = router
        self._account = account
        self._names = [producer.name for producer in producers]
        self._wrong = wrong

    async def suffer(self, harm: Harm, *, lasts_s: float) -> str:
        """One fault from its beginning until everything works again; returns what to say of it."""
        began = time.monotonic()
        harm.begin()
        try:
            told = await (self._unnoticed(harm) if harm.limit_s is None else self._noticed(harm, began, harm.limit_s))
            await asyncio.sleep(lasts_s)
        finally:
            harm.end()
        ended = time.monotonic()
        await self._until_available(True)
        await new_from(self._names, self._account)
        recovery_s = time.monotonic() - ended
        self._account.recoveries_s.append(recovery_s)
        # What was under way may be told anew until then.
        self._account.faults.append(Fault(began, ended + recovery_s, holds_back=harm.holds_back))
        if recovery_s > RECOVERY_LIMIT_S:
            self._wrong.append(f"{harm.name}: works again only after {recovery_s:.1f} s")
        return f"{told}, works again after {recovery_s:.2f} s"

    async def _noticed(self, harm: Harm, began: float, limit_s: float) -> str:
        await self._until_available(False)
        notice_s = time.monotonic() - began
        self._account.notices_s.append(notice_s)
        if notice_s > limit_s:
            self._wrong.append(f"{harm.name}: noticed only after {notice_s:.1f} s")
        # From here on the fallback is used at once, and the route without one holds back.
        suspended = asyncio.create_task(self._until_suspended())
        noticed = time.monotonic()
        await new_from(["backed/"], self._account)
        fallback_s = time.monotonic() - noticed
        await suspended
        if fallback_s > FALLBACK_LIMIT_S:
            self._wrong.append(f"{harm.name}: the fallback is used only {fallback_s:.1f} s after the notice")
        return f"noticed after {notice_s:.2f} s, fallback after {fallback_s:.2f} s"

    async def _unnoticed(self, harm: Harm) -> str:
        """All goes on, and nobody takes anybody for dead."""
        until_s = time.monotonic() + LASTS_S
        while time.monotonic() < until_s:
            if gone := [name for name in MQTT_ACTORS if not await self._is_available(name)]:
                self._wrong.append(f"{harm.name}: {', '.join(gone)} is taken for dead")
                break
        await new_from(self._names, self._account)
        return "goes on"

    async def _until_available(self, available: bool) -> None:
        async with asyncio.timeout(30):
            for name in MQTT_ACTORS:
                while await self._is_available(name) is not available:  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.01)

    async def _is_available(self, name: str) -> bool:
        return bool((await self._router.get(f"/v1/actors/{name}"))["available"])

    async def _until_suspended(self) -> None:
        async with asyncio.timeout(10):
            while not (await self._router.get("/v1/actors/alone"))["suspended"]:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.01)
