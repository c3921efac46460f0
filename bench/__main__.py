"""`bin/bench SCENARIO…`: measures, and prints a table, or with `--json` one object a scenario."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from bench.measure import OURS, Result

SCENARIOS = {
    "hop": "source → route → sink in process, against two bare asyncio queues",
    "actors": "20,000 actors start and stop, in any order",
    "validate": "a topology of 2,000 actors and 2,000 routes is checked",
    "webhook-durable": "answered after the journal's commit, against Express + BullMQ",
    "mqtt-mqtt": "QoS 1 in and out, from a backlog, against Node-RED and mqtt.js",
    "mqtt-mqtt-cpu": "processor time a message of mqtt-mqtt",
    "webhook-mqtt": "answered after the broker's PUBACK, against Node-RED",
    "swap": "a target changes from HTTP to MQTT under load: longest gap and losses, against Node-RED's deploys",
    "rest": "memory of a router at rest",
    "queue-work": "jobs worked from a backlog in Redis, 50 at a time, against BullMQ's workers",
    "webhook-redis": "answered when Redis has the job, against Fastify + BullMQ",
    "webhook-sqlite": "answered when the job is on disk, against Express + BullMQ",
    "queue-million": "adding and stats with a million jobs waiting, as multiples of their time with a thousand",
}

GROUPS = {"queue": ("queue-work", "webhook-redis", "webhook-sqlite", "queue-million")}
"""Names that stand for several scenarios."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bin/bench",
        description="Measures Pointsman against others, in one run on this machine.",
        epilog="Scenarios: "
        + "; ".join(f"{name}: {text}" for name, text in SCENARIOS.items())
        + ". Groups: "
        + "; ".join(f"{name}: {', '.join(names)}" for name, names in GROUPS.items())
        + ".",
    )
    choices = [*SCENARIOS, *GROUPS, []]
    parser.add_argument("scenario", nargs="*", choices=choices, metavar="SCENARIO", help="or a group; default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario, a line each")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each program, at least 3 (default 3)")
    given = parser.parse_args()
    rounds = max(3, given.rounds)
    names = [name for given_name in given.scenario or SCENARIOS for name in GROUPS.get(given_name, (given_name,))]
    if not given.json:
        print(f"{_machine()}, Python {platform.python_version()}, {rounds} rounds, medians\n", flush=True)
    for name in names:
        module = importlib.import_module(f"bench.scenarios.{name.replace('-', '_')}")
        result: Result = module.run(rounds=rounds)
        print(json.dumps(result.as_dict()) if given.json else _table(result), flush=True)
    return 0


def _table(result: Result) -> str:
    def row(name: str, value: float, ratio: str, p99: float | None) -> str:
        latency = f"{p99:9.1f} ms" if p99 is not None else ""
        besides = result.besides.get(name, "")
        figure = f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
        return f"  {name:<28}{figure:>14} {result.unit:<14}{ratio:>8}  {latency}{besides}".rstrip()

    lines = [f"{result.scenario}: {SCENARIOS[result.scenario]}"]
    lines.append(row(OURS, result.ours, "", result.p99_ms.get(OURS)))
    for name, value in result.variants.items():
        lines.append(row(f"{OURS}, {name}", value, "", result.p99_ms.get(f"{OURS}, {name}")))
    for name, value in result.peers.items():
        lines.append(row(name, value, f"× {result.ratios[name]:.2f}", result.p99_ms.get(name)))
    return "\n".join(lines) + "\n"


def _machine() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text()
        model = next(line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{model}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
