"""The end of a fault run: until nothing is on its way any more, and what became a dead letter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container
from typing import Any

from tests.faults.account import Account
from tests.faults.router_process import RouterProcess

DRAIN_S = 60.0
MISSING_S = 15.0
"""How long what is in nobody's hands may still arrive."""
LOOK_AGAIN_S = 0.05


async def drain(
    router: RouterProcess, account: Account, wrong: list[str], *, routes: Container[str] | None = None
) -> None:
    """Wait until every route is empty and what was acknowledged has arrived, and take down the dead letters.

    Of other routes than `routes`, where these are given, dead letters are not looked at.
    """
    began = time.monotonic()
    empty_since: float | None = None
    while True:
        ledgers = await _ledgers(router)
        wrong.extend(f"the ledger of {name} does not balance: {it}" for name, it in ledgers.items() if it["difference"])
        now = time.monotonic()
        if any(ledger["queued"] + ledger["in_flight"] for ledger in ledgers.values()):
            empty_since = None
            if now - began > DRAIN_S:
                wrong.append(f"after {DRAIN_S:g} s there is still something on its way: {ledgers}")
                return
        else:
            empty_since = empty_since or now
            await _take_down_dead_letters(router, account, routes)
            if not account.missing or now - empty_since > MISSING_S:
                return
        await asyncio.sleep(LOOK_AGAIN_S)


async def _ledgers(router: RouterProcess) -> dict[str, dict[str, Any]]:
    view = await router.get("/v1/actors")
    return {route["name"]: route["ledger"] for route in view["routes"]}


async def _take_down_dead_letters(router: RouterProcess, account: Account, routes: Container[str] | None) -> None:
    before = ""
    while True:
        page = await router.get(f"/v1/dead-letters?limit=100{before}")
        letters = page["dead_letters"]
        if not letters:
            return
        account.dead.update(letter["message_id"] for letter in letters if routes is None or letter["route"] in routes)
        before = f"&before={letters[-1]['id']}"
