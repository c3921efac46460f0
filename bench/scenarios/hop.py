"""Source → route → sink in one process, with and without steps, against a bare asyncio loop.

The bare loop hands a tuple from a task through two bounded `asyncio.Queue`s to another: what a hop would cost
without messages, mailboxes, deliveries, deadlines and a ledger. Both run on uvloop, with the same bound.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from actors.core.actor import AsyncioActor
from actors.core.errors import BackPressureError
from actors.core.message import Message, new_id
from actors.core.outlet import Outlet
from bench.measure import OURS, Figure, Result, alternate
from router.catalog import Catalog
from router.cli.serving import relieve_collector
from router.engine import Engine
from router.topology.check import check

MESSAGES = 200_000
BOUND = 1000

TOPOLOGY = """
router: 1
name: hop
settings: {{state_dir: {state}}}
actors:
  source: {{type: python, class: "bench.scenarios.hop:Source"}}
  sink: {{type: python, class: "bench.scenarios.hop:Sink"}}
routes:
  hop:
    from: source
    to: sink
    steps: {steps}
"""

STEPS = {
    "with a filter": """[{filter: "data.kind == 'alarm'"}]""",
    "with a map": """[{map: {set: {data.place: "{{ data.town }}"}}}]""",
    "with a filter and a map": """[{filter: "data.kind == 'alarm'"}, {map: {set: {data.place: "{{ data.town }}"}}}]""",
}

DATA = {"kind": "alarm", "town": "funza", "level": 3}


class Sink(AsyncioActor):
    """Takes messages, and says when it has had all."""

    running: Sink

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self.complete = asyncio.Event()
        Sink.running = self

    def on_receive(self, message: Any) -> None:
        self.received += 1
        if self.received == MESSAGES:
            self.complete.set()


class Source(AsyncioActor):
    """Makes messages as fast as the route takes them."""

    outlet: Outlet

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        Source.outlet = outlet


async def _emit(count: int) -> None:
    outlet, now = Source.outlet, time.time
    for _ in range(count):
        message = Message(new_id(), "source", DATA, time=now())
        try:
            outlet.offer(message)
        except BackPressureError:
            await outlet.put(message)


async def _ours(steps: str) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        text = TOPOLOGY.format(state=folder, steps=steps)
        topology, problems = check(text, path=Path(folder) / "topology.yaml", catalog=Catalog.installed(), environ={})
        assert topology is not None, problems
        engine = Engine(topology)
        await engine.start()
        started = time.perf_counter()
        await _emit(MESSAGES)
        async with asyncio.timeout(120):
            await Sink.running.complete.wait()
        elapsed = time.perf_counter() - started
        await engine.stop()
    return Figure(MESSAGES / elapsed)


async def _bare() -> Figure:
    first: asyncio.Queue[tuple[int, object] | None] = asyncio.Queue(BOUND)
    second: asyncio.Queue[tuple[int, object] | None] = asyncio.Queue(BOUND)

    async def between() -> None:
        while True:
            item = await first.get()
            await second.put(item)
            if item is None:
                return

    async def sink() -> int:
        received = 0
        while await second.get() is not None:
            received += 1
        return received

    tasks = asyncio.create_task(between()), asyncio.create_task(sink())
    started = time.perf_counter()
    for number in range(MESSAGES):
        await first.put((number, DATA))
    await first.put(None)
    received = await tasks[1]
    elapsed = time.perf_counter() - started
    await tasks[0]
    assert received == MESSAGES
    return Figure(MESSAGES / elapsed)


def run(*, rounds: int) -> Result:
    # As `router start` does it; the bare loop has it too.
    relieve_collector()
    programs = {OURS: lambda: uvloop.run(_ours("[]")), "bare asyncio queues": lambda: uvloop.run(_bare())}
    for name, steps in STEPS.items():
        programs[name] = lambda steps=steps: uvloop.run(_ours(steps))  # type: ignore[misc]  # bound per turn
    figures = alternate(programs, rounds=rounds)
    return Result(
        "hop",
        "messages/s",
        figures[OURS].value,
        {"bare asyncio queues": figures["bare asyncio queues"].value},
        variants={name: figures[name].value for name in STEPS},
    )
