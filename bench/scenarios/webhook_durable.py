"""A webhook that answers when its message is on disk, against Express + BullMQ, under wrk with 32 connections.

Ours commits with `synchronous=FULL` before it answers; BullMQ's Redis has its append-only file flushed every
second, which is less. Both work the messages off beside it: our route to a sink, theirs by a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import OURS, Figure, Result, alternate
from bench.servers import free_port, node_peer, redis_server, router, running, wrk

PEER = "express + bullmq"

TOPOLOGY = """
router: 1
name: webhook-durable
settings: {{state_dir: {state}, http: {{port: {port}}}, log: {{level: error}}}}
actors:
  in: {{type: webhook, path: /in, respond: accepted}}
  sink: {{type: python, class: "bench.scenarios.sink:Sink"}}
routes:
  store: {{from: in, durable: true, to: sink, concurrency: 50}}
"""

# 300 bytes, as a chat's webhook has them.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"id":"wamid.HBgLNTkzOTk5OTk5OTk","from":"593999999999","kind":"text","text":"%s"}'
"""


@contextmanager
def _router() -> Iterator[str]:
    port = free_port()
    with router(TOPOLOGY, port=port):
        yield f"http://127.0.0.1:{port}/in"


@contextmanager
def _express() -> Iterator[str]:
    folder = node_peer("express-bullmq")
    port = free_port()
    with redis_server() as redis_port:
        env = {"PORT": str(port), "REDIS_PORT": str(redis_port), "NODE_ENV": "production"}
        with running(["node", "server.js"], port=port, env=env, cwd=folder):
            yield f"http://127.0.0.1:{port}/in"


def run(*, rounds: int) -> Result:
    script = SCRIPT % ("a" * 220)

    def ours() -> Figure:
        with _router() as url:
            return wrk(url, script=script)

    def theirs() -> Figure:
        with _express() as url:
            return wrk(url, script=script)

    figures = alternate({OURS: ours, PEER: theirs}, rounds=rounds)
    latencies = {name: figure.p99_ms for name, figure in figures.items() if figure.p99_ms is not None}
    return Result("webhook-durable", "requests/s", figures[OURS].value, {PEER: figures[PEER].value}, p99_ms=latencies)
