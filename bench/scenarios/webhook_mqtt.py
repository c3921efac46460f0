"""A webhook that publishes with QoS 1 and answers after the PUBACK, against Node-RED, under wrk with 32 connections.

Node-RED's answer comes from a `complete` node at its `mqtt out`, which fires on the PUBACK. Both parse the JSON and
write it again, both speak MQTT 5, and nobody is subscribed.
"""

from __future__ import annotations

import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.measure import OURS, Figure, Result, alternate
from bench.mosquitto import PAYLOAD, mosquitto
from bench.servers import START_S, free_port, node_peer, router, running, wrk

PEER = "node-red"
WARM_UP_S = 2
ANSWER_S = 2.0

TOPOLOGY = """
router: 1
name: webhook-mqtt
settings: {{state_dir: {state}, http: {{port: {port}}}, log: {{level: error}}}}
connections:
  broker: {{type: mqtt, url: "mqtt://127.0.0.1:{broker}"}}
actors:
  in: {{type: webhook, path: /in, respond: delivered}}
  out: {{type: mqtt, connection: broker, publish: out/x, qos: 1}}
routes:
  publish: {{from: in, to: out, concurrency: 50}}
"""

SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{PAYLOAD}'
"""

Program = Callable[[int], AbstractContextManager[str]]


@contextmanager
def _router(broker: int) -> Iterator[str]:
    port = free_port()
    with router(TOPOLOGY, port=port, broker=broker):
        yield f"http://127.0.0.1:{port}/in"


@contextmanager
def _node_red(broker: int) -> Iterator[str]:
    folder = node_peer("node-red")
    port = free_port()
    env = {"PORT": str(port), "MQTT_PORT": str(broker), "NODE_ENV": "production"}
    env["FLOW"] = str(folder / "webhook-mqtt.json")
    with tempfile.TemporaryDirectory() as user:
        command = ["node", "node_modules/node-red/red.js", "--settings", "settings.js", "--userDir", user]
        with running(command, port=port, env=env, cwd=folder):
            yield f"http://127.0.0.1:{port}/in"


def _measure(program: Program) -> Figure:
    with mosquitto() as broker, program(broker) as url:
        _await_answer(url)
        wrk(url, script=SCRIPT, seconds=WARM_UP_S)
        return wrk(url, script=SCRIPT)


def _await_answer(url: str) -> None:
    """Listening comes before a flow's start and before the broker's CONNACK; before that Node-RED answers nothing."""
    request = urllib.request.Request(url, PAYLOAD.encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(request, timeout=ANSWER_S).close()
            return
        except (urllib.error.URLError, TimeoutError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"{url}: {error}")
            time.sleep(0.05)


def run(*, rounds: int) -> Result:
    figures = alternate({OURS: lambda: _measure(_router), PEER: lambda: _measure(_node_red)}, rounds=rounds)
    latencies = {name: figure.p99_ms for name, figure in figures.items() if figure.p99_ms is not None}
    return Result("webhook-mqtt", "requests/s", figures[OURS].value, {PEER: figures[PEER].value}, p99_ms=latencies)
