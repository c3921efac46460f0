"""kill -9 of two of three processes that work one queue in Redis: only what they had in hand is done again."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import redis.asyncio

from tests.faults.account import Account, Received, Verdict
from tests.faults.draining import drain
from tests.faults.producer import Producer, posting
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.faults.waiting import until
from tests.servers import RedisServer, free_port

TOPOLOGY = """
router: 1
name: kill-worker
settings: {{http: {{port: {port}}}, log: {{level: warning}}}}
connections:
  redis: {{type: redis, url: "{redis}"}}
actors:
  in: {{type: webhook, path: /in, decode: json}}
  jobs:
    type: queue
    store: redis
    queue: faults
    concurrency: 16
    order_by: "{{{{ data.key }}}}"
    attempts: 3
    max_stalled: 100
  out: {{type: http, url: "{sink}/out", timeout: 5s}}
routes:
  add: {{from: in, to: jobs, order_by: "{{{{ data.key }}}}", concurrency: 32}}
  work: {{from: jobs, to: out}}
"""
"""One process runs `add`, the others run `work`."""

QUEUE = "bull:faults"
JOBS = 20_000
WORKERS = 3
VICTIMS = 2
WORK_S = 0.005
"""What the service takes for a job, so that there are some in hand at each kill."""
KEYS = 40
PACE_S = 0.05
"""What a key waits between its jobs, or most of them would be added while killed workers start."""
BACK_S = 1.0
"""How long a killed worker stays away, at most."""
DONE_S = 120.0
LANDED_S = 0.05
"""What a frozen process has sent reaches its peer by then."""


async def kill_worker(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
    jobs: int = JOBS,
    pace_s: float = PACE_S,
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds).

    A victim is frozen first, then Redis is asked which jobs it has in hand, and then it is killed: no other job may be
    done twice.
    """
    chance = random.Random(seed)
    account = Account()
    wrong: list[str] = []
    in_hand: set[str] = set()
    async with AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer(folder, appendfsync="everysec"))
        client = await stack.enter_async_context(redis.asyncio.Redis(port=server.port))
        sink = await stack.enter_async_context(recording_sink(account, work_s=WORK_S))
        port = free_port()
        topology = folder / "topology.yaml"
        topology.write_text(TOPOLOGY.format(port=port, redis=server.url, sink=sink))
        front = RouterProcess(topology, folder / "state", only="add", node="front")
        workers = [
            RouterProcess(topology, folder / "state", only="work", node=f"worker-{number}")
            for number in range(1, WORKERS + 1)
        ]
        await asyncio.gather(*(router.start() for router in (front, *workers)))
        for router in (front, *workers):
            stack.push_async_callback(router.kill)
        async with (
            posting(f"http://127.0.0.1:{port}/in", account) as way,
            Producer(way, account, keys=KEYS, pace_s=pace_s) as producer,
        ):
            for number in range(1, rounds + 1):
                await producer.acknowledged(jobs // (rounds + 1))
                victims = chance.sample(workers, VICTIMS)
                caught = await _kill(victims, client, account)
                in_hand |= caught
                await asyncio.sleep(chance.uniform(0, BACK_S))
                account.recoveries_s.append(max(await asyncio.gather(*(victim.start() for victim in victims))))
                names = " and ".join(victim.state_dir.name for victim in victims)
                say(f"round {number}/{rounds}: killed {names}; {len(caught)} jobs were active")
            await producer.acknowledged(jobs - rounds * (jobs // (rounds + 1)))
        with suppress(AssertionError):
            # What is missing is told by the verdict.
            await until(lambda: not account.missing, "all jobs are done", deadline_s=DONE_S)
        for router in (front, *workers):
            await drain(router, account, wrong)
        wrong.extend(await _left_over(client))
        routers = (front, *workers)
        for router, code in zip(routers, await asyncio.gather(*(each.stop() for each in routers)), strict=True):
            if code != 0:
                wrong.append(f"the last stop of {router.state_dir.name} ended with {code}: {router.output()}")
    copies = Counter(one.id for one in account.received)
    if strangers := sorted(id for id, number in copies.items() if number > 1 and id not in in_hand):
        wrong.append(f"{len(strangers)} done twice that were not active at a kill: {', '.join(strangers[:10])}")
    if late := _behind_later(account.received):
        wrong.append(f"{len(late)} repeated behind later ones of their key: {', '.join(late[:10])}")
    if account.dead:
        wrong.append(f"{len(account.dead)} dead letters, though nothing was refused")
    return account.verdict(), wrong


async def _kill(victims: Sequence[RouterProcess], client: redis.asyncio.Redis, account: Account) -> set[str]:
    """Freeze them, look, and kill them; returns the messages of the jobs that were active between."""
    for victim in victims:
        victim.freeze()
    await asyncio.sleep(LANDED_S)
    caught = set()
    for id in await client.lrange(f"{QUEUE}:active", 0, -1):
        # One of the process that goes on may be finished by now, but it is kept.
        data = await client.hget(f"{QUEUE}:{id if isinstance(id, str) else id.decode()}", "data")
        assert data is not None, f"the active job {id!r} has no data"
        caught.add(json.loads(data)["id"])
    account.killed()
    await asyncio.gather(*(victim.kill() for victim in victims))
    return caught


async def _left_over(client: redis.asyncio.Redis) -> list[str]:
    """A sentence for each state in which there are jobs, though all should be completed."""
    counts = {
        "waiting": await client.llen(f"{QUEUE}:wait"),
        "active": await client.llen(f"{QUEUE}:active"),
        "delayed": await client.zcard(f"{QUEUE}:delayed"),
        "failed": await client.zcard(f"{QUEUE}:failed"),
    }
    return [f"{count} jobs are {state} at the end" for state, count in counts.items() if count]


def _behind_later(received: Sequence[Received]) -> list[str]:
    """Ids of deliveries, the repeated ones too, behind one of their key that was sent later."""
    last: dict[str, int] = {}
    found = []
    for one in received:
        if one.sequence < last.get(one.key, -1):
            found.append(one.id)
        last[one.key] = max(one.sequence, last.get(one.key, -1))
    return found
