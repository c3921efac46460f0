"""The one place where an endpoint hands a message on; the router supplies it."""

from __future__ import annotations

from typing import Protocol

from actors.core.errors import Reason
from actors.core.message import Message, Receipt


class Outlet(Protocol):
    """Leads from one source to every route that begins at it."""

    @property
    def safe(self) -> bool:
        """Whether `accept` means that the message survives kill -9: every route is durable, or leads only to actors
        that keep what they acknowledge."""
        ...

    @property
    def routed(self) -> bool:
        """Whether a route begins here; where none does, a message handed on is a dead letter."""
        ...

    def offer(self, message: Message, receipt: Receipt | None = None) -> None:
        """Hand a message on at once, to every route or to none.

        Raises `BackPressureError` where a route has no room, is suspended or its journal is full; nothing was
        handed on then, and the receipt will not be called. A source that cannot answer "later" uses `put`.
        """
        ...

    def offer_again(self, message: Message, receipt: Receipt) -> None:
        """`offer` for what its source sends a second time, or more often: ways of it that have ended are not repeated.

        `receipt.redelivery` says which those are. Where nothing is left to be sent, the receipt settles at once.
        """
        ...

    async def room(self) -> None:
        """Wait until `offer` would take a message: a route begins here, nobody has shut it, and there is room.

        That may be for ever. It promises nothing: whoever offers sooner has the room.
        """
        ...

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        """Hand a message on, waiting for room as long as it takes."""
        ...

    def reject(self, message: Message, receipt: Receipt | None, *, reason: Reason, error: str) -> None:
        """Dead-letter what no route can take, such as a payload that does not decode."""
        ...
