"""Where a route leads: to one actor, to several, or to one of several by a condition or by weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from actors.core.spec import Options
from actors.kit.expressions import Expression, Template


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


ActorName = Annotated[str, Field(min_length=1)]
ActorNames = Annotated[
    tuple[ActorName, ...], Field(min_length=1), BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])
]
"""One actor, or a list of them."""


class One(Options):
    """`to: actor`"""

    actor: ActorName


class All(Options):
    """`to: [a, b]`: a delivery to each."""

    actors: Annotated[tuple[ActorName, ...], Field(min_length=1)]


class Case(Options):
    """One line of a match."""

    when: Expression
    """The first case whose expression holds is taken; a missing field compares as false."""
    to: ActorNames
    """An actor, or a list: a delivery to each."""


class Match(Options):
    """`to: {match: […], else: …}`: the first case that holds says where to."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    cases: Annotated[tuple[Case, ...], Field(min_length=1)] = Field(alias="match")
    """Tried in order."""
    otherwise: ActorNames | None = Field(default=None, alias="else")
    """Where to when no case holds; without it the message is dead-lettered as unroutable."""


def _weighed(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise PydanticCustomError("weights", "should have at least one weight above zero")
    return weights


HEAVIEST: Final = 1_000_000
"""The greatest weight of a split."""
Weight = Annotated[float, Field(ge=0, le=HEAVIEST, allow_inf_nan=False)]


class Split(Options):
    """`to: {split: {a: 90, b: 10}, by: …}`: to one of them, in these proportions, and always the same for a key."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    weights: Annotated[dict[ActorName, Weight], Field(min_length=1), AfterValidator(_weighed)] = Field(alias="split")
    """Actors and their weights, 0 to 1,000,000; where one grows, keys move to that actor, and no others move."""
    by: Template | None = None
    """The key, made behind the steps; without it that of `order_by`, and where it is empty the message's id."""


def actors_of(target: One | All | Match | Split) -> tuple[str, ...]:
    """Every actor that a route may lead to by it."""
    match target:
        case One(actor=actor):
            return (actor,)
        case All(actors=actors):
            return actors
        case Match(cases=cases, otherwise=otherwise):
            return (*(name for case in cases for name in case.to), *(otherwise or ()))
        case Split(weights=weights):
            return tuple(weights)


def _shape(value: Any) -> str | None:
    match value:
        case One() | str():
            return "<one>"
        case All() | list() | tuple():
            return "<all>"
        case Match():
            return "<match>"
        case Split():
            return "<split>"
        case Mapping() if not {"match", "else"}.isdisjoint(value):
            return "<match>"
        case Mapping() if not {"split", "by"}.isdisjoint(value):
            return "<split>"
    return None


def _one(value: Any) -> Any:
    return {"actor": value} if isinstance(value, str) else value


def _all(value: Any) -> Any:
    return {"actors": tuple(value)} if isinstance(value, list | tuple) else value


Target = Annotated[
    Annotated[One, BeforeValidator(_one, json_schema_input_type=str), Tag("<one>")]
    | Annotated[All, BeforeValidator(_all, json_schema_input_type=tuple[str, ...]), Tag("<all>")]
    | Annotated[Match, Tag("<match>")]
    | Annotated[Split, Tag("<split>")],
    Discriminator(
        _shape,
        custom_error_type="target",
        custom_error_message="expected an actor, a list of actors, or a mapping with 'match' or 'split'",
    ),
]
"""Where a route leads."""
