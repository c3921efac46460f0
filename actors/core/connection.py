"""How a type of connection says what it is: name, options, and the class that opens it.

One package in `actors/connections` holds it; an endpoint's options name a connection by `ConnectionTo`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from actors.core.clock import Clock
from actors.core.events import Events
from actors.core.examination import Examine
from actors.core.spec import Options, Roles, as_roles

R = TypeVar("R")

CONNECTION = "__connection_spec__"


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
    generation: int = 0
    """How often it was made anew since the router started: the one before may still be open."""


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """What `@connection` records of a connection type."""

    name: str
    options: type[Options]
    kind: type[Any]
    """The `Resource` class; it is made with (options, context), and opened by its `open`."""
    documentation: str
    is_exclusive: Roles = lambda _: False
    """Whether a changed one can only be opened when the one before is closed; a function of the options."""
    examine: Examine | None = None
    """How `router doctor` looks whether it would get on; None: there is nothing to reach."""


@dataclass(frozen=True, slots=True)
class ConnectionTo:
    """Says of an option that it names a connection of this type: `Annotated[str, ConnectionTo("mqtt")]`."""

    type: str
    words: frozenset[str] = frozenset()
    """What may stand there in its place, and names no connection."""


def connection(
    name: str, *, options: type[Options], exclusive: bool | Roles = False, examine: Examine | None = None
) -> Callable[[type[R]], type[R]]:
    """Register a `Resource` class that takes (options, connection context) as the connection type `name`.

    It is made once for each connection of a topology that somebody uses; an endpoint gets it with
    `context.resources.get(TheClass, options.connection)`, and opens it. `exclusive` says that a changed one can
    only be opened when the one before is closed. `examine` is what `router doctor` asks.
    """

    def register(cls: type[R]) -> type[R]:
        documentation = (cls.__doc__ or "").strip()
        setattr(cls, CONNECTION, ConnectionSpec(name, options, cls, documentation, as_roles(exclusive), examine))
        return cls

    return register
