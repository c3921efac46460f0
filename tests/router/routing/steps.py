"""Steps that tests put into routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from actors.core.message import Message
from actors.core.step import HOLD, Parts, Passage, StepResult

Step = Callable[[Message, Passage], StepResult | Awaitable[StepResult]]


def appends(letter: str) -> Step:
    """Adds to the data, so that running it twice shows."""

    def step(message: Message, _: Passage) -> StepResult:
        return message.with_data(message.data + letter)

    return step


def splits(message: Message, _: Passage) -> StepResult:
    """Data that is a list goes on as its items."""
    if not isinstance(message.data, list):
        return message
    return Parts(message.child(number, data) for number, data in enumerate(message.data, 1))


class Holds:
    """Keeps what `wanted` says; the test lets it go."""

    def __init__(self, wanted: Callable[[Any], bool] = lambda _: True) -> None:
        self.held: list[tuple[Message, Passage]] = []
        self._wanted = wanted

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        if not self._wanted(message.data):
            return message
        self.held.append((message, passage))
        return HOLD


def crashes_on(data: Any) -> Step:
    def step(message: Message, _: Passage) -> StepResult:
        if message.data == data:
            raise ZeroDivisionError("scripted")
        return message

    return step
