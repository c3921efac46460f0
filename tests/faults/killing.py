"""Rounds in which the router is killed, at a random moment or at a named place, and started again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from tests.faults.account import Account
from tests.faults.producer import Producer
from tests.faults.router_process import RouterProcess

RECOVERY_LIMIT_S = 3.0


async def kill_again_and_again(
    router: RouterProcess,
    producer: Producer,
    account: Account,
    *,
    places: Iterable[str],
    rounds: int,
    chance: random.Random,
    wrong: list[str],
    say: Callable[[str], None],
) -> None:
    """Kill it `rounds` times while `producer` goes on; it runs at the end, without a failpoint."""
    choices = [None, *places]
    for number in range(1, rounds + 1):
        place = chance.choice(choices)
        router.failpoint = place and f"{place}:{chance.randint(1, 60)}"
        recovery_s = await _started(router, account)
        if place is None:
            await producer.acknowledged(chance.randint(1, 60))
            await asyncio.sleep(chance.uniform(0, 0.05))
            account.killed()
            await router.kill()
        elif await router.ended(20):
            account.killed()
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
