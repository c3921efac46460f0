"""How others speak to an actor on the loop, and how the loop speaks to actors anywhere."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pykka
from pykka import messages as pykka_messages
from pykka._envelope import Envelope as PykkaEnvelope

from actors.core.future import LoopFuture

A = TypeVar("A", bound=pykka.Actor)


def runs_loop() -> bool:
    """Whether this thread runs a loop, which nothing may block."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def ask(ref: pykka.ActorRef[Any], message: Any) -> LoopFuture:
    """Ask any actor from the loop, also one with a thread of its own, and await the reply.

    `ref.ask(message, block=False)` of a `pykka.ThreadingActor` gives a future whose `await` blocks the loop.
    """
    reply = LoopFuture()
    if ref.is_alive():
        ref.actor_inbox.put(PykkaEnvelope(message, reply_to=reply))
    else:
        reply.set_exception((pykka.ActorDeadError, pykka.ActorDeadError(f"{ref} not found"), None))
    return reply


class LoopRef(pykka.ActorRef[A]):
    """Pykka's reference to an actor on the loop: blocking on the loop raises, before anything is sent."""

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        if block and runs_loop():
            raise RuntimeError("await ask(…, block=False): blocking would stop the loop that has to answer")
        return super().ask(message, block=block, timeout=timeout)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        if not runs_loop():
            return super().stop(block=block, timeout=timeout)
        if block:
            raise RuntimeError("await stop(block=False): blocking would stop the loop that has to stop it")
        stopped = _Stopped()
        if self.is_alive():
            self.actor_inbox.put(PykkaEnvelope(pykka_messages._ActorStop(), reply_to=stopped))
        else:
            stopped.set_exception()
        return stopped


class _Stopped(LoopFuture):
    """True when the actor has stopped, false where it was dead already."""

    def set(self, value: Any = None) -> None:
        super().set(True)

    def set_exception(self, exc_info: Any = None) -> None:
        super().set(False)
