"""What monitoring asks: `/metrics`, `/healthz` and `/readyz`, on the control socket and on an address of its own."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import HttpListener
from router.control.documents import Health, Readiness
from router.control.operation import Answer, Call, Operation
from router.control.problem import Problem
from router.control.roles import Caller
from router.control.views import readiness_view
from router.telemetry.metrics import Metrics
from router.topology.settings import Address

if TYPE_CHECKING:
    from router.engine import Engine

logger = logging.getLogger("pointsman.observe")

_MONITORING: Final = Caller("monitoring", "viewer", "observe")

MOST_SCRAPES: Final = 8
"""Requests for metrics that may wait for one another; more are refused."""


def operations(engine: Engine, metrics: Metrics) -> tuple[Operation, ...]:
    """The three of them."""

    async def healthz(call: Call) -> Answer:
        """Say that the process answers."""
        return Answer.json({"status": "ok"})

    async def readyz(call: Call) -> Answer:
        """Say whether everything runs that is switched on. Who has a role learns what does not, and why."""
        view = readiness_view(engine)
        status = 200 if view["ready"] else 503
        if call.caller.role is None:
            del view["waiting"], view["paused"]
        return Answer.json(view, status)

    async def scrape(call: Call) -> Answer:
        """Metrics for Prometheus, in the format that `Accept` asks for."""
        body, content_type = await metrics.render(call.accept)
        return Answer(body, content_type=content_type)

    return (
        Operation("GET", "/healthz", healthz, role=None, answers={200: Health}),
        Operation("GET", "/readyz", readyz, role=None, answers={200: Readiness, 503: Readiness}),
        Operation("GET", "/metrics", scrape, role="viewer", answers={200: "text/plain"}),
    )


class ObserveListener:
    """Answers operations without variable parts on a TCP address, without credentials and with no others beside."""

    def __init__(self, address: Address, engine: Engine, operations: tuple[Operation, ...]) -> None:
        self._listener = HttpListener(address.host, address.port, clock=engine.clock)
        self._tasks: set[asyncio.Task[None]] = set()
        for operation in operations:
            self._listener.add(("GET", "HEAD"), operation.path, partial(self._begin, operation))

    async def open(self) -> None:
        """Raises `RouterError` where it cannot listen there."""
        await self._listener.open()

    @property
    def url(self) -> str:
        return self._listener.url

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)
        await self._listener.close()

    def _begin(self, operation: Operation, exchange: Exchange) -> None:
        if len(self._tasks) >= MOST_SCRAPES:
            exchange.refuse(503, "too many requests at once", (("Retry-After", "1"),))
            return
        task = asyncio.get_running_loop().create_task(self._answer(operation, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, operation: Operation, exchange: Exchange) -> None:
        try:
            answer = await operation.run(Call({}, None, None, exchange.headers.get("accept", ""), _MONITORING))
            assert isinstance(answer, Answer), "no monitoring goes on"
        except Exception:
            logger.exception("%s failed", operation.path)
            answer = Answer.of(Problem(500, "this failed inside the router; its log says more"))
        exchange.respond(answer.status, answer.body, answer.content_type)
