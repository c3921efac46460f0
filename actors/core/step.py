"""How a step says what it is, and what it makes of a message.

One file in `actors/steps` holds a step's options, its registration and its code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from actors.core.clock import Clock
from actors.core.events import Events
from actors.core.message import Message, Outcome, Settlement

S = TypeVar("S", bound=type[Any])

STEP = "__step_spec__"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """What `@step` records of a step type."""

    name: str
    options: type[BaseModel]
    build: Callable[[Any, StepContext], Step]
    repeatable: bool
    """Running it again on the same message gives the same and has no further effect."""
    documentation: str


class Verdict(NamedTuple):
    """A step's word that the message ends here."""

    outcome: Outcome
    reason: str | None = None
    """For `dropped` and `dead_lettered`: why."""


FILTERED = Verdict("filtered")
DEDUPLICATED = Verdict("deduplicated")


class Parts(tuple[Message, ...]):
    """A step's word that the message goes on as these; none of them means that it is filtered."""

    __slots__ = ()


class Hold:
    """A step's word that the message waits until the step calls `Passage.resume` or `Passage.conclude`."""

    __slots__ = ()


HOLD = Hold()

StepResult = Message | Verdict | Parts | Hold


class Passage(Protocol):
    """One message's way through a route, as its steps see it."""

    def watch(self, settled: Callable[[Settlement], None]) -> None:
        """Call `settled` once when the message has ended on this route."""
        ...

    def resume(self, message: Message) -> None:
        """After HOLD: go on behind the step that held it."""
        ...

    def conclude(self, verdict: Verdict) -> None:
        """After HOLD: it ends here."""
        ...


class Step(Protocol):
    """Runs inside the route's actor, and may have a method `adopt` (see `Adopting`).

    An exception that is no `DeliveryError` or `ExpressionError` is a crash of that actor.
    """

    def __call__(self, message: Message, passage: Passage) -> StepResult | Awaitable[StepResult]: ...


@runtime_checkable
class Adopting(Protocol):
    """A step that wants to hear of messages which passed it before the process died, and go on behind it."""

    def adopt(self, message_id: str, passage: Passage) -> None: ...


@runtime_checkable
class Inheriting(Protocol):
    """A step that remembers something, which the step that takes its place in a running route is to know."""

    def inherit(self, predecessor: Any) -> bool:
        """Take over what `predecessor`, of the same class, remembers; it may still see messages that it has begun.

        False where it remembers something else than this one would.
        """
        ...


class Reserved(NamedTuple):
    """A key that a step reserved for one message, as it is kept on disk."""

    number: int
    """What it is settled and released by."""
    key: str
    owner: str
    """The message's id."""
    settled: bool
    """Whether the owner ended well, so that copies are duplicates for good."""
    expires: float
    """Epoch seconds."""


class Reservations(Protocol):
    """Durable memory of the keys that `dedup` has seen; writes are ordered before the journal's deletions.

    What has expired is removed at the next start, so a step releases only what failed.
    """

    def load(self, route: str, step: str) -> list[Reserved]:
        """What an earlier process kept, in the order of reserving; a second call for the same step gives nothing.

        `step` names it among those of its route, wherever it stands there.
        """
        ...

    def reserve(self, route: str, step: str, key: str, owner: str, expires: float) -> int:
        """Keep a new reservation; returns its number."""
        ...

    def settle(self, number: int) -> None: ...

    def release(self, number: int) -> None: ...


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step is told when it is built."""

    route: str
    position: int
    """Its place among the route's steps, from 0."""
    clock: Clock
    events: Events
    reservations: Reservations
    earlier: tuple[Any, ...] = ()
    """The options of the steps of the same type that stand before it."""


def step(name: str, *, options: type[BaseModel], repeatable: bool) -> Callable[[S], S]:
    """Register a class that takes (options, step context) as the step `name`.

    `repeatable` says that running it again on the same message gives the same and has no further effect; the
    journal keeps a message's progress only behind steps that are not.
    """

    def register(cls: S) -> S:
        setattr(cls, STEP, StepSpec(name, options, cls, repeatable, (cls.__doc__ or "").strip()))
        return cls

    return register
