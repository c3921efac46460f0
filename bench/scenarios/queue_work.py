"""Jobs that wait in Redis are worked, against BullMQ's own workers: 50 at a time, in one process, nothing to do.

One backlog serves all of them, made by Node's `addBulk` before the worker starts. They are timed from outside, by what
is left in Redis, so nothing is told by the workers themselves. A job goes the whole way with ours: it is claimed, made
a message, taken by a route, delivered to an actor that does nothing, and finished.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.backlog import QUEUE, fill, worked
from bench.measure import OURS, Figure, Result, alternate
from bench.servers import need, node_peer, redis_server, router, running

NODE = "bullmq for node"
PYTHON = "bullmq for python"
CONCURRENCY = 50

JOBS = 40_000
JOBS_OF_PYTHON = 8_000
"""Fewer, or it would take a minute."""

TOPOLOGY = """
router: 1
name: queue-work
settings: {{state_dir: {state}, log: {{level: error}}}}
connections:
  redis: {{type: redis, url: "redis://127.0.0.1:{port}"}}
actors:
  jobs: {{type: queue, store: redis, queue: {queue}, concurrency: {concurrency}}}
  sink: {{type: python, class: "bench.scenarios.sink:Sink"}}
routes:
  work: {{from: jobs, to: sink}}
"""

Worker = Callable[[int], AbstractContextManager[int]]


def _ours(redis: int) -> AbstractContextManager[int]:
    # It has no listener; that it runs is seen in Redis.
    return router(TOPOLOGY, port=redis, queue=QUEUE, concurrency=CONCURRENCY)


def _peer(*command: str) -> Worker:
    @contextmanager
    def worker(redis: int) -> Iterator[int]:
        env = {"REDIS_PORT": str(redis), "QUEUE": QUEUE, "CONCURRENCY": str(CONCURRENCY), "NODE_ENV": "production"}
        with running(list(command), port=redis, env=env, cwd=node_peer("bullmq")) as pid:
            yield pid

    return worker


def _measure(worker: Worker, jobs: int) -> Callable[[], Figure]:
    def measure() -> Figure:
        with redis_server() as redis:
            fill(redis, jobs)
            with worker(redis):
                return Figure(worked(redis, jobs))

    return measure


def run(*, rounds: int) -> Result:
    programs = {
        OURS: _measure(_ours, JOBS),
        NODE: _measure(_peer(need("node", "nodejs"), "worker.js"), JOBS),
        PYTHON: _measure(_peer(sys.executable, "worker.py"), JOBS_OF_PYTHON),
    }
    figures = alternate(programs, rounds=rounds)
    ours = figures.pop(OURS)
    return Result("queue-work", "jobs/s", ours.value, {name: each.value for name, each in figures.items()})
