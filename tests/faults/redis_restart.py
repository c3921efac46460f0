"""Redis stopped and started again under load: nothing lost, order by key, and a webhook that hardly notices."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.account import Account, Fault, Verdict, quantile
from tests.faults.draining import drain
from tests.faults.producer import posting
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.faults.steady import SteadyProducer
from tests.faults.waiting import new_from, until
from tests.servers import RedisServer, free_port

TOPOLOGY = """
router: 1
name: redis-restart
settings: {{http: {{port: {port}}}, log: {{level: warning}}}}
connections:
  redis: {{type: redis, url: "{redis}"}}
actors:
  in: {{type: webhook, path: /in, decode: json}}
  jobs:
    type: queue
    store: redis
    queue: {queue}
    when_down: spill
    concurrency: 16
    order_by: "{{{{ data.key }}}}"
    attempts: 10
    backoff: {{type: fixed, delay: 100ms}}
  out: {{type: http, url: "{sink}/out", timeout: 5s}}
routes:
  add: {{from: in, to: jobs, order_by: "{{{{ data.key }}}}", concurrency: 32}}
  work: {{from: jobs, to: out}}
"""

POLICIES = ("everysec", "always")
"""When Redis syncs its append-only file."""
RATE = 200.0
KEYS = 16
DOWN_S = 3.0
NORMAL_S = 3.0
"""How long nothing is done to Redis between two faults, once all works again."""
RECOVERY_LIMIT_S = 6.0
"""From Redis' start until jobs that are new come out again: the longest wait between two attempts at connecting, and
its jitter; and what has been spilled meanwhile goes first."""
P99_LIMIT_S = 0.05
"""What the webhook may take while Redis is away, where twice its normal time is less."""


async def redis_restart(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
    policies: Sequence[str] = POLICIES,
    down_s: float = DOWN_S,
    normal_s: float = NORMAL_S,
    p99_limit_s: float = P99_LIMIT_S,
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds). `rounds` are made with each policy.

    With `always`, Redis is killed every second time: what it has answered must be there again. With `everysec` that
    is not promised, so it is asked to end.
    """
    chance = random.Random(seed)
    account = Account()
    wrong: list[str] = []
    port = free_port()
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(recording_sink(account))
        for policy in policies:
            store = folder / policy
            store.mkdir()
            redis = stack.enter_context(RedisServer(store, appendfsync=policy))
            topology = folder / f"{policy}.yaml"
            topology.write_text(TOPOLOGY.format(port=port, redis=redis.url, queue=policy, sink=sink))
            router = RouterProcess(topology, folder / f"state-{policy}")
            await router.start()
            stack.push_async_callback(router.kill)
            name = f"{policy}/"
            first = len(account.faults)
            async with (
                posting(f"http://127.0.0.1:{port}/in", account) as way,
                SteadyProducer(way, account, name=name, rate=RATE, keys=KEYS),
            ):
                await new_from([name], account)
                for number in range(1, rounds + 1):
                    await asyncio.sleep(normal_s + chance.uniform(0, 0.5))
                    is_killed = policy == "always" and number % 2 == 0
                    recovery_s = await _down(redis, account, name, down_s, is_killed=is_killed)
                    if recovery_s > RECOVERY_LIMIT_S:
                        wrong.append(f"{policy}, round {number}: jobs come out only after {recovery_s:.1f} s")
                    end = "killed" if is_killed else "stopped"
                    say(f"{policy}, round {number}/{rounds}: {end}; jobs come out {recovery_s:.2f} s after its restart")
                await asyncio.sleep(normal_s)
            await drain(router, account, wrong)
            say(_judge(policy, account, account.faults[first:], p99_limit_s, wrong))
            if (code := await router.stop()) != 0:
                wrong.append(f"{policy}: the last stop ended with {code}: {router.output()}")
        if account.dead:
            wrong.append(f"{len(account.dead)} dead letters, though Redis came back")
        if account.refusals:
            wrong.append(f"the webhook refused {len(account.refusals)} times, first with {account.refusals[0].why}")
    return account.verdict(), wrong


async def _down(redis: RedisServer, account: Account, name: str, down_s: float, *, is_killed: bool) -> float:
    """Take Redis away for a while; returns how long after its start jobs came out that were sent after it."""
    began = time.monotonic()
    await asyncio.to_thread(redis.kill if is_killed else redis.stop)
    await asyncio.sleep(down_s)
    await asyncio.to_thread(redis.start)
    started = time.monotonic()
    at = len(account.received)

    def is_new_out() -> bool:
        return any(one.key.startswith(name) and account.sent[one.id] > started for one in account.received[at:])

    await until(is_new_out, "new jobs come out again")
    recovery_s = time.monotonic() - started
    account.recoveries_s.append(recovery_s)
    account.faults.append(Fault(began, time.monotonic()))
    return recovery_s


def _judge(policy: str, account: Account, faults: Sequence[Fault], limit_s: float, wrong: list[str]) -> str:
    """Compare how long the webhook took while Redis was away with how long otherwise; returns a line for people."""
    away: list[float] = []
    otherwise: list[float] = []
    for id, accepted in account.accepted.items():
        sent = account.sent[id]
        if not id.startswith(f"{policy}/"):
            continue
        is_away = any(fault.began <= sent <= fault.ended for fault in faults)
        (away if is_away else otherwise).append(accepted - sent)
    while_away, normal = quantile(away, 0.99), quantile(otherwise, 0.99)
    text = (
        f"{policy}: the webhook's p99 is {normal * 1000:.1f} ms, and {while_away * 1000:.1f} ms while Redis is away "
        f"(the longest {max(away, default=0.0) * 1000:.1f} ms)"
    )
    if while_away > max(2 * normal, limit_s):
        wrong.append(text)
    return text
