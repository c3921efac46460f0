"""kill -9 of the router between MQTT and MQTT, on a durable route and on one that acknowledges at the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.account import Account, Verdict
from tests.faults.draining import drain
from tests.faults.failpoints import MQTT_PLACES, PLACES
from tests.faults.killing import kill_again_and_again
from tests.faults.mqtt_client import publishing, recording_subscriber
from tests.faults.producer import Producer
from tests.faults.router_process import RouterProcess
from tests.mosquitto import Mosquitto

TOPOLOGY = """
router: 1
name: kill-router-mqtt
settings: {{log: {{level: warning}}}}
connections:
  broker: {{type: mqtt, url: "{broker}", keepalive: 5s}}
actors:
  kept-in: {{type: mqtt, connection: broker, subscribe: in/kept, decode: json}}
  direct-in: {{type: mqtt, connection: broker, subscribe: in/direct, decode: json}}
  kept-out: {{type: mqtt, connection: broker, publish: out/kept}}
  direct-out: {{type: mqtt, connection: broker, publish: out/direct}}
routes:
  kept:
    from: kept-in
    durable: true
    order_by: "{{{{ data.key }}}}"
    concurrency: 4
    to: kept-out
  direct:
    from: direct-in
    order_by: "{{{{ data.key }}}}"
    concurrency: 4
    to: direct-out
"""

PACE_S = 0.04


async def kill_router_mqtt(
    folder: Path, *, rounds: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds).

    Acknowledged is what the broker has acknowledged to the producers. It stays up, so all of that must arrive.
    """
    account = Account()
    wrong: list[str] = []
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder))
        await stack.enter_async_context(recording_subscriber(account, broker.port, "out/#", "sink"))
        topology = folder / "topology.yaml"
        topology.write_text(TOPOLOGY.format(broker=broker.url))
        router = RouterProcess(topology, folder / "state")
        # Once, so that the broker has its sessions before anything is published.
        await router.start()
        stack.push_async_callback(router.kill)
        await router.kill()
        async with AsyncExitStack() as ways:
            producers = []
            for name in ("kept", "direct"):
                way = await ways.enter_async_context(publishing(broker.port, f"in/{name}", f"producer-{name}"))
                producer = Producer(way, account, name=f"{name}/", pace_s=PACE_S)
                producers.append(await ways.enter_async_context(producer))
            await kill_again_and_again(
                router,
                producers[0],
                account,
                places=[*PLACES, *MQTT_PLACES],
                rounds=rounds,
                chance=random.Random(seed),
                wrong=wrong,
                say=say,
            )
        await drain(router, account, wrong)
        if (code := await router.stop()) != 0:
            wrong.append(f"the last stop ended with {code}: {router.output()}")
    return account.verdict(), wrong
