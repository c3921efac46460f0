"""Queues with jobs that nobody works any more after a change, and what a queue promises no longer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from actors.connections.redis import RedisConnection
from actors.endpoints.log import Log
from actors.endpoints.queue import Queue
from actors.endpoints.timer import Timer
from router.catalog import Catalog
from router.change.diff import Diff, diff
from router.change.left_behind import uncounted
from router.change.weakened import weakened
from router.topology.check import check
from router.topology.model import Topology
from router.topology.problems import render

CATALOG = Catalog(endpoints=[Queue, Log, Timer], connections=[RedisConnection])


@cache
def topology(
    queue: str = "", *, actor: str = "inbound", more: str = "", routes: str = "", port: int = 6379
) -> Topology:
    """One route adds to a queue, and one works it."""
    text = f"""
router: 1
name: t
connections:
  mem: {{type: redis, url: "redis://joe:sesame@127.0.0.1:{port}/1"}}
actors:
  tick: {{type: timer, every: 1h}}
  {actor}: {{type: queue{queue}}}
  log: {{type: log}}
{more}
routes:
  take: {{from: tick, to: {actor}}}
{routes or f"  work: {{from: {actor}, to: log}}"}
"""
    found, problems = check(text, path=Path("t.yaml"), catalog=CATALOG, environ={})
    assert found is not None, "\n".join(map(render, problems))
    return found


def change(before: Topology, after: Topology) -> Diff:
    return diff(before, after)


IN_THE_HOUSE = topology()
IN_REDIS = topology(", store: mem")
ONLY_ADDED_TO = "  watch: {from: tick, to: log}"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (IN_THE_HOUSE, IN_REDIS, "nobody here works them then; an actor of its own (store: sqlite, "
         "queue: inbound) with a route from it would"),
        (IN_THE_HOUSE, topology(", queue: other"), "(store: sqlite, queue: inbound)"),
        (IN_THE_HOUSE, topology(actor="outbound"), "(store: sqlite, queue: inbound)"),
        (IN_REDIS, IN_THE_HOUSE, "(store: mem, queue: inbound)"),
        (IN_REDIS, topology(", store: mem", port=6380), "(store: at 127.0.0.1:6379/1, queue: inbound)"),
        (topology(", store: mem, prefix: shop"), IN_REDIS, "(store: mem, prefix: shop, queue: inbound)"),
        (IN_THE_HOUSE, topology(routes=ONLY_ADDED_TO), "no route begins there then, and nobody here works them"),
        (IN_THE_HOUSE, topology(", enabled: false"), "(store: sqlite, queue: inbound)"),
    ],
)  # fmt: skip
def test_a_queue_that_is_worked_no_more_is_told(before: Topology, after: Topology, told: str) -> None:
    """With what would work it; how many jobs are there only a router that runs knows."""
    (text,) = uncounted(change(before, after))
    assert text.startswith("what is in queue 'inbound' (")
    assert told in text
    assert "sesame" not in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (IN_THE_HOUSE, topology(", concurrency: 9, attempts: 2")),
        (IN_THE_HOUSE, topology(", queue: inbound", actor="outbound")),
        (IN_THE_HOUSE, topology(", store: mem", more="  old: {type: queue, queue: inbound}",
                                routes="  w: {from: inbound, to: log}\n  o: {from: old, to: log}")),
        (topology(routes=ONLY_ADDED_TO), IN_REDIS),
        (IN_THE_HOUSE, topology(routes="  drain: {from: inbound, to: log}")),
    ],
    ids=["other options", "another actor", "an actor for what is left", "never worked here", "another route"],
)  # fmt: skip
def test_a_queue_that_somebody_works_or_nobody_ever_did_is_not(before: Topology, after: Topology) -> None:
    assert uncounted(change(before, after)) == ()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("", ", store: mem", "what is acknowledged is as durable as mem is, and not on this disk (store)"),
        (", order_by: '{{ data.a }}'", "", "jobs of one key overtake each other (order_by is gone)"),
        (", order_by: '{{ data.a }}'", ", order_by: '{{ data.b }}'", "order is kept by another key (order_by changes)"),
        ("", ", attempts: 2", "2 attempts in place of 5, for new jobs"),
        (
            ", store: mem, when_down: spill",
            ", store: mem",
            "nothing is kept in the state directory while mem is away (when_down: wait)",
        ),
    ],
)
def test_what_a_queue_promises_no_longer_is_told(before: str, after: str, told: str) -> None:
    """And what it promises beside that is not."""
    assert weakened(topology(before), topology(after)) == [f"actor inbound: {told}"]
    assert weakened(topology(after), topology(before)) == (
        [f"actor inbound: {told}"] if told.startswith("order is kept") else []
    )


def test_a_route_that_ends_leaves_its_messages_to_the_queue() -> None:
    """As a failed attempt: no dead letters come of it at once."""
    assert weakened(IN_THE_HOUSE, topology(routes=ONLY_ADDED_TO)) == [
        "route work ends: what it cannot deliver within drain_timeout has failed an attempt, in its queue"
    ]
