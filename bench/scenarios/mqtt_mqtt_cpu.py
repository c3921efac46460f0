"""The processor time that a message of `mqtt-mqtt` costs the program; the broker's is not counted."""

from __future__ import annotations

from dataclasses import replace

from bench.measure import Result
from bench.scenarios.mqtt_mqtt import measured


def run(*, rounds: int) -> Result:
    result = measured("mqtt-mqtt-cpu", "µs/message", lambda forwarded: forwarded.cpu_us, rounds=rounds)
    return replace(result, better="lower")
