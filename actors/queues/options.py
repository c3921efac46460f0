"""What a topology says of a queue, part by part, and what each part means to a store."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from actors.core.errors import DeliveryError
from actors.core.message import Message
from actors.kit.expressions import Template
from actors.kit.schedule import Cron
from actors.kit.units import Between, Duration, parse_duration
from actors.queues.job import MAX_PRIORITY, Backoff, Deduplication, JobOptions, Keep, Scheduler

LONGEST_DELAY_S: Final = 366 * 86_400.0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BackoffOptions(_Part):
    """How long a failed job waits."""

    type: Literal["fixed", "exponential"] = "exponential"
    """`exponential` doubles the wait each time."""
    delay: Annotated[Duration, Between("0s", "1d")] = Duration("1s")
    """Before the second attempt."""
    jitter: float = Field(0.2, ge=0, le=1)
    """The part of a wait, from 0 to 1, by which it may be shorter, so that not all come at once."""

    def meant(self) -> Backoff:
        return Backoff(self.type, round(self.delay * 1000), self.jitter)


class DeduplicationOptions(_Part):
    """One job for an id at a time: what comes while that is there adds nothing."""

    id: Template
    """What makes two messages the same; where it is empty, a message is like no other."""
    ttl: Annotated[Duration, Between("1ms", "365d")] | None = None
    """For how long; left out, until the job has finished."""
    extend: bool = False
    """Each one that comes meanwhile begins the time anew."""
    replace: bool = False
    """One that comes while the job is delayed takes its place."""
    keep_last_if_active: bool = False
    """The last of those that come while the job is worked runs behind it."""

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if self.extend and self.ttl is None:
            raise ValueError("'extend' needs 'ttl'")
        return self

    def meant(self, message: Message, now_s: float) -> Deduplication | None:
        id_ = self.id.render_text(message, now_s)
        if not id_:
            return None
        ttl_ms = None if self.ttl is None else round(self.ttl * 1000)
        return Deduplication(id_, ttl_ms, self.extend, self.replace, self.keep_last_if_active)


class KeepOptions(_Part):
    """Which finished jobs stay: the newest ones."""

    count: int | None = Field(None, ge=0)
    """So many."""
    age: Annotated[Duration, Between("1s", "3650d")] | None = None
    """For so long."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.count is None and self.age is None:
            raise ValueError("give 'count', 'age' or both")
        return self

    def meant(self) -> Keep:
        return Keep(self.count, None if self.age is None else math.ceil(self.age))


def _counted(value: Any) -> Any:
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


class KeepBothOptions(_Part):
    """How many finished jobs stay in the queue, for people, and so that a job that is added again is known."""

    completed: KeepOptions = KeepOptions(count=10_000, age=Duration("1d"))
    """A number, or `count` and `age`."""
    failed: KeepOptions = KeepOptions(count=10_000, age=Duration("30d"))
    """A number, or `count` and `age`."""

    @field_validator("completed", "failed", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return _counted(value)


class SchedulerOptions(_Part):
    """Makes a job again and again: `every` or `cron`."""

    every: Annotated[Duration, Between("1s", "365d")] | None = None
    """The time between two jobs."""
    cron: str | None = Field(None, examples=["*/5 * * * *", "0 8 * * 1-5"])
    """Minute, hour, day of the month, month and day of the week, as in a crontab; six fields begin with seconds."""
    timezone: str = "UTC"
    """The time zone of `cron`, such as America/Guayaquil."""
    data: Any = None
    """The jobs' data: any value."""
    name: str | None = Field(None, min_length=1, max_length=200)
    """The jobs' name; left out, the scheduler's."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(name)
        except (ValueError, KeyError, OSError):
            raise ValueError(f"unknown time zone {name!r}") from None
        return name

    @field_validator("cron")
    @classmethod
    def _readable(cls, expression: str | None) -> str | None:
        if expression is not None:
            Cron(expression)
        return expression

    @field_validator("data")
    @classmethod
    def _expressible(cls, data: Any) -> Any:
        try:
            json.dumps(data, allow_nan=False)
        except (ValueError, TypeError):
            raise ValueError("this has no form in JSON") from None
        return data

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError("give one of 'every' and 'cron'")
        return self

    def meant(self, id: str, name: str, options: JobOptions) -> Scheduler:
        return Scheduler(
            id,
            self.name or name,
            json.dumps(self.data, ensure_ascii=False, separators=(",", ":")),
            None if self.every is None else round(self.every * 1000),
            self.cron,
            None if self.cron is None or self.timezone == "UTC" else self.timezone,
            options,
        )


def check_priority(template: Template | None) -> Template | None:
    """For a validator: a constant must be a priority."""
    if template is not None and template.is_constant and _priority(template.source) is None:
        raise ValueError(f"expected a whole number from 0 to {MAX_PRIORITY}, or a template")
    return template


def check_delay(template: Template | None) -> Template | None:
    """For a validator: a constant must be a duration."""
    if template is not None and template.is_constant:
        seconds = parse_duration(str(template.source))
        if seconds > LONGEST_DELAY_S:
            raise ValueError("the most is 366d")
    return template


def priority_of(template: Template, message: Message, now_s: float) -> int:
    """A message's priority; a DeliveryError that no retry changes where that is none."""
    value = template.render(message, now_s)
    priority = _priority(value)
    if priority is None:
        text = f"priority: expected a whole number from 0 to {MAX_PRIORITY}, not {_shown(value)}"
        raise DeliveryError(text, reason="invalid", retryable=False)
    return priority


def delay_ms_of(template: Template, message: Message, now_s: float) -> int:
    """A message's delay: a number is milliseconds, as in BullMQ, and text a duration; none where it is empty."""
    value = template.render(message, now_s)
    match value:
        case None | "":
            return 0
        case str():
            try:
                seconds = parse_duration(value)
            except ValueError as error:
                raise DeliveryError(f"delay: {error}", reason="invalid", retryable=False) from None
        case int() | float() if not isinstance(value, bool):
            seconds = value / 1000
        case _:
            seconds = math.nan
    if not 0 <= seconds <= LONGEST_DELAY_S:
        text = f"delay: expected milliseconds or a duration of at most 366d, not {_shown(value)}"
        raise DeliveryError(text, reason="invalid", retryable=False)
    return round(seconds * 1000)


def _priority(value: Any) -> int | None:
    match value:
        case bool():
            return None
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str() if value.isascii() and value.isdigit() and len(value) < 10:
            number = int(value)
        case _:
            return None
    return number if 0 <= number <= MAX_PRIORITY else None


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
