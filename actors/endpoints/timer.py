"""Messages by the clock: every so often, or as a cron expression says."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from actors.core.actor import AsyncioActor
from actors.core.errors import RouterError
from actors.core.events import Notice
from actors.core.message import Message
from actors.core.spec import Context, Options, endpoint
from actors.core.succession import Succession
from actors.kit.expressions import TemplateTree
from actors.kit.schedule import Cron, Every
from actors.kit.units import Between, Duration

LONGEST_SLEEP_S: Final = 30.0
"""After so long a wait the wall clock is looked at again, since somebody may have set it."""

EARLY_S: Final = 0.001
"""So near a tick is due: the times of both clocks cannot tell it better."""


class TimerOptions(Options):
    """What a `timer` can be told: `every` or `cron`."""

    every: Annotated[Duration, Between("10ms", "365d")] | None = None
    """The time between two messages; they come at its multiples since the epoch."""
    cron: str | None = Field(None, examples=["*/5 * * * *", "0 8 * * 1-5"])
    """Minute, hour, day of the month, month and day of the week, as in a crontab."""
    timezone: str = "UTC"
    """The time zone of `cron`, such as America/Guayaquil."""
    data: TemplateTree | None = None
    """The messages' data; `now` is the time at which each was due. Left out, that time."""
    message_type: str = "tick"
    """The messages' type."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        _zone(name)
        return name

    @field_validator("cron")
    @classmethod
    def _readable(cls, expression: str | None) -> str | None:
        if expression is not None:
            Cron(expression)
        return expression

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError("give one of every and cron")
        return self

    def schedule(self) -> Every | Cron:
        if self.cron is not None:
            return Cron(self.cron, _zone(self.timezone))
        assert self.every is not None, "validated"
        return Every(float(self.every))


def _succession(before: TimerOptions, after: TimerOptions) -> Succession:
    return "handed_over"


@endpoint("timer", options=TimerOptions, source=True, succession=_succession)
class Timer(AsyncioActor):
    """Sends a message whenever it is due; its id is the timer's name and that time.

    Ticks that could not be sent, since the router was down or a route had no room, are left out and do not
    come later in a burst. Two processes, or one before and after a restart, give a tick the same id. `every`
    keeps its pace when somebody sets the clock; `cron` follows the clock.
    """

    def __init__(self, options: TimerOptions, context: Context) -> None:
        super().__init__()
        self._options = options
        self._context = context
        self._schedule = options.schedule()
        self._draining = False
        self._pace: asyncio.Task[None] | None = None
        self._due_s = math.inf
        """When the next tick is due: monotonic seconds for `every`, epoch seconds for `cron`."""
        self._sending = 0

    def on_start(self) -> None:
        if not self._context.succeeds:
            self._begin(self._context.clock.time())

    def take_over(self, predecessor: Timer | None) -> None:
        """Tick from now on: what was due before is the predecessor's."""
        if not self._context.succeeds:
            return
        self._begin(self._context.clock.time() if predecessor is None else predecessor.leave())

    def leave(self) -> float:
        """Tick no more, but for what is due by now; returns how far that goes: epoch seconds."""
        clock, schedule = self._context.clock, self._schedule
        reached_s = now_s = clock.time()
        if self._pace is None or self._draining:
            return reached_s
        due_s = self._due_s
        if isinstance(schedule, Every):
            # The steady pace may be ahead of the clock, or behind it: what counts is what it has come to.
            left_s = self._due_s - clock.now()
            due_s = schedule.nearest(now_s + left_s)
            reached_s = due_s if 0 < left_s < EARLY_S else due_s - left_s
        self._draining = True
        if not self._sending:
            self._pace.cancel()
            if due_s <= reached_s:
                self.spawn(self._tick(due_s))
        return reached_s

    @property
    def owed(self) -> int:
        """Ticks that wait for room."""
        return self._sending

    def on_drain(self) -> None:
        self._draining = True

    def _begin(self, after_s: float) -> None:
        """Send what is due after this time."""
        clock, schedule = self._context.clock, self._schedule
        if isinstance(schedule, Every):
            self._due_s = clock.now() + schedule.after(after_s) - clock.time()
            self._pace = self.spawn(self._steadily(schedule))
        else:
            self._due_s = schedule.after(min(after_s, clock.time()))
            self._pace = self.spawn(self._by_the_clock(schedule))

    async def _steadily(self, every: Every) -> None:
        clock = self._context.clock
        while True:
            await clock.sleep(self._due_s - clock.now())
            if self._draining:
                return
            await self._tick(every.nearest(clock.time()))
            self._due_s += every.seconds * max(1, math.ceil((clock.now() - self._due_s) / every.seconds))

    async def _by_the_clock(self, cron: Cron) -> None:
        clock = self._context.clock
        while True:
            seen_s = clock.time()
            while seen_s < self._due_s:
                await clock.sleep(min(self._due_s - seen_s, LONGEST_SLEEP_S))
                now_s = clock.time()
                if now_s < seen_s:
                    self._due_s = cron.after(now_s)
                seen_s = now_s
            if self._draining:
                return
            await self._tick(self._due_s)
            self._due_s = cron.after(clock.time())

    async def _tick(self, due_s: float) -> None:
        context = self._context
        self._sending += 1
        try:
            await context.outlet.put(self._message(due_s))
        except RouterError as error:
            text = f"{context.name}: the tick of {_iso(due_s)} is left out: {error}"
            context.events.emit(Notice(text, "warning"))
        finally:
            self._sending -= 1

    def _message(self, due_s: float) -> Message:
        name, due = self._context.name, _iso(due_s)
        message = Message(f"{name}-{due}", name, due, type=self._options.message_type, time=due_s)
        if self._options.data is None:
            return message
        return message.with_data(self._options.data.render(message, due_s))


def _iso(epoch_s: float) -> str:
    moment = datetime.fromtimestamp(round(epoch_s, 3), UTC)
    unit = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=unit).replace("+00:00", "Z")


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(f"unknown time zone {name!r}") from None
