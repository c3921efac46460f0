"""Patience: waiting for what runs to come to a state, up to a deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from actors.core.child import Child
from actors.core.clock import Clock
from actors.core.succession import Owing

LOOK_S: Final = 0.02


async def until(holds: Callable[[], bool], deadline: float, clock: Clock) -> None:
    """Wait until it holds, or the deadline is there."""
    while not holds() and clock.now() < deadline:
        await clock.sleep(min(LOOK_S, deadline - clock.now()))


async def until_answered(children: Iterable[Child], deadline: float, clock: Clock) -> None:
    """Wait until sources owe nobody an answer any more."""
    actors: list[object] = [child.actor for child in children]
    owing = [actor for actor in actors if isinstance(actor, Owing)]
    await until(lambda: not any(actor.owed for actor in owing), deadline, clock)
