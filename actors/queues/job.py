"""A job, as every store of queues has it: BullMQ's words and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

State = Literal["waiting", "prioritized", "delayed", "active", "completed", "failed", "waiting-children"]
"""`waiting` in the order of arrival, `prioritized` by its priority, `delayed` until its time; `waiting-children` is
the parent of a flow, which only BullMQ's stores have."""

STATES: Final[tuple[State, ...]] = (
    "waiting",
    "prioritized",
    "delayed",
    "active",
    "completed",
    "failed",
    "waiting-children",
)

MAX_PRIORITY: Final = 2**21 - 1
"""BullMQ for Node throws at more; its package for Python does not."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait before a failed job is tried again, as BullMQ has it: without it there is none."""

    kind: str
    """`fixed` or `exponential`; a name of a Node program's own counts as `fixed`."""
    delay_ms: int
    jitter: float = 0.0
    """The part of a wait, from 0 to 1, by which it may be shorter."""

    def wait_ms(self, attempts_made: int, random: float) -> int:
        """After so many failed attempts (from 1); `random` is from [0, 1)."""
        longest = self.delay_ms * (2 ** min(attempts_made - 1, 62) if self.kind == "exponential" else 1)
        return round(longest * (1.0 - self.jitter * random))


@dataclass(frozen=True, slots=True)
class Deduplication:
    """One job for an id at a time. Simple: until it has finished; with `ttl_ms` for so long (throttle).

    Debounce is `ttl_ms`, `extend` and `replace` with a delayed job: the last one counts, `ttl_ms` after it.
    """

    id: str
    ttl_ms: int | None = None
    extend: bool = False
    """Each one that comes meanwhile begins the time anew."""
    replace: bool = False
    """One that comes while the job is delayed takes its place."""
    keep_last_if_active: bool = False
    """The last of those that come while the job is active runs behind it."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How many finished jobs stay, the newest ones, and for how long; what is None has no limit."""

    count: int | None = None
    age_s: int | None = None


@dataclass(frozen=True, slots=True)
class JobOptions:
    """BullMQ's options of a job, as far as they mean something here; `others` are kept as they are."""

    priority: int = 0
    """0 comes first, then 1, and so on up to `MAX_PRIORITY`."""
    delay_ms: int = 0
    attempts: int = 1
    """All of them, the first included."""
    backoff: Backoff | None = None
    lifo: bool = False
    deduplication: Deduplication | None = None
    keep_completed: Keep | None = None
    """None: as the consumer says."""
    keep_failed: Keep | None = None
    others: Mapping[str, Any] = field(default_factory=dict)
    """By BullMQ's long names."""


class NewJob(NamedTuple):
    """A job that is to be added; a named tuple since one is made for each message, and costs a fifth of a dataclass."""

    id: str
    """Empty: the store makes one. Neither a number nor with a colon, which BullMQ forbids; see `check_id`."""
    name: str
    data: str
    """JSON: the payload itself, for whoever works it."""
    timestamp_ms: int
    options: JobOptions = JobOptions()
    envelope: str | None = None
    """JSON: what a message has beside its payload; Node workers never see it."""
    key: str | None = None
    """What `order_by` made of it, behind the signature of the consumer's `Order`; None: not known."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as a store has it."""

    id: str
    name: str
    data: str
    """JSON."""
    options: JobOptions
    timestamp_ms: int
    """When it was added, epoch milliseconds."""
    envelope: str | None = None
    state: State | None = None
    """None where the store was not asked for it."""
    attempts_made: int = 0
    """Attempts that ended: failed ones, and the one that completed it."""
    attempts_started: int = 0
    stalled: int = 0
    """How often its worker died with it."""
    processed_ms: int | None = None
    """When its last attempt began."""
    finished_ms: int | None = None
    failed_reason: str | None = None
    stacktrace: tuple[str, ...] = ()
    return_value: str | None = None
    """JSON."""
    progress: str | None = None
    """JSON."""
    due_ms: int | None = None
    """When its delay is over, epoch milliseconds; None unless it is delayed."""
    worker: str | None = None
    """Who works it, or did."""
    key: str | None = None
    """What orders it among others, behind the signature of its order; people are shown `order_key.shown_key` of it."""
    parked: bool = False
    """It waits for a job of its key that came before it."""
    done: str | None = None
    """JSON: which ways of it had ended well when an attempt failed; made and read by `QueueWorker`."""
    doomed: str | None = None
    """Why it must fail without being worked, such as for having stalled too often."""
    scheduler: str | None = None
    """The job scheduler that made it."""
    parent: str | None = None
    """The parent's key, in a flow."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs are in each state; `parked` ones are among those of `waiting`."""

    waiting: int = 0
    prioritized: int = 0
    delayed: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    waiting_children: int = 0
    parked: int = 0

    @property
    def unfinished(self) -> int:
        return self.waiting + self.prioritized + self.delayed + self.active + self.waiting_children


@dataclass(frozen=True, slots=True)
class Stats:
    """How a queue stands."""

    counts: Counts
    paused: bool
    oldest_ms: int | None
    """When the oldest of the jobs that wait for a worker was added, epoch milliseconds; None where none waits."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Makes a job again and again: at a steady pace, or as a cron expression says; exactly one of both is given."""

    id: str
    name: str
    data: str
    """JSON."""
    every_ms: int | None = None
    cron: str | None = None
    """Five fields, or six with seconds first."""
    zone: str | None = None
    """A name of the IANA time zones; None: UTC."""
    options: JobOptions = JobOptions()
    next_ms: int | None = None
    """When it is due next; told by the store."""


def check_id(id: str) -> None:
    """Raise `ValueError` where BullMQ takes no job of this id."""
    if ":" in id:
        raise ValueError("a job's id has no colon")
    if id.isdigit():
        raise ValueError("a job's id is no number")
