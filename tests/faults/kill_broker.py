"""kill -9 of the broker under load, and its restart: what it acknowledged and forgot, sessions, fallbacks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.account import Account, Verdict
from tests.faults.draining import drain
from tests.faults.mqtt_client import publishing, recording_subscriber
from tests.faults.producer import Producer, posting
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.faults.waiting import new_from, until
from tests.faults.witness import Witness
from tests.mosquitto import Mosquitto
from tests.servers import free_port
from tests.tcp_proxy import proxy

TOPOLOGY = """
router: 1
name: kill-broker
settings: {{http: {{port: {port}}}, log: {{level: warning}}}}
connections:
  broker: {{type: mqtt, url: "mqtt://127.0.0.1:{broker}", keepalive: 2s}}
actors:
  alone-in: {{type: webhook, path: /alone, decode: json}}
  backed-in: {{type: webhook, path: /backed, decode: json}}
  alone-out: {{type: mqtt, connection: broker, publish: out/alone, require_subscriber: true, republish: 3s}}
  backed-out: {{type: mqtt, connection: broker, publish: out/backed, require_subscriber: true, republish: 3s}}
  besides: {{type: http, url: "{sink}/besides", timeout: 5s}}
  outside: {{type: mqtt, connection: broker, subscribe: in/#, decode: json}}
  end: {{type: http, url: "{sink}/end", timeout: 5s}}
routes:
  alone: {{from: alone-in, to: alone-out, <<: *durable}}
  backed: {{from: backed-in, to: backed-out, fallback: besides, <<: *durable}}
  inwards: {{from: outside, to: end, <<: *durable}}
"""

IN_FLIGHT_S = 6.0
"""`republish`, and the broker's last save, which may be two seconds old; and what a busy machine adds to them."""
PACE_S = 0.02
FORGETS = 0.3
"""How often the broker loses its disk as well, sessions and all."""
TWICE = 0.3
"""How often it is killed again at once."""
RECOVERY_LIMIT_S = 15.0
"""The longest wait between two attempts at connecting, its jitter, and the attempt: kills that follow each other
within ten seconds make the waits grow."""
DOWN_S = 0.5


async def kill_broker(
    folder: Path, *, rounds: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds).

    What the broker acknowledged to the producer outside, and forgot before the router had acknowledged it, is
    `beyond`: the router never had it, as the bytes between the two prove.
    """
    chance = random.Random(seed)
    account, witness = Account(in_flight_s=IN_FLIGHT_S), Witness()
    wrong: list[str] = []
    port = free_port()
    store = folder / "broker"
    store.mkdir()
    saving = ["persistence true", f"persistence_location {store}/", "autosave_interval 1"]
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Mosquitto(store, *saving))
        front = await stack.enter_async_context(proxy(broker.port, tap=witness))
        sink = await stack.enter_async_context(recording_sink(account))
        subscriber = await stack.enter_async_context(recording_subscriber(account, broker.port, "out/#", "sink"))
        topology = folder / "topology.yaml"
        topology.write_text(_topology(port=port, broker=front.port, sink=sink))
        router = RouterProcess(topology, folder / "state")
        await router.start()
        stack.push_async_callback(router.kill)
        async with AsyncExitStack() as ways:
            producers: list[Producer] = []
            for name in ("alone", "backed"):
                post = await ways.enter_async_context(posting(f"http://127.0.0.1:{port}/{name}", account))
                producers.append(Producer(post, account, name=f"{name}/", pace_s=PACE_S))
            outside = await ways.enter_async_context(publishing(broker.port, "in/x", "producer"))
            producers.append(Producer(outside, account, name="inwards/", pace_s=PACE_S))
            for producer in producers:
                await ways.enter_async_context(producer)
            saved = store / "mosquitto.db"
            await until(lambda: saved.exists() and b"sink" in saved.read_bytes(), "the broker saves its sessions")
            for number in range(1, rounds + 1):
                await asyncio.gather(*(producer.acknowledged(chance.randint(1, 60)) for producer in producers))
                await asyncio.sleep(chance.uniform(0, 2))
                forgets = await _killed(broker, saved, account, chance)
                if twice := chance.random() < TWICE:
                    # Before it has saved, and perhaps before anybody is back.
                    await asyncio.sleep(chance.uniform(0, 1))
                    forgets |= await _killed(broker, saved, account, chance)
                began = time.monotonic()
                await new_from((producer.name for producer in producers), account)
                recovery_s = time.monotonic() - began
                account.recoveries_s.append(recovery_s)
                if recovery_s > RECOVERY_LIMIT_S:
                    wrong.append(f"round {number}: all ways work only after {recovery_s:.1f} s")
                say(
                    f"round {number}/{rounds}: killed{' twice' * twice}{', its disk emptied' * forgets}; "
                    f"works again {recovery_s:.2f} s after its restart"
                )
            await asyncio.gather(*(producer.acknowledged(20) for producer in producers))
        # The router owes what it acknowledged, whether or not the broker's own answer got through to the producer.
        account.acknowledged.update(witness.acknowledged)
        await _passed(account, producers[-1])
        account.beyond = {id for id in account.missing if id.startswith("inwards/")} - witness.acknowledged.keys()
        await drain(router, account, wrong)
        say(f"the broker lost the subscriber's session {subscriber.sessions_lost} times")
        if account.dead:
            wrong.append(f"{len(account.dead)} dead letters, though every target came back")
        if (code := await router.stop()) != 0:
            wrong.append(f"the last stop ended with {code}: {router.output()}")
    return account.verdict(), wrong


def _topology(*, port: int, broker: int, sink: str) -> str:
    durable = (
        'durable: true, order_by: "{{ data.key }}", concurrency: 4, '
        "retry: {attempts: 20, delay: 100ms, max_delay: 500ms}"
    )
    return TOPOLOGY.format(port=port, broker=broker, sink=sink).replace("<<: *durable", durable)


async def _killed(broker: Mosquitto, saved: Path, account: Account, chance: random.Random) -> bool:
    """Kill it and start it again after a while; returns whether it lost its disk too."""
    forgets = chance.random() < FORGETS
    # What the broker forgets is published again, behind what went by HTTP meanwhile; and where it has forgotten
    # the subscriber, which is so again when it is killed before it has saved, behind what did not wait for that.
    unsaved = [fault for fault in account.faults[-1:] if time.monotonic() - fault.began < IN_FLIGHT_S]
    is_nobody_there = forgets or any("alone/" in fault.loosens for fault in unsaved)
    account.killed(loosens=("backed/", "alone/") if is_nobody_there else ("backed/",))
    await asyncio.to_thread(broker.kill)
    if forgets:
        saved.unlink(missing_ok=True)
    await asyncio.sleep(chance.uniform(0, DOWN_S))
    await asyncio.to_thread(broker.start)
    return forgets


async def _passed(account: Account, producer: Producer) -> None:
    """Wait until the last messages have arrived: the broker passes them on behind all that it still has."""
    last = set(producer.last.values())
    await until(lambda: last <= {one.id for one in account.received}, "the last messages arrive")
