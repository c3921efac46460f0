"""A target is changed from HTTP to MQTT under 200 posts a second: the longest time without an arrival, and losses.

The same change of the same flow: a webhook that posts to a service, which takes 100 ms, and answers when that has
answered; then one that publishes with QoS 1 and answers after the PUBACK. What leads to the broker is made by the
change. Ours is `router apply`, Node-RED's a deploy by its admin API, of the modified nodes alone and of everything; its
nodes have coordinates, since those without are configuration to it, and deployed otherwise. Who posts does so once:
counted is what never arrives anywhere, and what is not answered with 2xx within five seconds. The longest gap is the
median of all rounds, losses are of all rounds together.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import OURS, Result
from bench.mosquitto import mosquitto
from bench.posts import Account, http_sink, mqtt_sink, posting
from bench.servers import ROOT, START_S, free_port, node_peer, running

NODES = "node-red, nodes"
FULL = "node-red, full"
WARM_UP_S = 2.0
BEHIND_S = 2.0
"""So long behind a change it is looked for gaps."""
FIRST_S = 2.0
"""How long the first answer may take before the post is made again."""
LAST_S = 1.0
"""So long behind the last answer something may still arrive."""
HEAD = """
router: 1
name: swap
settings: {{state_dir: {state}, http: {{port: {port}}}, log: {{level: error}}}}
"""
BEFORE = """
actors:
  in: {{type: webhook, path: /in, decode: json, respond: delivered}}
  out: {{type: http, url: "{sink}", pool: 200}}
routes:
  through: {{from: in, to: out, concurrency: 200}}
"""
AFTER = """
connections:
  broker: {{type: mqtt, url: "mqtt://127.0.0.1:{broker}"}}
actors:
  in: {{type: webhook, path: /in, decode: json, respond: delivered}}
  out: {{type: mqtt, connection: broker, publish: out/x, qos: 1}}
routes:
  through: {{from: in, to: out, concurrency: 200}}
"""


@dataclass(frozen=True, slots=True)
class Program:
    """One that runs: where it takes posts, and what changes it."""

    url: str
    change: Callable[[], Awaitable[None]]


Start = Callable[[int, str], AbstractAsyncContextManager[Program]]
"""Of the broker's port and the HTTP service's URL."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one change did."""

    gap_ms: float
    posted: int
    never_arrived: int
    not_2xx: int


@asynccontextmanager
async def _router(broker: int, sink: str) -> AsyncIterator[Program]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        names = {"state": f"{folder}/state", "port": port, "sink": sink, "broker": broker}
        before, after = Path(folder, "before.yaml"), Path(folder, "after.yaml")
        before.write_text((HEAD + BEFORE).format(**names))
        after.write_text((HEAD + AFTER).format(**names))
        router, env = [sys.executable, "-m", "router"], {"PYTHONPATH": str(ROOT)}

        async def change() -> None:
            env_of_command = {**os.environ, **env, "ROUTER_CONTROL": f"{folder}/state/control.sock"}
            command = [*router, "apply", str(after), "--json"]
            process = await asyncio.create_subprocess_exec(
                *command, env=env_of_command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said, _ = await process.communicate()
            if process.returncode:
                sys.exit(said.decode())

        with running([*router, "start", str(before)], port=port, env=env):
            yield Program(f"http://127.0.0.1:{port}/in", change)


def _node_red(deploy: str) -> Start:
    @asynccontextmanager
    async def start(broker: int, sink: str) -> AsyncIterator[Program]:
        folder = node_peer("node-red")
        port = free_port()
        with tempfile.TemporaryDirectory() as user:
            flow = Path(user, "swap.json")
            flow.write_text((folder / "swap-http.json").read_text())
            env = {"PORT": str(port), "MQTT_PORT": str(broker), "SINK_URL": sink, "NODE_ENV": "production"}
            env |= {"FLOW": str(flow), "ADMIN_ROOT": "/admin"}
            command = ["node", "node_modules/node-red/red.js", "--settings", "settings.js", "--userDir", user]

            async def change() -> None:
                headers = {"Content-Type": "application/json", "Node-RED-Deployment-Type": deploy}
                body = (folder / "swap-mqtt.json").read_bytes()
                request = urllib.request.Request(f"http://127.0.0.1:{port}/admin/flows", body, headers)
                await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=START_S).close())

            with running(command, port=port, env=env, cwd=folder):
                yield Program(f"http://127.0.0.1:{port}/in", change)

    return start


PROGRAMS: dict[str, Start] = {OURS: _router, NODES: _node_red("nodes"), FULL: _node_red("full")}


async def _measured(start: Start, broker: int) -> Outcome:
    account = Account()
    async with (
        http_sink(account) as sink,
        mqtt_sink(account, broker, "out/x"),
        start(broker, sink) as program,
    ):
        await _answering(program.url)
        account.arrivals.clear()
        async with posting(account, program.url):
            await asyncio.sleep(WARM_UP_S)
            began = time.monotonic()
            await program.change()
            await asyncio.sleep(BEHIND_S)
            ended = time.monotonic()
        deadline = time.monotonic() + LAST_S
        while account.never_arrived and time.monotonic() < deadline:  # noqa: ASYNC110  # other programs are at work
            await asyncio.sleep(0.05)
    return Outcome(account.longest_gap_ms(began, ended), len(account.posted), account.never_arrived, account.not_2xx)


async def _answering(url: str) -> None:
    """Listening comes before a flow's start."""
    request = urllib.request.Request(url, json.dumps({"id": "first"}).encode(), {"Content-Type": "application/json"})
    async with asyncio.timeout(START_S):
        while True:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=FIRST_S).close())
                return
            await asyncio.sleep(0.05)


def run(*, rounds: int) -> Result:
    outcomes: dict[str, list[Outcome]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, start in PROGRAMS.items():
            with mosquitto() as broker:
                outcomes[name].append(asyncio.run(_measured(start, broker)))
    gaps = {name: statistics.median(each.gap_ms for each in of) for name, of in outcomes.items()}
    return Result(
        "swap",
        "ms gap",
        gaps.pop(OURS),
        gaps,
        better="lower",
        besides={name: _told(of) for name, of in outcomes.items()},
    )


def _told(outcomes: list[Outcome]) -> str:
    posted = sum(each.posted for each in outcomes)
    never, refused = sum(each.never_arrived for each in outcomes), sum(each.not_2xx for each in outcomes)
    return f"of {posted:,} posts {never} never arrived, {refused} not answered with 2xx"
