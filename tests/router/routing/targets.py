"""A target that does what a test has written down for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.core.actor import AsyncioActor
from actors.core.errors import DeliveryError, Reason
from actors.core.message import Message


@dataclass(frozen=True, slots=True)
class Reply:
    """It answers with this."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """It raises a `DeliveryError`."""

    reason: Reason = "refused"
    retryable: bool = True
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Crash:
    """It raises what is no `DeliveryError`."""


@dataclass(frozen=True, slots=True)
class Hang:
    """It answers when the test calls `Script.let_go`."""


OK = Reply()

Answer = Reply | Refuse | Crash | Hang


@dataclass(slots=True)
class Script:
    """What a target does with each message; it outlives the actor's incarnations.

    `answers` are used up one by one, then `otherwise` holds. `decide`, where given, goes before both.
    """

    answers: deque[Answer] = field(default_factory=deque)
    otherwise: Answer = OK
    decide: Callable[[Message], Answer] | None = None
    seen: list[Message] = field(default_factory=list)
    """Every message it was handed, with every attempt."""
    done: list[Message] = field(default_factory=list)
    """Those it answered well."""
    at: list[float] = field(default_factory=list)
    """When it was handed each, on the clock of the system."""
    at_once: int = 0
    most_at_once: int = 0
    hanging: deque[asyncio.Future[None]] = field(default_factory=deque)

    def next(self, message: Message) -> Answer:
        if self.decide is not None:
            return self.decide(message)
        return self.answers.popleft() if self.answers else self.otherwise

    def let_go(self) -> None:
        """Let all that hang answer well."""
        for future in self.hanging:
            if not future.done():
                future.set_result(None)
        self.hanging.clear()

    @property
    def data(self) -> list[Any]:
        return [message.data for message in self.seen]

    @property
    def done_data(self) -> list[Any]:
        return [message.data for message in self.done]


class ScriptedTarget(AsyncioActor):
    """Follows its script."""

    def __init__(self, script: Script, now: Callable[[], float], concurrency: int) -> None:
        super().__init__()
        self.concurrency = concurrency
        self._script = script
        self._now = now

    async def on_receive(self, message: Message) -> Any:
        script = self._script
        script.seen.append(message)
        script.at.append(self._now())
        script.at_once += 1
        script.most_at_once = max(script.most_at_once, script.at_once)
        try:
            return await self._answer(script.next(message), message)
        finally:
            script.at_once -= 1

    async def _answer(self, answer: Answer, message: Message) -> Any:
        match answer:
            case Reply(value):
                self._script.done.append(message)
                return value
            case Refuse(reason, retryable, retry_after_s):
                raise DeliveryError(
                    f"scripted {reason}", reason=reason, retryable=retryable, retry_after_s=retry_after_s
                )
            case Crash():
                raise RuntimeError("scripted crash")
            case Hang():
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._script.hanging.append(future)
                await future
                self._script.done.append(message)
                return None
