"""Waiting, with a deadline, for what happens in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from tests.faults.account import Account

DEADLINE_S = 30.0
LOOK_AGAIN_S = 0.01


async def until(condition: Callable[[], object], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Look until it holds; raises AssertionError with `what` where it does not in time."""
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s:g} s: {what}") from None


async def new_from(names: Iterable[str], account: Account) -> None:
    """Wait until something arrives of each of the producers with these names that had not arrived before."""
    waiting = set(names)
    at = len(account.received)
    before = {one.id for one in account.received}

    def arrived() -> bool:
        nonlocal at
        new, at = account.received[at:], len(account.received)
        waiting.difference_update({f"{one.key.partition('/')[0]}/" for one in new if one.id not in before})
        return not waiting

    await until(arrived, f"something arrives of {', '.join(sorted(waiting))}")
