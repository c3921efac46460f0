"""A `pykka.ThreadingActor` as an endpoint: its thread works, and the loop never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pykka
from pykka import messages as pykka_messages

from actors.core.actor import AsyncioActor
from actors.core.envelope import Envelope
from actors.core.errors import ActorCrashedError, ActorStoppedError, Reason
from actors.core.message import Message, Receipt
from actors.core.outlet import Outlet
from actors.core.ref import ask, runs_loop

STILL_ALIVE_S = 1.0
"""How often a thread that does not answer is looked at: one that ended will not."""


class ThreadOutlet:
    """An outlet for actors off the loop's thread: each call waits until the loop has carried it out.

    A receipt is still told on the loop's thread. Each call raises `TimeoutError` after `timeout_s`; the
    message was not handed on then, unless the loop was just about to.
    """

    def __init__(self, outlet: Outlet, loop: asyncio.AbstractEventLoop, *, timeout_s: float = 30.0) -> None:
        self._outlet = outlet
        self._loop = loop
        self._timeout_s = timeout_s

    @property
    def safe(self) -> bool:
        return self._outlet.safe

    @property
    def routed(self) -> bool:
        return self._outlet.routed

    def offer(self, message: Message, receipt: Receipt | None = None) -> None:
        """As `Outlet.offer`; raises what that raises."""

        async def offered() -> None:
            self._outlet.offer(message, receipt)

        self._carry_out(offered())

    def offer_again(self, message: Message, receipt: Receipt) -> None:
        """As `Outlet.offer_again`; raises what that raises."""

        async def offered() -> None:
            self._outlet.offer_again(message, receipt)

        self._carry_out(offered())

    def room(self) -> None:
        """As `Outlet.room`, but it blocks the calling thread, and no longer than any other call."""
        self._carry_out(self._outlet.room())

    def put(self, message: Message, receipt: Receipt | None = None) -> None:
        """As `Outlet.put`, but it blocks the calling thread."""
        self._carry_out(self._outlet.put(message, receipt))

    def reject(self, message: Message, receipt: Receipt | None, *, reason: Reason, error: str) -> None:
        """As `Outlet.reject`."""

        async def rejected() -> None:
            self._outlet.reject(message, receipt, reason=reason, error=error)

        self._carry_out(rejected())

    def _carry_out(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            if runs_loop():
                raise RuntimeError("a loop must not wait here: use the outlet as it is")
            done = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise
        try:
            done.result(self._timeout_s)
        except TimeoutError:
            done.cancel()
            raise


class ThreadBridge(AsyncioActor):
    """Stands for a `pykka.ThreadingActor` on the loop: hands it one message at a time and awaits its reply.

    `start` makes and starts the threading actor (`SomeActor.start(…)`); it is called in a worker thread,
    since its `__init__` may block. The bridge is ready when the actor's own `on_start` has returned. An
    exception in the actor's `on_receive` is a crash: the thread is told to stop, and a supervisor starts
    another. A thread that is busy when the bridge has to end is told, and not waited for.
    """

    def __init__(self, start: Callable[[], pykka.ActorRef[Any]]) -> None:
        super().__init__()
        self._start_thread = start
        self._ref: pykka.ActorRef[Any] | None = None
        self._busy = False

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        started = asyncio.get_running_loop().run_in_executor(None, self._start_thread)
        try:
            self._ref = await asyncio.shield(started)
        except asyncio.CancelledError:
            started.add_done_callback(_stop_unwanted)
            raise
        # The first thing that its thread does behind `on_start` is to answer this.
        await self._asked(pykka_messages.ProxyGetAttr(attr_path=("actor_urn",)))

    async def on_receive(self, message: Any) -> Any:
        return await self._asked(message)

    async def _asked(self, message: Any) -> Any:
        ref = self._ref
        assert ref is not None
        self._busy = True
        reply = ask(ref, message)
        while not await reply.wait(STILL_ALIVE_S):
            if not ref.is_alive():
                raise ActorStoppedError("its thread has ended", actor=self.actor_inbox.name)
        self._busy = False
        try:
            return await reply
        except pykka.ActorDeadError as error:
            raise ActorCrashedError(str(error), actor=self.actor_inbox.name) from error

    async def on_stop(self) -> None:  # type: ignore[override]
        ref = self._ref
        if ref is None:
            return
        stopped = ask(ref, pykka_messages._ActorStop())
        if not self._busy:
            with suppress(pykka.ActorDeadError):
                await stopped


def _stop_unwanted(started: asyncio.Future[pykka.ActorRef[Any]]) -> None:
    """The bridge ended before its thread had started."""
    if not started.cancelled() and started.exception() is None:
        started.result().actor_inbox.put(Envelope(pykka_messages._ActorStop()))
