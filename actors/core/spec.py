"""How an endpoint type, a step and a connection type say what they are: name, options, roles.

One file in `actors/endpoints` or `actors/steps`, or one package in `actors/connections`, holds a type's options,
its registration and its code; the catalog finds it there, and the topology's schema, its validation and the
reference pages come from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import pykka
from pydantic import BaseModel, ConfigDict

from actors.core.actor import AsyncioActor
from actors.core.clock import Clock
from actors.core.events import Events
from actors.core.mailbox import Mailbox
from actors.core.message import Message, Outcome, Settlement
from actors.core.outlet import Outlet

T = TypeVar("T")


class Options(BaseModel):
    """The root of all option models: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Resource(Protocol):
    """Something that several actors share, such as a listener or a connection; opened when first asked for."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


@runtime_checkable
class Serving(Protocol):
    """A resource that others may connect to as well."""

    def serves(self) -> Sequence[str]:
        """Where: URLs."""
        ...


class Resources(Protocol):
    """Where an endpoint finds what it shares with others."""

    def get(self, kind: type[T], name: str = "") -> T:
        """The shared `kind`; `name` is the connection's in the topology where there are several."""
        ...


class Standing(Protocol):
    """Where an actor says whether its remote end is there."""

    def available(self) -> None: ...

    def unavailable(self, why: str) -> None:
        """Deliveries are refused at once, without using an attempt, until `available` is called."""
        ...


class Children(Protocol):
    """Where an actor starts children of its own, such as one for each client."""

    def start(self, name: str, make: Callable[[], AsyncioActor], mailbox: Mailbox) -> None:
        """Start a child: operators know it as `parent/name`, which the mailbox's name should be too.

        It is never started again, and is asked to stop when its parent has ended, at the latest. Raises
        `ValueError` where one of this name runs.
        """
        ...


@runtime_checkable
class Describing(Protocol):
    """An actor that has more to tell operators of itself than all actors have."""

    def about(self) -> Mapping[str, str | int]:
        """Names and values, made when somebody asks."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What an endpoint is told when it is made."""

    name: str
    """The actor's name in the topology."""
    outlet: Outlet
    clock: Clock
    events: Events
    resources: Resources
    standing: Standing
    children: Children


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What a connection is told when it is made."""

    name: str
    """The connection's name in the topology."""
    clock: Clock
    events: Events
    state_dir: Path
    """Where it may keep what it needs over a restart; private to this router."""
    directory: Path
    """The topology's folder, which relative paths begin at."""


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """What `@connection` records of a connection type."""

    name: str
    options: type[Options]
    kind: type[Any]
    """The `Resource` class; it is made with (options, context), and opened by its `open`."""
    documentation: str


@dataclass(frozen=True, slots=True)
class ConnectionTo:
    """Says of an option that it names a connection of this type: `Annotated[str, ConnectionTo("mqtt")]`."""

    type: str


Roles = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What `@endpoint` records of an endpoint type."""

    name: str
    options: type[Options]
    start: Callable[[Any, Context], pykka.Actor]
    """Makes the actor (options, context); the supervisor starts it."""
    source: Roles
    target: Roles
    replies: Roles
    claims: Callable[[Any], frozenset[str]]
    """What only one actor can hold, such as "path POST /x": two actors with the same claim are a problem."""
    documentation: str
    relays: bool = True
    """Whether what is sent to it may come out of it again, for which its sender then waits."""


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

    def load(self, route: str, step: int) -> list[Reserved]:
        """What an earlier process kept, in the order of reserving; a second call for the same step gives nothing."""
        ...

    def reserve(self, route: str, step: int, key: str, owner: str, expires: float) -> int:
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


A = TypeVar("A", bound=pykka.Actor)
S = TypeVar("S", bound=type[Any])

R = TypeVar("R")

ENDPOINT = "__endpoint_spec__"
STEP = "__step_spec__"
CONNECTION = "__connection_spec__"


def _no(_: Any) -> bool:
    return False


def _yes(_: Any) -> bool:
    return True


def _roles(given: bool | Roles) -> Roles:
    return given if callable(given) else (_yes if given else _no)


def _no_claims(_: Any) -> frozenset[str]:
    return frozenset()


def endpoint(
    name: str,
    *,
    options: type[Options],
    source: bool | Roles = False,
    target: bool | Roles = False,
    replies: bool | Roles = False,
    claims: Callable[[Any], frozenset[str]] = _no_claims,
    relays: bool = True,
) -> Callable[[type[A]], type[A]]:
    """Register an actor class as the endpoint type `name`.

    The class takes (options, context). `source`, `target` and `replies` say whether messages come out of it,
    can be sent to it, and whether it answers them; each may be a function of the options. `relays` is false
    where its two sides have nothing to do with each other, so that a route may lead from it back to it.
    """

    def register(actor: type[A]) -> type[A]:
        spec = EndpointSpec(
            name,
            options,
            actor,
            _roles(source),
            _roles(target),
            _roles(replies),
            claims,
            (actor.__doc__ or "").strip(),
            relays,
        )
        setattr(actor, ENDPOINT, spec)
        return actor

    return register


def step(name: str, *, options: type[BaseModel], repeatable: bool) -> Callable[[S], S]:
    """Register a class that takes (options, step context) as the step `name`.

    `repeatable` says that running it again on the same message gives the same and has no further effect; the
    journal keeps a message's progress only behind steps that are not.
    """

    def register(cls: S) -> S:
        setattr(cls, STEP, StepSpec(name, options, cls, repeatable, (cls.__doc__ or "").strip()))
        return cls

    return register


def connection(name: str, *, options: type[Options]) -> Callable[[type[R]], type[R]]:
    """Register a `Resource` class that takes (options, connection context) as the connection type `name`.

    It is made once for each connection of a topology that somebody uses; an endpoint gets it with
    `context.resources.get(TheClass, options.connection)`, and opens it.
    """

    def register(cls: type[R]) -> type[R]:
        setattr(cls, CONNECTION, ConnectionSpec(name, options, cls, (cls.__doc__ or "").strip()))
        return cls

    return register
