"""What the API answers about queues and their jobs."""

from __future__ import annotations

from typing import Any

from actors.queues.job import State
from router.control.documents import Count, Document, Seconds


class Finished(Document):
    """Attempts at jobs, by how they ended."""

    completed: Count
    failed: Count
    """The last one of its job failed."""
    retried: Count
    """It failed, and others are left."""
    released: Count
    """It was given back without having been tried."""
    lost: Count
    """Its worker lost the lock: somebody else has the job, or it is gone."""


class QueueDocument(Document):
    """One queue."""

    name: str
    """The queue's own, which `clear` wants to be told."""
    actors: list[str]
    """Those of this router that have it."""
    store: str
    """Which kind: `sqlite`, `redis`."""
    available: bool
    """Whether the store has answered; otherwise what it counts is null."""
    unavailable_why: str
    counts: dict[State, Count] | None
    """Jobs by their states."""
    parked: Count | None
    """Those of the waiting ones that wait for an earlier one of their key."""
    paused: bool | None
    """Whether nobody begins a job of it, whoever works it."""
    oldest_age_s: Seconds | None
    """How long the oldest job has waited for a worker; null where none waits."""
    spilled: Count
    """Jobs that wait in the state directory until the store is there again."""
    added: Count
    """Jobs that these actors have added since they started."""
    finished: Finished
    """Attempts that these actors' workers have ended since they started."""
    added_per_s: Seconds | None
    """Over the last minute at most; null where nobody had looked at it in that time, and for the first second."""
    finished_per_s: Seconds | None
    """Jobs completed or failed for good, likewise."""


class QueuesDocument(Document):
    """All queues of actors that run, each once."""

    queues: list[QueueDocument]


class QueuePaused(Document):
    """A queue is paused, or not any more, for all that work it."""

    name: str
    actors: list[str]
    paused: bool


class BackoffDocument(Document):
    """The wait before a failed job is tried again."""

    type: str
    delay_ms: int
    jitter: float


class DeduplicationDocument(Document):
    """One job for an id at a time."""

    id: str
    ttl_ms: int | None
    extend: bool
    replace: bool
    keep_last_if_active: bool


class KeepDocument(Document):
    """How many finished jobs stay, and for how long."""

    count: int | None
    age_s: int | None


class JobOptionsDocument(Document):
    """BullMQ's options of a job, with their units."""

    priority: int
    delay_ms: int
    attempts: int
    backoff: BackoffDocument | None
    lifo: bool
    deduplication: DeduplicationDocument | None
    keep_completed: KeepDocument | None
    keep_failed: KeepDocument | None
    others: dict[str, Any]
    """Those without a meaning here, by BullMQ's names."""


class _JobFacts(Document):
    id: str
    name: str
    state: State | None
    """Null where it changed while it was looked at."""
    age_s: Seconds
    """Since it was added."""
    due_in_s: Seconds | None
    """When its delay is over; null unless it is delayed."""
    key: str | None
    """What orders it among others."""
    parked: bool
    """It waits for an earlier one of its key."""
    attempts_made: Count
    """Attempts that ended: failed ones, and the one that completed it."""
    stalled: Count
    """How often its worker died with it."""
    size: Count
    """Characters of its payload as JSON."""
    failed_reason: str | None
    """Why its last attempt failed."""


class JobLine(_JobFacts):
    """One job, in a line."""

    priority: int
    delay_ms: int
    attempts: int
    """All that it may have."""
    preview: str
    """The beginning of its payload, with what `settings.redact` names masked."""


class JobsDocument(Document):
    """A page of a queue's jobs."""

    name: str
    """The queue's."""
    jobs: list[JobLine]
    total: Count
    """How many there are in these states."""


class JobDocument(_JobFacts):
    """One job, whole."""

    queue: str
    options: JobOptionsDocument
    added_at: float
    """Epoch seconds."""
    processed_at: float | None
    """When its last attempt began."""
    finished_at: float | None
    attempts_started: Count
    stacktrace: list[str]
    worker: str | None
    """Who works it, or did."""
    scheduler: str | None
    """The job scheduler that made it."""
    parent: str | None
    """The parent's key, in a flow."""
    progress: Any
    """How far it is, in whatever form its worker says that."""
    return_value: Any
    envelope: Any
    """What its message has beside the payload; null for a job that no router has added."""
    data: Any
    """The payload, with what `settings.redact` names masked; bytes are base64, and the envelope says so."""
    logs: list[str]
    """The first 1,000 lines."""


class JobsChanged(Document):
    """What was done to how many jobs of a queue."""

    name: str
    """The queue's."""
    jobs: Count


class JobAdded(Document):
    """A job is kept, as durably as its store keeps anything."""

    id: str
    """Not the one that was given, where another one has its deduplication id."""


class JobRemoved(Document):
    """A job was deleted."""

    id: str
