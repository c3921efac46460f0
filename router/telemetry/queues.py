"""Metrics of queues: what their actors have counted, and what their stores say when somebody scrapes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from actors.core.child import Child
from actors.core.clock import Clock
from actors.core.errors import RouterError
from actors.queues.contract import Queued, QueueStore
from actors.queues.job import STATES, Counts, State, Stats

logger = logging.getLogger("pointsman")

LABELS: Final = ("actor", "queue", "store")

JOBS: Final = "router_queue_jobs"
PARKED: Final = "router_queue_jobs_parked"
OLDEST: Final = "router_queue_oldest_age_seconds"
PAUSED: Final = "router_queue_paused"
AVAILABLE: Final = "router_queue_available"
SPILLED: Final = "router_queue_spilled"
ADDED: Final = "router_queue_added_total"
FINISHED: Final = "router_queue_finished_total"

REFERENCE: Final[tuple[tuple[str, str, tuple[str, ...], str], ...]] = (
    (JOBS, "gauge", (*LABELS, "state"), "Jobs in the queue by their state; absent while its store does not answer."),
    (PARKED, "gauge", LABELS, "Jobs among those waiting that wait for an earlier one of their key."),
    (OLDEST, "gauge", LABELS, "How long the oldest job has waited for a worker; 0 where none waits."),
    (PAUSED, "gauge", LABELS, "1 while nobody begins a job of the queue, whoever works it."),
    (AVAILABLE, "gauge", LABELS, "1 where the queue's store has answered, 0 where it did not in time."),
    (SPILLED, "gauge", LABELS, "Jobs that are kept in the state directory until the queue's store is there again."),
    (ADDED, "counter", LABELS, "Jobs that the actor has added."),
    (FINISHED, "counter", (*LABELS, "outcome"), "Attempts at jobs that the actor's worker has ended, by how they did."),
)
"""Every metric of queues: name, kind, labels, meaning."""

OUTCOMES: Final = ("completed", "failed", "retried", "released", "lost")

REFRESH_S: Final = 5.0
"""Scrapes within this time get the same counts."""
STALE_S: Final = 10.0
"""Counts older than this are nobody's any more."""
DEADLINE_S: Final = 1.0
"""What a scrape waits for a store; one that is away must not make monitoring blind for all the rest."""

_HELP: Final = {name: text for name, _, _, text in REFERENCE}


def queued(children: Iterable[Child]) -> Iterator[tuple[str, Queued]]:
    """The actors that have a queue, as they run at this moment, by their names."""
    for child in children:
        actor: object = child.actor
        # What `isinstance` asks of a protocol takes 12 µs where the answer is no, which it mostly is.
        if getattr(actor, "queue", None) is not None and isinstance(actor, Queued):
            yield child.name, actor


def by_state(counts: Counts) -> dict[State, int]:
    """Counts by the names of the states."""
    return {state: getattr(counts, state.replace("-", "_")) for state in STATES}


@dataclass(frozen=True, slots=True)
class QueueReading:
    """One actor's queue."""

    actor: str
    queue: str
    store: str
    stats: Stats | None
    """None where the store has not answered."""
    oldest_age_s: float
    spilled: int
    added: int
    finished: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Sample:
    store: QueueStore
    at: float
    stats: Stats | None


class QueueSamples:
    """What stores said of their queues when a scrape had them asked. Without a scrape nothing is asked, or kept up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: dict[int, _Sample] = {}
        """By the identity of the store, which is no other's while the sample has it."""

    async def refresh(self, children: Iterable[Child]) -> None:
        """Ask all that were not asked in the last seconds, side by side; takes `DEADLINE_S` at most, raises nothing."""
        stores = {id(actor.queue): actor.queue for _, actor in queued(children)}
        now = self._clock.now()
        kept = {key: sample for key, sample in self._samples.items() if key in stores and now - sample.at < REFRESH_S}
        asked = await asyncio.gather(*(self._ask(store) for key, store in stores.items() if key not in kept))
        self._samples = kept | {id(sample.store): sample for sample in asked}

    def read(self, children: Iterable[Child]) -> tuple[QueueReading, ...]:
        """All queues at one turn of the loop; what a store has not said lately is not told."""
        return tuple(self._reading(name, actor) for name, actor in queued(children))

    def _reading(self, name: str, actor: Queued) -> QueueReading:
        store = actor.queue
        sample = self._samples.get(id(store))
        stats = sample.stats if sample is not None and self._clock.now() - sample.at < STALE_S else None
        oldest_ms = stats.oldest_ms if stats is not None else None
        age_s = max(0.0, self._clock.time() - oldest_ms / 1000) if oldest_ms is not None else 0.0
        return QueueReading(
            name, store.name, store.kind, stats, age_s, actor.spilled, actor.added, dict(actor.finished)
        )

    async def _ask(self, store: QueueStore) -> _Sample:
        stats = None
        try:
            async with asyncio.timeout(DEADLINE_S):
                stats = await store.stats()
        except (RouterError, TimeoutError):
            pass  # `router_queue_available` tells it
        except Exception:
            logger.exception("the queue %s could not be counted", store.name)
        return _Sample(store, self._clock.now(), stats)


def metrics_of_queues(readings: Iterable[QueueReading]) -> Iterator[Metric]:
    """Readings as prometheus-client has them; the names are there also where there is no queue."""
    gauges = {
        name: GaugeMetricFamily(name, _HELP[name], labels=labels)
        for name, kind, labels, _ in REFERENCE
        if kind == "gauge"
    }
    added = CounterMetricFamily(ADDED, _HELP[ADDED], labels=LABELS)
    finished = CounterMetricFamily(FINISHED, _HELP[FINISHED], labels=(*LABELS, "outcome"))
    for each in readings:
        labels = (each.actor, each.queue, each.store)
        if each.stats is not None:
            for state, count in by_state(each.stats.counts).items():
                gauges[JOBS].add_metric((*labels, state), count)
            gauges[PARKED].add_metric(labels, each.stats.counts.parked)
            gauges[OLDEST].add_metric(labels, each.oldest_age_s)
            gauges[PAUSED].add_metric(labels, each.stats.paused)
        gauges[AVAILABLE].add_metric(labels, each.stats is not None)
        gauges[SPILLED].add_metric(labels, each.spilled)
        added.add_metric(labels, each.added)
        for outcome in OUTCOMES:
            finished.add_metric((*labels, outcome), each.finished.get(outcome, 0))
    yield from (*gauges.values(), added, finished)
