"""A process with a broker in the house, which tests kill: broker_parent.py KIND STATE_DIR."""

import asyncio
import sys
from pathlib import Path

import uvloop

from actors.connections.mqtt.brokers.embedded_broker import EmbeddedBroker
from actors.connections.mqtt.brokers.mosquitto_broker import MosquittoBroker
from actors.connections.mqtt.brokers.options import HouseOptions
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.events import Events

KINDS = {"embedded": EmbeddedBroker, "mosquitto": MosquittoBroker}


async def main(kind: str, state_dir: Path) -> None:
    context = ConnectionContext("trial", LoopClock(), Events(), state_dir, state_dir)
    broker = KINDS[kind](HouseOptions(), context)
    await broker.start()
    print(broker.pid, broker.addresses.mqtt.port, flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], Path(sys.argv[2])))
