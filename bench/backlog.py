"""A BullMQ queue whose jobs wait before any worker starts, and how fast a worker empties it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import redis

from bench.mosquitto import PAYLOAD
from bench.servers import need, node_peer

QUEUE = "backlog"
FILL_S = 180.0
STALL_S = 20.0
"""A worker that finishes nothing for so long does not work."""
LOOK_S = 0.01
WARM_UP = 0.1
"""Of this part nothing is timed: connections open, and what compiles itself while it runs has done so."""


def fill(redis_port: int, jobs: int) -> None:
    """Add them with Node's `addBulk`, for every worker alike; they are removed when they are done."""
    env = {**os.environ, "REDIS_PORT": str(redis_port), "QUEUE": QUEUE, "JOBS": str(jobs), "PAYLOAD": PAYLOAD}
    node = need("node", "nodejs")
    subprocess.run([node, "fill.js"], cwd=node_peer("bullmq"), env=env, check=True, timeout=FILL_S)


def worked(redis_port: int, jobs: int) -> float:
    """Jobs a second, looked at from outside, of the worker that runs now; ends the run where it does not end."""
    with redis.Redis(port=redis_port) as client:
        began = ended = moved = time.monotonic()
        timed = left = jobs
        while left:
            if ended > moved + STALL_S:
                sys.exit(f"{left} of {jobs} jobs are left, and none was done for {STALL_S:g} s")
            time.sleep(LOOK_S)
            before, left, ended = left, _left(client), time.monotonic()
            if left < before:
                moved = ended
            if timed > jobs * (1 - WARM_UP):
                began, timed = ended, left
        assert timed, f"{jobs} jobs are too few to be timed"
        assert not client.zcard(f"bull:{QUEUE}:failed"), "jobs have failed"
        return timed / (ended - began)


def _left(client: redis.Redis) -> int:
    pipeline = client.pipeline(transaction=True)
    pipeline.llen(f"bull:{QUEUE}:wait")
    pipeline.llen(f"bull:{QUEUE}:active")
    pipeline.zcard(f"bull:{QUEUE}:delayed")
    pipeline.zcard(f"bull:{QUEUE}:prioritized")
    return sum(pipeline.execute())
