"""A topology that has been checked: what the engine builds from, and what the schema and the reference describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    model_validator,
)
from pydantic_core import PydanticCustomError

from actors.core.connection import ConnectionSpec
from actors.core.mailbox import Overflow
from actors.core.restart import Restart, Strategy
from actors.core.spec import EndpointSpec, Options
from actors.core.step import StepSpec
from actors.kit.expressions import Expression, Template
from actors.kit.units import Between, Duration, Percentage, Rate
from router.topology.places import Places
from router.topology.settings import Settings
from router.topology.target import ActorName, ActorNames, Target

LANGUAGE: Final = 1
"""The version of the language that `router:` names."""


class MailboxOptions(Options):
    """Where messages wait for an actor."""

    capacity: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """How many messages wait at most, 1 to 1,000,000."""
    overflow: Overflow = "wait"
    """When it is full: `wait` holds the route back, `reject` refuses; `drop_oldest` and `drop_newest` lose one."""


class RestartBackoff(Options):
    """The wait before a crashed actor starts again; it doubles with each crash."""

    min: Annotated[Duration, Between("1ms", "1d")] = Duration("100ms")
    """The first wait, 1ms to 1d."""
    max: Annotated[Duration, Between("1ms", "1d")] = Duration("30s")
    """The longest wait, 1ms to 1d."""
    jitter: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.2
    """The part of a wait, 0 to 1, by which it is made longer or shorter at random."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError("order", "'min' is longer than 'max'")
        return self


class SuperviseOptions(Options):
    """When an actor that ended starts again."""

    restart: Restart = "permanent"
    """`permanent`: whenever it ended; `transient`: after a crash; `temporary`: never."""
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = 5
    """More restarts than this within `within`, and the actor is failed until an operator restarts it; 0 to 1,000."""
    within: Annotated[Duration, Between("1s", "1d")] = Duration("30s")
    """The window in which restarts are counted, 1s to 1d."""
    backoff: RestartBackoff = RestartBackoff()
    """The wait before it starts again."""


class BreakerOptions(Options):
    """A circuit breaker: when too many attempts fail, deliveries are refused at once for a while."""

    failures: Annotated[Percentage, Between("0.1%", "100%")] = Percentage("50%")
    """It opens above this part of failed attempts, 0.1% to 100%."""
    window: Annotated[Duration, Between("1s", "1h")] = Duration("30s")
    """The attempts of this time are looked at, 1s to 1h."""
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """With fewer attempts in the window it stays closed; 1 to 1,000,000."""
    open: Annotated[Duration, Between("100ms", "1h")] = Duration("30s")
    """How long it stays open before one attempt is let through, 100ms to 1h."""


class ActorOptions(Options):
    """What every actor has besides its type's own options."""

    enabled: bool = True
    """false: it is not started; a route to it uses its fallback, and a route from it is quiet."""
    mailbox: MailboxOptions = MailboxOptions()
    """Where messages wait for it."""
    supervise: SuperviseOptions = SuperviseOptions()
    """When it starts again after it ended."""
    limit: Rate | None = None
    """Of deliveries to it; without it there is none."""
    breaker: BreakerOptions | None = None
    """Of deliveries to it; without it there is none."""


class ActorDefinition(ActorOptions):
    """One actor of a topology."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str
    type: str
    options: InstanceOf[Options]
    """An instance of the spec's option model."""
    spec: InstanceOf[EndpointSpec]

    @property
    def is_source(self) -> bool:
        return self.spec.source(self.options)

    @property
    def is_target(self) -> bool:
        return self.spec.target(self.options)

    @property
    def replies(self) -> bool:
        return self.spec.replies(self.options)

    @property
    def keeps(self) -> bool:
        return self.spec.keeps(self.options)

    @property
    def redelivers(self) -> bool:
        return self.is_source and self.spec.redelivers(self.options)


