"""Adds messages to a queue: each is answered when it is kept, in the queue's own store or beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.core.deferred import Deferred
from actors.core.errors import DecodeError, DeliveryError, RouterError, StorageError, StoreAwayError
from actors.core.message import Message, Receipt, Settlement
from actors.core.outlet import Outlet
from actors.queues.contract import Added, QueueStore
from actors.queues.envelope import job_id, pack, undecoded, unpack
from actors.queues.job import Job, JobOptions, NewJob
from actors.queues.spill import Spill

if TYPE_CHECKING:
    from actors.core.actor import AsyncioActor
    from actors.core.envelope import Envelope


class Producer:
    """The adding side of one actor's queue."""

    def __init__(self, actor: str, store: QueueStore, outlet: Outlet) -> None:
        self._actor = actor
        self._store = store
        self._outlet = outlet
        self.spill: Spill | None = None
        """What waits for the store; while anything does, what comes joins it."""
        self.spills = False
        """Whether what comes while the store is away waits there, and is not refused."""
        self.away: str | None = None
        """Why the store is known not to be there."""
        self.added = 0
        self._under_way = 0
        """Jobs of which the store has not said what became of them."""
        self._behind: deque[tuple[_Adding, NewJob]] = deque()
        """What came when the store was away already, and those before it were still under way: it may not overtake."""

    def adding(self, message: Message, name: str, timestamp_ms: int, options: JobOptions, key: str | None) -> Deferred:
        """Add a message as a job; raises `DeliveryError` where that cannot be."""
        data, envelope = pack(message)
        return _Adding(self, message, (name, data, timestamp_ms, options, envelope, key))

    def keep(self, adding: _Adding, job: NewJob) -> None:
        spill, away = self.spill, self.away
        if away is not None and not self.spills:
            adding.fail(DeliveryError(away, reason="connect"))
        elif spill is None or not (away is not None or spill.count or self._behind):
            self._under_way += 1
            self._store.add(job, adding.told)
        elif self._under_way and self.spills:
            self._behind.append((adding, job))
        else:
            spill.add(job, adding.done)

    def told(self, adding: _Adding, result: Added | Exception) -> None:
        """The store has said what became of a job."""
        self._under_way -= 1
        adding.done(result)
        spill = self.spill
        while self._behind and not self._under_way and spill is not None:
            next_one, job = self._behind.popleft()
            spill.add(job, next_one.done)

    def not_added(self, adding: _Adding, job: NewJob, error: Exception) -> None:
        """Where the store has not said what became of it, adding it again is harmless: it has the same id."""
        if isinstance(error, StoreAwayError):
            if self.spill is not None and self.spills:
                self.spill.add(job, adding.done)
            else:
                adding.fail(DeliveryError(str(error), reason="connect"))
        elif isinstance(error, StorageError) and error.full:
            adding.fail(DeliveryError(str(error), reason="overload"))
        else:
            adding.fail(DeliveryError(str(error)))

    def job_id(self, message: Message, sender: str) -> str:
        return job_id(message, sender, self._actor)

    def give_up(self, job: NewJob, error: Exception, kept: Callable[[Exception | None], None]) -> None:
        """Keep a spilled job that its store never takes as a dead letter."""
        it = Job(job.id, job.name, job.data, job.options, job.timestamp_ms, job.envelope)
        try:
            message = unpack(it, self._actor)
        except DecodeError:
            message = undecoded(it, self._actor)
        self._outlet.reject(message, _Kept(kept), reason="refused", error=str(error))


_Parts = tuple[str, str, int, JobOptions, str, str | None]


class _Adding(Deferred):
    """A message whose job is being added: its id is known when its sender is."""

    __slots__ = ("_job", "_message", "_parts", "_producer")

    def __init__(self, producer: Producer, message: Message, parts: _Parts) -> None:
        # In place of the initialiser above it: this is made for every message.
        self._actor = None
        self._envelope = None
        self._early = None
        self._producer = producer
        self._message = message
        self._parts = parts
        self._job: NewJob | None = None

    def attach(self, actor: AsyncioActor, envelope: Envelope) -> None:
        self._actor, self._envelope = actor, envelope
        self._job = job = NewJob(self._producer.job_id(self._message, self.sender), *self._parts)
        self._producer.keep(self, job)

    def told(self, result: Added | Exception) -> None:
        """By the queue's own store."""
        self._producer.told(self, result)

    def done(self, result: Added | Exception) -> None:
        if isinstance(result, Added):
            self._producer.added += 1
            self.answer()
            return
        assert self._job is not None, "it was to be added"
        self._producer.not_added(self, self._job, result)


class _Kept(Receipt):
    """Of a dead letter: tells when it is kept."""

    __slots__ = ("_kept",)

    def __init__(self, kept: Callable[[Exception | None], None]) -> None:
        super().__init__()
        self._kept: Any = kept

    def on_settled(self, settlement: Settlement) -> None:
        self._kept(None)

    def on_refused(self, error: RouterError) -> None:
        self._kept(error)
