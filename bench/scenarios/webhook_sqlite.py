"""A webhook that answers when its job is on disk, in the embedded store, against Express + BullMQ on Redis.

Ours commits with `synchronous=FULL` before it answers; BullMQ's Redis has its append-only file flushed every
second, which is less. Nobody works the jobs meanwhile. wrk posts with 32 connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import Result
from bench.scenarios.webhook_redis import measured, node_webhook
from bench.servers import free_port, router

PEER = "express + bullmq"

TOPOLOGY = """
router: 1
name: webhook-sqlite
settings: {{state_dir: {state}, http: {{port: {port}}}, log: {{level: error}}}}
actors:
  in: {{type: webhook, path: /in, respond: accepted}}
  jobs: {{type: queue, queue: webhooks}}
routes:
  add: {{from: in, to: jobs, concurrency: 50}}
"""


@contextmanager
def _ours() -> Iterator[str]:
    port = free_port()
    with router(TOPOLOGY, port=port):
        yield f"http://127.0.0.1:{port}/in"


def run(*, rounds: int) -> Result:
    return measured("webhook-sqlite", _ours, PEER, node_webhook("express-bullmq"), rounds=rounds)
