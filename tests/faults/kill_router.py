"""kill -9 of the router under load: at random moments, and at named places around commit, send and answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.account import Account, Verdict
from tests.faults.failpoints import PLACES
from tests.faults.producer import Producer
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.servers import free_port

TOPOLOGY = """
router: 1
name: kill-router
settings: {{http: {{port: {port}}}, log: {{level: warning}}}}
actors:
  in: {{type: webhook, path: /in, decode: json}}
  out: {{type: http, url: "{sink}/out", timeout: 5s}}
routes:
  through:
    from: in
    durable: true
    order_by: "{{{{ data.key }}}}"
    concurrency: 4
    retry: {{attempts: 10, delay: 50ms, max_delay: 500ms}}
    steps:
      - dedup: {{key: "{{{{ data.id }}}}", for: 1h}}
    to: out
"""

DRAIN_S = 60.0
RECOVERY_LIMIT_S = 3.0


async def kill_router(
    folder: Path, *, rounds: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds)."""
    chance = random.Random(seed)
    account = Account()
    wrong: list[str] = []
    port = free_port()
    async with recording_sink(account) as sink:
        topology = folder / "topology.yaml"
        topology.write_text(TOPOLOGY.format(port=port, sink=sink))
        router = RouterProcess(topology, folder / "state")
        async with Producer(f"http://127.0.0.1:{port}/in", account) as producer:
            for number in range(1, rounds + 1):
                place = chance.choice([None, *PLACES])
                router.failpoint = place and f"{place}:{chance.randint(1, 60)}"
                recovery_s = await _started(router, account)
                if place is None:
                    await producer.acknowledged(chance.randint(1, 60))
                    await asyncio.sleep(chance.uniform(0, 0.05))
                    account.faults.append(time.monotonic())
                    await router.kill()
                elif await router.ended(20):
                    account.faults.append(time.monotonic())
                else:
                    wrong.append(f"round {number}: the router never came by {router.failpoint}")
                    await router.kill()
                if (integrity := router.integrity()) != "ok":
                    wrong.append(f"round {number}: integrity_check says {integrity}")
                if recovery_s is not None and recovery_s > RECOVERY_LIMIT_S:
                    wrong.append(f"round {number}: back only after {recovery_s:.1f} s")
                say(f"round {number}/{rounds}: killed at {router.failpoint or 'a random moment'}")
            router.failpoint = None
            await _started(router, account)
            await producer.acknowledged(20)
        await _empty(router, account, wrong)
        if (code := await router.stop()) != 0:
            wrong.append(f"the last stop ended with {code}: {router.output()}")
    return account.verdict(), wrong


async def _started(router: RouterProcess, account: Account) -> float | None:
    try:
        recovery_s = await router.start()
    except RuntimeError:
        # It died at its failpoint while it took up its journal, before it was ready.
        if router.failpoint is None:
            raise
        return None
    account.recoveries_s.append(recovery_s)
    return recovery_s


async def _empty(router: RouterProcess, account: Account, wrong: list[str]) -> None:
    """Wait until nothing is on its way, and take down the dead letters."""
    deadline = time.monotonic() + DRAIN_S
    while True:
        view = await router.get("/v1/actors")
        ledger = view["routes"][0]["ledger"]
        if ledger["difference"] != 0:
            wrong.append(f"the ledger does not balance: {ledger}")
        if ledger["queued"] + ledger["in_flight"] == 0:
            break
        if time.monotonic() > deadline:
            wrong.append(f"after {DRAIN_S:g} s there is still something on its way: {ledger}")
            break
        await asyncio.sleep(0.05)
    before = ""
    while True:
        page = await router.get(f"/v1/dead-letters?limit=100{before}")
        letters = page["dead_letters"]
        if not letters:
            return
        account.dead.update(letter["message_id"] for letter in letters)
        before = f"&before={letters[-1]['id']}"
