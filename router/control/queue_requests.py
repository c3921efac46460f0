"""What requests about queues may hold."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from actors.queues.job import (
    MAX_PRIORITY,
    STATES,
    Backoff,
    Deduplication,
    JobOptions,
    Keep,
    State,
    check_id,
)
from router.control.requests import Ids, Limit, Query, Request, Text
from router.control.steering import Steer

LONGEST_MS: Final = 10 * 365 * 24 * 3600 * 1000
MOST_ATTEMPTS: Final = 1_000_000
LAST: Final = 2**31 - 1
"""What a store counts to."""

_ONE: Final = f"({'|'.join(STATES)})"

Milliseconds = Annotated[int, Field(ge=0, le=LONGEST_MS)]


def _sensible(id: str) -> str:
    try:
        check_id(id)
    except ValueError as error:
        raise PydanticCustomError("job_id", "{why}", {"why": str(error)}) from None
    return id


JobId = Annotated[Text, Field(json_schema_extra={"pattern": "^[^:]*[^:0-9][^:]*$"}), AfterValidator(_sensible)]
"""Neither a number nor with a colon."""


class JobsQuery(Query):
    """A page of a queue's jobs: those that come first to the front, finished ones the newest first."""

    state: Annotated[str, Field(pattern=f"^{_ONE}(,{_ONE})*$")] | None = None
    """In this state alone, or in these, with commas between."""
    start: Annotated[int, Field(ge=0, le=LAST)] = 0
    """How many to leave out, counted from the first."""
    limit: Limit = 50
    """Jobs at most."""

    @property
    def states(self) -> tuple[State, ...]:
        """In the order they were given in; else what is at work first, and what is done last."""
        if self.state is None:
            return ("active", "waiting", "prioritized", "delayed", "waiting-children", "failed", "completed")
        given = self.state.split(",")
        return tuple(sorted((state for state in STATES if state in given), key=given.index))


class Jobs(Steer):
    """Some jobs, or all."""

    ids: Ids | None = None
    """These."""
    all: bool = False
    """All that there are until now."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) != self.all:
            raise PydanticCustomError("either", "give either 'ids' or 'all': true")
        return self


class Clear(Steer):
    """Jobs to delete, by their states."""

    states: Annotated[list[State], Field(min_length=1)]
    """`active` is none of them: what is at work ends there."""
    confirm: Text
    """The queue's own name, to show that this one is meant."""

    @model_validator(mode="after")
    def _not_active(self) -> Self:
        if "active" in self.states:
            raise PydanticCustomError("active", "active jobs are not cleared: their workers have them in hand")
        return self


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NewBackoff(_Part):
    """The wait before a failed job is tried again."""

    type: Literal["fixed", "exponential"] = "fixed"
    """`fixed`, or `exponential`: twice as long each time."""
    delay_ms: Milliseconds
    """The first one."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The part of a wait by which it may be shorter."""


class NewDeduplication(_Part):
    """One job for an id at a time."""

    id: Text
    """What makes jobs the same."""
    ttl_ms: Annotated[int, Field(ge=1, le=LONGEST_MS)] | None = None
    """For so long; otherwise until the job has finished."""
    extend: bool = False
    """Each one that comes meanwhile begins the time anew."""
    replace: bool = False
    """One that comes while the job is delayed takes its place."""


class NewKeep(_Part):
    """How many finished jobs stay, and for how long; without both, all."""

    count: Annotated[int, Field(ge=0, le=LAST)] | None = None
    """The newest ones."""
    age_s: Annotated[int, Field(ge=0, le=LONGEST_MS // 1000)] | None = None
    """Since they finished."""


class NewJobOptions(_Part):
    """BullMQ's options of a job, with their units."""

    priority: Annotated[int, Field(ge=0, le=MAX_PRIORITY)] = 0
    """0 comes first, then 1 and so on."""
    delay_ms: Milliseconds = 0
    """Before it waits for a worker."""
    attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] = 1
    """All of them, the first included."""
    backoff: NewBackoff | None = None
    """Without it there is no wait between attempts."""
    lifo: bool = False
    """In front of those that wait."""
    deduplication: NewDeduplication | None = None
    """Not added where another one has its id."""
    keep_completed: NewKeep | None = None
    """Otherwise as its worker says."""
    keep_failed: NewKeep | None = None
    """Likewise."""

    def options(self) -> JobOptions:
        """As a store has them."""
        backoff, same = self.backoff, self.deduplication
        return JobOptions(
            priority=self.priority,
            delay_ms=self.delay_ms,
            attempts=self.attempts,
            backoff=Backoff(backoff.type, backoff.delay_ms, backoff.jitter) if backoff is not None else None,
            lifo=self.lifo,
            deduplication=Deduplication(same.id, same.ttl_ms, same.extend, same.replace) if same is not None else None,
            keep_completed=_keep(self.keep_completed),
            keep_failed=_keep(self.keep_failed),
        )


class Add(Request):
    """A job, as any producer of the queue might add it."""

    data: Any
    """Its payload."""
    name: Text = "message"
    """What workers know it by."""
    id: JobId | None = None
    """Neither a number nor with a colon; one is made where there is none. One that the queue has is not added."""
    options: NewJobOptions = NewJobOptions()
    """Those that are not given are BullMQ's, and not those of the actor."""


def _keep(keep: NewKeep | None) -> Keep | None:
    return None if keep is None else Keep(keep.count, keep.age_s)
