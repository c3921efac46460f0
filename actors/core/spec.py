"""How an endpoint type says what it is: name, options, roles.

One file in `actors/endpoints` holds a type's options, its registration and its code; the catalog finds it there,
and the topology's schema, its validation and the reference pages come from it. Steps and connection types have
`step.py` and `connection.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import pykka
from pydantic import BaseModel, ConfigDict

from actors.core.actor import AsyncioActor
from actors.core.clock import Clock
from actors.core.events import Events
from actors.core.examination import Examine
from actors.core.hop import Echoes, Hop, Hops
from actors.core.mailbox import Mailbox
from actors.core.outlet import Outlet
from actors.core.resource import Resources
from actors.core.succession import Succession, Successions

A = TypeVar("A", bound=pykka.Actor)

ENDPOINT = "__endpoint_spec__"


class Options(BaseModel):
    """The root of all option models: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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
    succeeds: bool = False
    """It starts beside another one of its name, which holds what only one can until `take_over` is called."""


Roles = Callable[[Any], bool]
"""Whether it has a role: a function of the options."""


def _no(_: Any) -> bool:
    return False


def _yes(_: Any) -> bool:
    return True


def as_roles(given: bool | Roles) -> Roles:
    """Also of what has it, or has it not, whatever its options."""
    return given if callable(given) else (_yes if given else _no)


_PLAIN = Hop()


def _plain(options: Any, connections: Mapping[str, Any]) -> Hop:
    return _PLAIN


def _hops(given: Hop | Hops) -> Hops:
    return given if callable(given) else lambda options, connections: given


def _no_echoes(targets: Mapping[str, Any], sources: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return ()


def _no_claims(_: Any) -> frozenset[str]:
    return frozenset()


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
    hop: Hops = _plain
    """What the way to its other end keeps of a route's promises."""
    echoes: Echoes = _no_echoes
    """Which actors of this type get back by another way what is sent to one, for which nobody waits."""
    successions: Successions | None = None
    examine: Examine | None = None
    """How `router doctor` looks whether it would get on; None: there is nothing to reach."""
    keeps: Roles = _no
    """Whether what it has acknowledged survives kill -9."""
    redelivers: Roles = _no
    """Whether, as a source, it sends again by itself what failed; its options have `concurrency` then."""

    def succession(self, before: Any, after: Any) -> Succession:
        """How one with the options `after` takes the place of one with `before`.

        Unless the type says otherwise, a source ends before the next one starts, since two would take in the same.
        """
        if self.successions is not None:
            return self.successions(before, after)
        return "break" if self.source(before) or self.source(after) else "beside"


def endpoint(
    name: str,
    *,
    options: type[Options],
    source: bool | Roles = False,
    target: bool | Roles = False,
    replies: bool | Roles = False,
    claims: Callable[[Any], frozenset[str]] = _no_claims,
    relays: bool = True,
    hop: Hop | Hops = _PLAIN,
    echoes: Echoes = _no_echoes,
    succession: Successions | None = None,
    examine: Examine | None = None,
    keeps: bool | Roles = False,
    redelivers: bool | Roles = False,
) -> Callable[[type[A]], type[A]]:
    """Register an actor class as the endpoint type `name`.

    The class takes (options, context). `source`, `target` and `replies` say whether messages come out of it,
    can be sent to it, and whether it answers them; each may be a function of the options. `relays` is false
    where its two sides have nothing to do with each other, so that a route may lead from it back to it. `hop`
    says what its transport keeps of a route's promises, and `echoes` which sources of this type get what is
    sent to its targets: validation warns of what a file promises beyond that. `succession` says how a changed
    one takes the place of the one before in a running router. `examine` is what `router doctor` asks. `keeps` says
    that what it acknowledged survives kill -9; `redelivers` that as a source it sends again by itself what failed,
    with a receipt that has a `redelivery`: routes from it do not retry, and run as many attempts as it lets out
    messages, which its option `concurrency` says.
    """

    def register(actor: type[A]) -> type[A]:
        spec = EndpointSpec(
            name,
            options,
            actor,
            as_roles(source),
            as_roles(target),
            as_roles(replies),
            claims,
            (actor.__doc__ or "").strip(),
            relays,
            _hops(hop),
            echoes,
            succession,
            examine,
            as_roles(keeps),
            as_roles(redelivers),
        )
        setattr(actor, ENDPOINT, spec)
        return actor

    return register
