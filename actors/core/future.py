"""A reply that a coroutine can await, and that any thread may set."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import pykka


class LoopFuture(pykka.Future[Any]):
    """Pykka's future on the running loop.

    `await` it on the loop, as often as you like; `get` blocks, so it is for other threads only, and raises on
    the loop's own. Pykka's own `await` calls `get`, which would hold the loop. Only the first `set` counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._future: asyncio.Future[Any] = self._loop.create_future()

    def set(self, value: Any = None) -> None:
        self._on_loop(self._set, value)

    def set_exception(self, exc_info: Any = None) -> None:
        kind, error, _ = exc_info or sys.exc_info()
        if error is None:
            assert kind is not None
            error = kind()
        self._on_loop(self._set_exception, error)

    def _on_loop(self, function: Any, argument: Any) -> None:
        if threading.get_ident() == self._thread:
            function(argument)
        else:
            # The loop may be closed, and then nobody waits any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, argument)

    def _set(self, value: Any) -> None:
        if not self._future.done():
            self._future.set_result(value)

    def _set_exception(self, error: BaseException) -> None:
        if self._future.done():
            return
        if isinstance(error, StopIteration | asyncio.CancelledError):
            # The one cannot go through a future, and the other would look as if the asker were cancelled.
            cause, error = error, RuntimeError(f"the actor raised {error!r}")
            error.__cause__ = cause
        self._future.set_exception(error)
        # Retrieved here, so that a reply nobody asks for any more is no complaint of asyncio's.
        self._future.exception()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until the reply is there, whatever it is; false where it has not come in time."""
        await asyncio.wait((self._future,), timeout=timeout_s)
        return self._future.done()

    def __await__(self) -> Generator[Any, None, Any]:
        if self._get_hook is not None:
            # Of `map`, `filter`, `join` and `reduce`: the hook blocks in `get`, so it needs a thread.
            return asyncio.to_thread(self.get).__await__()
        # Shielded, since a coroutine that is cancelled takes what it awaits with it, and others may wait too.
        return asyncio.shield(self._future).__await__()

    def get(self, *, timeout: float | None = None) -> Any:
        if threading.get_ident() == self._thread:
            raise RuntimeError("await the reply: get() would block the loop that has to produce it")
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        settled = asyncio.wait((self._future,))
        try:
            waiting = asyncio.run_coroutine_threadsafe(settled, self._loop)
        except RuntimeError:
            settled.close()
            if not self._future.done():
                raise
        else:
            try:
                waiting.result(timeout)
            except TimeoutError:
                waiting.cancel()
                raise pykka.Timeout(f"{timeout} seconds") from None
            except CancelledError:
                raise pykka.ActorDeadError("the loop of the actor has ended") from None
        return self._future.result()
