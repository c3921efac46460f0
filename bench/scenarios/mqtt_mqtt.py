"""MQTT to MQTT, QoS 1 on both sides, from a backlog that waits in mosquitto before the program starts.

No publisher runs while it is timed, so none can be the limit, and mosquitto_sub alone takes such a backlog faster
than any of these. All speak MQTT 5. Ours acknowledges a message when the forwarded one is acknowledged. Node-RED
cannot, and acknowledges on receipt; of mqtt.js there are both, where end to end means one message after the other.
Ours and Node-RED parse the JSON and write it again, mqtt.js hands the bytes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from bench.measure import OURS, Figure, Result, alternate
from bench.mosquitto import SESSION, Forwarded, fill, mosquitto, sink
from bench.servers import free_port, node_peer, router, running

NODE_RED = "node-red"
MQTTJS = "mqtt.js"
MQTTJS_SERIAL = "mqtt.js, end to end"

# The client id of a source is the connection's, a dash and the source's name.
CONNECTION, SOURCE = SESSION.split("-")

TOPOLOGY = f"""
router: 1
name: mqtt-mqtt
settings: {{{{state_dir: {{state}}, log: {{{{level: error}}}}}}}}
connections:
  broker: {{{{type: mqtt, url: "mqtt://127.0.0.1:{{port}}", client_id: {CONNECTION}}}}}
actors:
  {SOURCE}: {{{{type: mqtt, connection: broker, subscribe: in/x, qos: 1}}}}
  out: {{{{type: mqtt, connection: broker, publish: out/x, qos: 1}}}}
routes:
  forward: {{{{from: {SOURCE}, to: out, concurrency: 1000}}}}
"""

Program = Callable[[int], AbstractContextManager[int]]


def _router(broker: int) -> AbstractContextManager[int]:
    # It has no listener; that it runs is seen at the sink.
    return router(TOPOLOGY, port=broker)


@contextmanager
def _node_red(broker: int) -> Iterator[int]:
    folder = node_peer("node-red")
    port = free_port()
    env = {"PORT": str(port), "MQTT_PORT": str(broker), "CLIENT_ID": SESSION, "NODE_ENV": "production"}
    with tempfile.TemporaryDirectory() as user:
        env["FLOW"] = str(folder / "mqtt-mqtt.json")
        command = ["node", "node_modules/node-red/red.js", "--settings", "settings.js", "--userDir", user]
        with running(command, port=port, env=env, cwd=folder) as pid:
            yield pid


def _mqttjs(acknowledge: str) -> Program:
    @contextmanager
    def program(broker: int) -> Iterator[int]:
        folder = node_peer("mqttjs")
        env = {"MQTT_PORT": str(broker), "CLIENT_ID": SESSION, "ACKNOWLEDGE": acknowledge, "NODE_ENV": "production"}
        with running(["node", "forward.js"], port=broker, env=env, cwd=folder) as pid:
            yield pid

    return program


PROGRAMS: Mapping[str, Program] = {
    OURS: _router,
    NODE_RED: _node_red,
    MQTTJS: _mqttjs("on-receipt"),
    MQTTJS_SERIAL: _mqttjs("end-to-end"),
}


def forward(program: Program) -> Forwarded:
    """Start a broker with a backlog, then the program, and time it."""
    with mosquitto() as broker:
        fill(broker)
        with sink(broker) as end, program(broker) as pid:
            return end.measure(pid)


def measured(scenario: str, unit: str, figure: Callable[[Forwarded], float], *, rounds: int) -> Result:
    """One figure of all programs."""

    def measure(program: Program) -> Callable[[], Figure]:
        return lambda: Figure(figure(forward(program)))

    figures = alternate({name: measure(program) for name, program in PROGRAMS.items()}, rounds=rounds)
    ours = figures.pop(OURS)
    return Result(scenario, unit, ours.value, {name: each.value for name, each in figures.items()})


def run(*, rounds: int) -> Result:
    return measured("mqtt-mqtt", "messages/s", lambda forwarded: forwarded.rate, rounds=rounds)
