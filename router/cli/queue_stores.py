"""Where the queues of a router are kept, and how durable that is, for the lines that it starts with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from actors.core.errors import RouterError
from actors.core.examination import Finding
from router.control.queue_lookup import Found, queues_of
from router.engine import Engine
from router.telemetry.shown import without_credentials
from router.topology.fields import connections_of

SHOWN: Final = 12
"""Queues that have a line of their own."""
IN_THE_HOUSE: Final = "in the state directory; it is on disk before it is acknowledged"
AS_DURABLE: Final = "it is as durable as that is"
ASK_S: Final = 2.0
"""How long all connections together may take to say how durable they are: the router runs meanwhile."""


@runtime_checkable
class Durable(Protocol):
    """A connection that says what a crash of its other end does to what that was told."""

    async def durability(self) -> Sequence[Finding]: ...


async def queue_stores(engine: Engine) -> list[tuple[str, str]]:
    """A line for each queue: the actors that have it, and where and how well it is kept."""
    queues = queues_of(engine)
    connections = [_connection(engine, queue) for queue in queues[:SHOWN]]
    asked = {name for name in connections if name is not None}
    durable = dict(zip(asked, await asyncio.gather(*(_durability(engine, name) for name in asked)), strict=True))
    lines = []
    for queue, name in zip(queues, connections, strict=False):
        kept = IN_THE_HOUSE if name is None else f"in {name}; {durable[name]}"
        own = "" if queue.name in queue.actors else f"{queue.name}, "
        lines.append((", ".join(queue.actors), own + kept))
    if len(queues) > SHOWN:
        lines.append((f"{len(queues) - SHOWN:,} more", "router queue list"))
    return lines


def _connection(engine: Engine, queue: Found) -> str | None:
    """The connection that its actors name; None for a queue in the house."""
    for actor in queue.actors:
        definition = engine.topology.actors.get(actor)
        if definition is not None:
            for _, name, _ in connections_of(definition.options):
                return name
    return None


async def _durability(engine: Engine, name: str) -> str:
    made = next((made for known, made in engine.shared.named() if known == name), None)
    if not isinstance(made, Durable):
        return AS_DURABLE
    try:
        async with asyncio.timeout(ASK_S):
            found = await made.durability()
    except (RouterError, TimeoutError):
        return "it is not to be reached now"
    wrong = [finding.text for finding in found if finding.level != "ok"]
    return without_credentials("; ".join(wrong or [finding.text for finding in found[-1:]])) or AS_DURABLE
