"""How a child ends when it is asked to: by itself, or cancelled when its time is over; and what it is then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from pykka import messages as pykka_messages

from actors.core.child import Child
from actors.core.envelope import Envelope
from actors.core.events import Event, Events, Notice

CANCELLED_AT_MOST: Final = 2
"""How often an actor that does not end in time is cancelled: in its handler, and in its `on_stop`."""

Afterwards = Literal["stopped", "restarting", "failed"]
"""What a child is when it has ended as it was asked to."""


@dataclass(slots=True)
class Ending:
    """A child was asked to end."""

    done: asyncio.Future[None]
    then: Afterwards
    event: Event | None


class Endings:
    """The children of a supervisor that were asked to end, until they have."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._of: dict[Child, Ending] = {}

    def __len__(self) -> int:
        return len(self._of)

    def of(self, child: Child) -> Ending | None:
        return self._of.get(child)

    def ask(self, child: Child, then: Afterwards, event: Event | None) -> None:
        """Have a child end, and be `then`; where it was asked before, what is asked last holds."""
        ending = self._of.get(child)
        if ending is not None:
            ending.then, ending.event = then, event
        elif child.actor is not None:
            self._of[child] = Ending(asyncio.get_running_loop().create_future(), then, event)
            child.become("stopping")
            child.mailbox.put(Envelope(pykka_messages._ActorStop()))
        elif child.state == "restarting" and then != "restarting":
            self.rest(child, then, event)
        elif child.state == "failed" and then == "stopped":
            child.become("stopped")

    async def wait(self, children: Iterable[Child], timeout_s: float = inf) -> None:
        """Wait until those of them that were asked to end have ended; each has its `stop_timeout_s`, or less."""
        by_timeout: dict[float, dict[asyncio.Future[None], Child]] = {}
        for child in children:
            if (ending := self._of.get(child)) is not None:
                by_timeout.setdefault(min(child.spec.stop_timeout_s, timeout_s), {})[ending.done] = child
        await asyncio.gather(*(self._within(limit, waiting) for limit, waiting in by_timeout.items()))

    async def _within(self, timeout_s: float, waiting: Mapping[asyncio.Future[None], Child]) -> None:
        for cancelled in range(CANCELLED_AT_MOST + 1):
            _, late = await asyncio.wait(waiting, timeout=timeout_s)
            if not late:
                return
            for child in [waiting[done] for done in late]:
                if cancelled < CANCELLED_AT_MOST:
                    assert child.actor is not None
                    child.actor._task.cancel()
                else:
                    self._of[child].then = "stopped"
                    self._events.emit(Notice(f"actor {child.name} does not end, though it was cancelled", "error"))

    def ended(self, child: Child) -> bool:
        """Its actor is gone; false where nobody had asked for that."""
        ending = self._of.pop(child, None)
        if ending is None:
            return False
        self.rest(child, ending.then, ending.event)
        if not ending.done.done():
            ending.done.set_result(None)
        return True

    def rest(self, child: Child, state: Afterwards, event: Event | None) -> None:
        """Be without an actor; unless another one follows, whoever waits for an answer is refused it."""
        child.become(state)
        if event is not None:
            self._events.emit(event)
        if state != "restarting":
            child.mailbox.refuse_askers()

    def forget(self, child: Child) -> None:
        """Wait no more for one that does not end."""
        if (ending := self._of.pop(child, None)) is not None:
            ending.done.set_result(None)
