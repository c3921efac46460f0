"""20,000 actors under one supervisor start, and stop in a random order."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import uvloop

from actors.core.actor import AsyncioActor
from actors.core.child import ChildSpec
from actors.core.clock import LoopClock
from actors.core.events import Events
from actors.core.mailbox import Mailbox
from actors.core.supervisor import Supervisor
from bench.measure import Figure, Result, alternate

ACTORS = 20_000


class Idle(AsyncioActor):
    """Does nothing."""

    def on_receive(self, message: Any) -> None: ...


async def _measure() -> tuple[float, float]:
    clock = LoopClock()
    supervisor = Supervisor(clock=clock, events=Events())
    names = [f"actor-{number}" for number in range(ACTORS)]
    started = time.perf_counter()
    for name in names:
        supervisor.add(ChildSpec(name, Idle, Mailbox(name, now=clock.now)))
        supervisor.start(name)
    for child in supervisor.children.values():
        assert await child.settled(10)
    up = time.perf_counter()
    random.shuffle(names)
    await supervisor.stop(names)
    down = time.perf_counter()
    assert len(asyncio.all_tasks()) == 1, "tasks are left"
    return up - started, down - up


def run(*, rounds: int) -> Result:
    times: list[tuple[float, float]] = []

    def both() -> Figure:
        times.append(uvloop.run(_measure()))
        return Figure(times[-1][0])

    figure = alternate({"start": both}, rounds=rounds)["start"]
    stop = sorted(down for _, down in times)[len(times) // 2]
    return Result("actors", "s", figure.value, {}, variants={"stop": stop}, better="lower")
