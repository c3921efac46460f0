"""The actor of a route: runs it, and is supervised in its stead."""

from __future__ import annotations

import asyncio

from actors.core.actor import AsyncioActor
from router.routing.route import Route


class RouteActor(AsyncioActor):
    """Runs a route; a crash in one of its steps is a crash of this actor, and is supervised."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._route = route

    def on_start(self) -> None:
        self._route.actor = self

    def on_stop(self) -> None:
        if self._route.actor is self:
            self._route.actor = None

    async def _receive(self) -> None:
        mailbox = self.actor_inbox
        while True:
            if mailbox.control:
                if await self._obey(mailbox.control.popleft()):
                    return
                continue
            self._route.pump()
            if self._route.unfinished:
                self._route.unfinished = False
                await asyncio.sleep(0)
            elif not mailbox.control:
                await mailbox.change()
