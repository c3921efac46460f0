"""What several actors share: how it is opened and found, and what it tells of where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Access:
    """How a program beside the router gets to where a connection leads; nothing in it is secret."""

    url: str
    """Without a user."""
    protocol: str
    """The version of the protocol, as the connection's options have it."""
    login: Literal["none", "kept", "secret"] = "none"
    """`kept`: in the file `credentials`. `secret`: as the topology has it, and told to nobody."""
    credentials: Path | None = None
    """A file of JSON, `username` and `password`, for whoever may read it."""


@runtime_checkable
class Accessible(Protocol):
    """A connection that says how others get to where it leads."""

    def access(self) -> Access | None:
        """None while it is not open."""
        ...


class Resources(Protocol):
    """Where an endpoint finds what it shares with others."""

    def get(self, kind: type[T], name: str = "") -> T:
        """The shared `kind`; `name` is the connection's in the topology where there are several."""
        ...
