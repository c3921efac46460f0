"""What requests may hold: their bodies and query parameters, checked before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from actors.core.errors import DecodeError, Reason
from actors.kit.codecs import decode
from actors.kit.units import parse_duration
from router.control.problem import Mistake, RequestError
from router.store.dead_letter import DeadLetterFilter
from router.topology.problems import did_you_mean

MAX_LIMIT: Final = 1000
MAX_WAIT_S: Final = 3600.0
MAX_IDS: Final = 1000
MAX_AT_ONCE: Final = 10_000
"""Dead letters that one request replays at most."""

Text = Annotated[str, Field(min_length=1, max_length=1024)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
Ids = Annotated[list[Text], Field(min_length=1, max_length=MAX_IDS)]


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time as requests write it."""

    seconds: float
    is_age: bool
    """Whether `seconds` says how long ago; otherwise since the epoch."""

    def at(self, now: float) -> float:
        """Epoch seconds."""
        return now - self.seconds if self.is_age else self.seconds

    @classmethod
    def parse(cls, value: Any) -> Moment:
        """Of epoch seconds, `2h`, or a date and time, which is UTC unless it has a zone."""
        readers: tuple[tuple[Callable[[Any], float], bool], ...] = (
            (float, False),
            (parse_duration, True),
            (_timestamp, False),
        )
        for read, is_age in readers if type(value) in (str, int, float) else ():
            try:
                seconds = read(value)
            except (ValueError, TypeError, AttributeError, OverflowError):
                continue
            if isfinite(seconds):
                return cls(seconds, is_age)
        hint = "expected a date and time such as 2026-01-31T12:00:00Z, epoch seconds, or how long ago, such as 2h"
        raise PydanticCustomError("moment", hint)


def _timestamp(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


MomentField = Annotated[Moment, PlainValidator(Moment.parse, json_schema_input_type=str | float)]


class Request(BaseModel):
    """The root of bodies: an unknown field is a mistake, and no type is taken for another."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Query(BaseModel):
    """The root of query parameters, which are text and are read as numbers where numbers are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NoQuery(Query):
    """No parameters."""


class ActorsQuery(Query):
    """How much of what runs."""

    children: Annotated[int, Field(ge=0, le=MAX_LIMIT)] = 0
    """Of the children that an actor has started for itself, such as one for each client: how many are listed."""


class MailboxQuery(Query):
    """How much of a mailbox."""

    limit: Limit = 50
    """Messages of each kind at most."""


class NewMessage(Request):
    """A message to send by hand."""

    data: Any
    """Its payload."""
    headers: dict[Text, str] = {}
    """As a source would have set them."""
    id: Text | None = None
    """Its idempotency key; one is made where there is none."""
    subject: Text | None = None
    """What it is about."""
    key: Text | None = None
    """The partition key."""
    type: Text = "message"
    """As CloudEvents has it."""
    wait: bool = False
    """Answer when it has ended, with what became of it."""
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S, allow_inf_nan=False)] = 10.0
    """How long to wait for the answer; the message goes on all the same."""


class Selection(BaseModel):
    """Which dead letters; what is absent matches all."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    route: str | None = None
    """Empty for what came as far as no route."""
    target: Text | None = None
    """The actor that did not take them."""
    reason: Reason | None = None
    """The class of the last failure."""
    since: MomentField | None = None
    """Since then: a date and time, epoch seconds, or how long ago, such as 2h."""
    until: MomentField | None = None
    """Before then, written likewise."""

    def filter(self, now: float) -> DeadLetterFilter:
        """As the store has it; `now` in epoch seconds."""
        return DeadLetterFilter(
            self.route,
            self.target,
            self.reason,
            self.since.at(now) if self.since is not None else None,
            self.until.at(now) if self.until is not None else None,
        )


class DeadLettersQuery(Selection):
    """A page of dead letters, the newest first."""

    limit: Limit = 50
    """Dead letters at most."""
    before: Text | None = None
    """The id of the last one of the page before."""


class _Chosen(Request):
    ids: Ids | None = None
    """These."""
    filter: Selection | None = None
    """All that it chooses; an empty one chooses all."""
    limit: Annotated[int, Field(ge=1, le=MAX_AT_ONCE)] | None = None
    """At most so many of those that `filter` chooses, the oldest first."""
    after: Text | None = None
    """Of those that `filter` chooses only what came behind this id: `last` of the answer before."""
    through: Text | None = None
    """And nothing that came behind this one, such as what becomes a dead letter meanwhile."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise PydanticCustomError("either", "give either 'ids' or 'filter'; an empty filter means all")
        if self.ids is not None and (self.limit or self.after or self.through):
            raise PydanticCustomError("page", "'limit', 'after' and 'through' go with 'filter'")
        return self


class Replay(_Chosen):
    """Dead letters to send again."""

    mode: Literal["original", "current"] = Field(default="original", alias="as")
    """`original`: to the target that failed; `current`: through the route anew."""


class Drop(_Chosen):
    """Dead letters to delete."""


M = TypeVar("M", bound=BaseModel)


def read_body(body: bytes, content_type: str, model: type[M]) -> M:
    """The body as `model`; raises `RequestError`."""
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json":
        raise RequestError(Mistake("", "the body must be application/json"), status=415)
    try:
        return _validated(model, decode(body, content_type, "json"), strict=True)
    except DecodeError as error:
        raise RequestError(Mistake("", str(error))) from None


def read_query(parameters: Sequence[tuple[str, str]], model: type[M]) -> M:
    """Query parameters as `model`; raises `RequestError`."""
    values = dict(parameters)
    if len(values) != len(parameters):
        repeated = sorted({name for name, _ in parameters if sum(name == other for other, _ in parameters) > 1})
        raise RequestError(*(Mistake(name, "given more than once") for name in repeated))
    return _validated(model, values, strict=False)


def _validated(model: type[M], values: Any, *, strict: bool) -> M:
    if not isinstance(values, Mapping):
        raise RequestError(Mistake("", "expected an object"))
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestError(*(_mistake(model, each) for each in found)) from None


def _mistake(model: type[BaseModel], error: Mapping[str, Any]) -> Mistake:
    parts = [str(part) for part in error["loc"]]
    place = ".".join(parts)
    if error["type"] == "extra_forbidden":
        known = Selection if len(parts) > 1 else model
        names = [field.alias or name for name, field in known.model_fields.items()]
        what = "query parameter" if issubclass(model, Query | DeadLettersQuery) else "field"
        return Mistake(place, f"unknown {what}", did_you_mean(parts[-1], names))
    if error["type"] == "missing":
        return Mistake(place, "is required")
    return Mistake(place, str(error["msg"]).removeprefix("Input "))