class RetryOptions(Options):
    """What follows a failed attempt that a repetition can mend."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 5
    """All of them, the first included; 1 to 1,000."""
    backoff: Literal["exponential", "fixed"] = "exponential"
    """`exponential`: each wait is twice the one before; `fixed`: all are the same."""
    delay: Annotated[Duration, Between("0s", "1d")] = Duration("1s")
    """The wait before the second attempt, up to 1d."""
    max_delay: Annotated[Duration, Between("0s", "7d")] = Duration("1m")
    """No wait is longer, up to 7d."""
    jitter: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.2
    """The part of a wait, 0 to 1, by which it is made longer or shorter at random."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if "max_delay" in self.model_fields_set and self.delay > self.max_delay:
            raise PydanticCustomError("order", "'delay' is longer than 'max_delay'")
        return self


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One step of a route."""

    name: str
    options: BaseModel
    """An instance of the spec's option model."""
    spec: StepSpec


class RouteOptions(Options):
    """How messages go from sources to targets, besides `steps`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    sources: ActorNames = Field(alias="from")
    """An actor, or a list: messages of all of them take this route."""
    when: Expression | None = None
    """Messages it does not hold for are counted as filtered, and acknowledged; a missing field compares as false."""
    order_by: Template | None = None
    """Messages of one key are handled in order, keys side by side; an empty key counts as the message's own."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Running attempts, 1 to 10,000; above 1 wants `order_by`, or an order that does not matter."""
    durable: bool = False
    """true: journaled before the source is acknowledged, and taken up again after a crash."""
    timeout: Annotated[Duration, Between("1ms", "1d")] = Duration("10s")
    """For one attempt, waiting for room included; 1ms to 1d."""
    retry: RetryOptions = RetryOptions()
    """What follows a failed attempt."""
    max_waiting: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """Retries that wait, 0 to 1,000,000; beyond it the sources are held back."""
    on_unknown: Literal["retry", "fallback", "dead_letter"] = "retry"
    """What follows an attempt that was sent and not answered in time: it may have had its effect."""
    on_pause: Literal["refuse", "journal"] = "refuse"
    """While it is paused: `refuse` holds its sources back, `journal` takes messages and keeps them (`durable` only)."""
    to: Target
    """An actor; a list (all of them); `match` (by a condition); or `split` (by weights)."""
    fallback: ActorNames = ()
    """An actor, or several in their order: taken when the target has failed for good, or says that it is away."""
    dead_letter: ActorName | None = None
    """The actor that takes what no target took; without it, and when it fails too, the router's own store does."""

    @model_validator(mode="after")
    def _can_journal(self) -> Self:
        if self.on_pause == "journal" and not self.durable:
            raise PydanticCustomError("pause", "'on_pause: journal' needs 'durable: true'")
        return self


class RouteDefinition(RouteOptions):
    """One route of a topology."""

    name: str
    steps: tuple[InstanceOf[StepDefinition], ...] = ()


class GroupDefinition(Options):
    """Actors that are supervised together."""

    strategy: Strategy
    """When one crashes: `one_for_one` restarts that, `one_for_all` all, `rest_for_one` it and those after it."""
    actors: Annotated[tuple[ActorName, ...], Field(min_length=1)]
    """In the order in which they start."""


@dataclass(frozen=True, slots=True)
class ConnectionDefinition:
    """One transport that several actors share."""

    name: str
    type: str
    options: Options
    spec: ConnectionSpec


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole file without errors."""

    name: str
    actors: Mapping[str, ActorDefinition] = field(default_factory=dict)
    routes: Mapping[str, RouteDefinition] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    connections: Mapping[str, ConnectionDefinition] = field(default_factory=dict)
    groups: Mapping[str, GroupDefinition] = field(default_factory=dict)
    path: Path | None = None
    """The file."""
    text: str = field(default="", compare=False, repr=False)
    """The file as written: nothing is expanded in it."""
    left_out: frozenset[str] = field(default=frozenset(), compare=False)
    """Routes of the file that this process does not run: it runs a part."""
    places: Places | None = field(default=None, compare=False, repr=False)
    """Where its names stand in the file."""

    def __post_init__(self) -> None:
        for name in ("actors", "routes", "connections", "groups"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def directory(self) -> Path:
        """What relative paths of certificates and keys are relative to."""
        return self.path.parent if self.path is not None else Path()
