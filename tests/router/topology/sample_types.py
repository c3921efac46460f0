"""Actor types and steps that exist for tests alone, small enough to be seen through."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pykka
from pydantic import Field, RootModel, model_validator

from actors.core.spec import Options, endpoint
from actors.core.step import step
from actors.kit.expressions import Expression, Template
from actors.kit.secrets import Secret
from actors.kit.units import Duration
from router.catalog import Catalog


class Actor(pykka.ThreadingActor):
    """Never started."""


class Signature(Options):
    """How a request is signed."""

    secret: Secret
    """What both sides know."""
    header: str = "x-signature"


class DoorOptions(Options):
    """What a door can be told."""

    path: Annotated[str, Field(pattern="^/")]
    """Where it is."""
    methods: tuple[Literal["POST", "PUT"], ...] = ("POST",)
    respond: Literal["accepted", "delivered", "reply"] | None = None
    verify: Signature | None = None
    users: dict[str, Secret] = Field(default_factory=dict)


def _paths(options: DoorOptions) -> frozenset[str]:
    return frozenset(f"path {method} {options.path}" for method in options.methods)


@endpoint("door", options=DoorOptions, source=True, claims=_paths)
class Door(Actor):
    """Lets messages in."""


class PostOptions(Options):
    """What a post can be told."""

    url: Template
    """Where to."""
    qos: Annotated[int, Field(ge=0, le=2)] = 0
    timeout: Duration = Duration("5s")
    token: Secret | None = None
    tags: tuple[str, ...] = ()
    extra: str | tuple[int, ...] | None = None


@endpoint("post", options=PostOptions, target=True, replies=True)
class Post(Actor):
    """Sends messages on, and answers."""


class SinkOptions(Options):
    """A sink has no options that are required."""

    level: Literal["debug", "info"] = "info"


@endpoint("sink", options=SinkOptions, target=True)
class Sink(Actor):
    """Takes messages, and does not answer."""


class RelayOptions(Options):
    """What a relay can be told."""

    out: bool = True
    """Messages come out of it."""


@endpoint("relay", options=RelayOptions, target=True, source=lambda options: options.out)
class Relay(Actor):
    """Takes messages, and lets them out again."""


@endpoint("counter", options=RelayOptions, source=True, target=True, relays=False)
class Counter(Actor):
    """Takes messages and lets others out, and the ones have nothing to do with the others."""


class ShelfOptions(Options):
    """What a shelf can be told."""

    concurrency: int = 1
    """Messages that it lets out at a time."""


@endpoint("shelf", options=ShelfOptions, source=True, target=True, relays=False, keeps=True, redelivers=True)
class Shelf(Actor):
    """Keeps what it takes, and lets it out again and again until it has ended."""


class MoodyOptions(Options):
    """Its validator fails as it should not."""

    word: str

    @model_validator(mode="after")
    def _fail(self) -> MoodyOptions:
        raise RuntimeError(self.word)


@endpoint("moody", options=MoodyOptions, source=True)
class Moody(Actor):
    """Cannot be used."""


class FilterOptions(RootModel[Expression]):
    """What must hold."""


@step("filter", options=FilterOptions, repeatable=True)
class Filter:
    """Lets pass what an expression holds for."""


class ListOptions(Options):
    """A text alone stands for `names`."""

    names: tuple[str, ...]
    times: int = 1

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"names": [value]} if isinstance(value, str) else value


@step("list", options=ListOptions, repeatable=True)
class List:
    """Names things."""


def sample_catalog() -> Catalog:
    """All of the above but the counter and the shelf, which few tests want."""
    return Catalog(endpoints=[Door, Post, Sink, Relay, Moody], steps=[Filter, List])
