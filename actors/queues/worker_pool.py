"""The workers that share the work of one actor on one queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from actors.core.clock import Clock
from actors.core.events import Events
from actors.core.outlet import Outlet
from actors.queues.contract import ConsumerOptions, QueueStore
from actors.queues.outage import Outage
from actors.queues.worker import QueueWorker

WORKERS: Final = 2
"""While the store carries out the exchange of one, the jobs of the other go on: half as many again get done."""
LEAST: Final = 8
"""So many jobs at a time each of them has at least: exchanges with fewer cost more than they win."""


class WorkerPool:
    """One worker, or two where `concurrency` is large: together they have no more jobs in hand than that."""

    def __init__(
        self,
        store: QueueStore,
        options: ConsumerOptions,
        *,
        source: str,
        concurrency: int,
        outlet: Outlet,
        clock: Clock,
        events: Events,
    ) -> None:
        """As `QueueWorker`."""
        count = WORKERS if concurrency >= WORKERS * LEAST else 1
        outage = Outage(source, store.name, events, unfinished=lambda: self.owed)
        self._workers = [
            QueueWorker(
                store,
                options,
                source=source,
                concurrency=concurrency // count + (number < concurrency % count),
                outlet=outlet,
                clock=clock,
                events=events,
                outage=outage,
            )
            for number in range(count)
        ]

    @property
    def owed(self) -> int:
        """Jobs that are in hand, or whose end the store has not heard."""
        return sum(worker.owed for worker in self._workers)

    @property
    def finished(self) -> Mapping[str, int]:
        """Jobs since it was made, by how they ended here."""
        total: Counter[str] = Counter()
        for worker in self._workers:
            total.update(worker.finished)
        return total

    def start(self, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """Begin; what fails is raised in a task that `spawn` makes."""
        for worker in self._workers:
            worker.start(spawn)

    def drain(self) -> None:
        """Claim nothing more; what is in hand is finished."""
        for worker in self._workers:
            worker.drain()

    async def close(self) -> None:
        """Give back what is in hand, if the store answers in time."""
        await asyncio.gather(*(worker.close() for worker in self._workers))
