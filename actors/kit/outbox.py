"""Calls from a thread to a loop, with one wake-up for all that gather until the loop gets to them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Outbox:
    """`send` belongs to the thread; what is sent runs on the loop, in its order."""

    __slots__ = ("_calls", "_loop", "_told")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._told = False

    def send(self, call: Callable[[], None]) -> None:
        """Nothing happens where the loop is closed: with it went everybody who waited."""
        self._calls.append(call)
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._empty)
            except RuntimeError:
                self._told = False
                self._calls.clear()

    def _empty(self) -> None:
        # Reset first: what is added from here on asks for another turn.
        self._told = False
        while self._calls:
            call = self._calls.popleft()
            try:
                call()
            except Exception as problem:
                self._loop.call_exception_handler({"message": "a call from a thread raised", "exception": problem})
