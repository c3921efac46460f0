"""A webhook that answers when Redis has its job, against Fastify + BullMQ, under wrk with 50 connections.

Both write the same format to a Redis of their own whose append-only file is flushed every second. Nobody works the
jobs meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.measure import OURS, Figure, Result, alternate
from bench.mosquitto import PAYLOAD
from bench.servers import free_port, need, node_peer, redis_server, router, running, wrk

PEER = "fastify + bullmq"
WARM_UP_S = 2
CONNECTIONS = 50

TOPOLOGY = """
router: 1
name: webhook-redis
settings: {{state_dir: {state}, http: {{port: {port}}}, log: {{level: error}}}}
connections:
  redis: {{type: redis, url: "redis://127.0.0.1:{redis}"}}
actors:
  in: {{type: webhook, path: /in, respond: accepted}}
  jobs: {{type: queue, store: redis, queue: webhooks}}
routes:
  add: {{from: in, to: jobs, concurrency: 50}}
"""

SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{PAYLOAD}'
"""

Program = Callable[[], AbstractContextManager[str]]


def node_webhook(peer: str) -> Program:
    """The server of a Node peer, on a Redis of its own; yields its URL."""

    @contextmanager
    def program() -> Iterator[str]:
        folder = node_peer(peer)
        port = free_port()
        with redis_server() as redis:
            env = {"PORT": str(port), "REDIS_PORT": str(redis), "NODE_ENV": "production", "WORK": "no"}
            with running([need("node", "nodejs"), "server.js"], port=port, env=env, cwd=folder):
                yield f"http://127.0.0.1:{port}/in"

    return program


@contextmanager
def _ours() -> Iterator[str]:
    port = free_port()
    with redis_server() as redis, router(TOPOLOGY, port=port, redis=redis):
        yield f"http://127.0.0.1:{port}/in"


def measured(scenario: str, ours: Program, peer: str, theirs: Program, *, rounds: int) -> Result:
    """Requests a second of both, each after it has run for a while."""

    def measure(program: Program) -> Callable[[], Figure]:
        def once() -> Figure:
            with program() as url:
                wrk(url, script=SCRIPT, connections=CONNECTIONS, seconds=WARM_UP_S)
                return wrk(url, script=SCRIPT, connections=CONNECTIONS)

        return once

    figures = alternate({OURS: measure(ours), peer: measure(theirs)}, rounds=rounds)
    latencies = {name: figure.p99_ms for name, figure in figures.items() if figure.p99_ms is not None}
    return Result(scenario, "requests/s", figures[OURS].value, {peer: figures[peer].value}, p99_ms=latencies)


def run(*, rounds: int) -> Result:
    return measured("webhook-redis", _ours, PEER, node_webhook("fastify-bullmq"), rounds=rounds)
