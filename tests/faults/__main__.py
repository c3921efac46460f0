"""`bin/faults NAME…`: makes faults under load, and says what was lost, repeated or out of order."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.faults.account import Verdict
from tests.faults.hot_swap import hot_swap
from tests.faults.kill_broker import kill_broker
from tests.faults.kill_router import kill_router
from tests.faults.kill_router_mqtt import kill_router_mqtt
from tests.faults.kill_worker import kill_worker
from tests.faults.partition import partition
from tests.faults.redis_restart import redis_restart

Scenario = Callable[..., Coroutine[Any, Any, tuple[Verdict, list[str]]]]

SCENARIOS: dict[str, tuple[Scenario, int, str]] = {
    "kill-router": (kill_router, 50, "kill -9 of the router, at random moments and named places"),
    "kill-broker": (kill_broker, 20, "kill -9 of mosquitto, with and without its disk, and its restart"),
    "kill-router-mqtt": (kill_router_mqtt, 50, "kill -9 of the router while it receives and publishes by MQTT"),
    "hot-swap": (hot_swap, 100, "changes of the running topology under load, some refused, some cut short by kill -9"),
    "partition": (partition, 14, "broken, held up, half-open and slow connections, and a broker that stands still"),
    "redis-restart": (
        redis_restart,
        5,
        "Redis stopped for 3 s again and again, its file synced every second and always",
    ),
    "kill-worker": (kill_worker, 5, "kill -9 of two of three processes that work one queue in Redis"),
}
"""Name: the run, its rounds, what it does. One module a row of the table of faults."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bin/faults",
        description="Makes faults under load on this machine, and counts what became of each message.",
        epilog="Faults: " + "; ".join(f"{name}: {text}" for name, (_, _, text) in SCENARIOS.items()) + ".",
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--rounds", type=int, help="how often the fault is made (default: each one's own)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="to repeat a run")
    parser.add_argument("--json", action="store_true", help="one JSON object a fault, a line each")
    given = parser.parse_args()
    unknown = [name for name in given.name if name not in SCENARIOS]
    if unknown:
        parser.error(f"unknown fault {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    return max(_run(name, given) for name in given.name or SCENARIOS)


def _run(name: str, given: argparse.Namespace) -> int:
    scenario, rounds, text = SCENARIOS[name]
    rounds = given.rounds or rounds
    if not given.json:
        print(f"{name}: {text}; {rounds} rounds, seed {given.seed}", flush=True)

    def say(line: str) -> None:
        if not given.json:
            print(f"  {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        verdict, wrong = asyncio.run(scenario(Path(folder), rounds=rounds, seed=given.seed, say=say))
    if given.json:
        print(json.dumps({"fault": name, "rounds": rounds, "seed": given.seed, **asdict(verdict), "wrong": wrong}))
    else:
        print("\n".join([str(verdict), *wrong, "holds" if verdict.holds and not wrong else "DOES NOT HOLD"]))
    return 0 if verdict.holds and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
