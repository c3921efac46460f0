"""What every store of queues does; `tests/contract/queues` holds it against each of them.

A `QueueStore` is one queue in one store. Whoever works its jobs does so by a `Consumer` of it. Both live on the loop's
thread; nothing blocks. Where a method talks to the store it raises `StoreAwayError` while the store is not to be
reached, and `StorageError` where it refuses (no memory, a full disk): then nothing was kept or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

from actors.core.errors import RouterError
from actors.queues.job import Counts, Job, Keep, NewJob, Scheduler, State, Stats


class JobNotFoundError(RouterError):
    """There is no job of this id, or it is not in a state in which that can be done."""


class Added(NamedTuple):
    """A job is kept, as durably as its store keeps anything."""

    id: str
    """Not the one it was to have, where another one has its deduplication id."""


EVERYTHING: Final = Keep()

Done = Callable[[Added | Exception], None]
"""Called on the loop, once: with what was added, or with a `StorageError`."""


@dataclass(frozen=True, slots=True)
class Limiter:
    """Of all workers of the queue together: so many jobs begin in so long a time."""

    max: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Order:
    """Jobs of one key are worked one after the other, in the order of their arrival, until each has finished.

    That holds among consumers with the same order, also over several processes, and while a job waits for its retry.
    What finds its key taken is parked: it counts as waiting, and when its turn comes it is before all others of its
    priority. A consumer that begins with another order, or with none, lets what is parked go back there.
    """

    signature: str
    """Changes with the meaning of keys: what a producer made of a job under another signature is made anew."""
    key_of: Callable[[Job], str]
    """Of a job whose producer gave no key; called on the loop. Must not raise; an empty key orders nothing.

    A key has the signature in front, in `NewJob.key` and `Job.key`; what this returns may have it or not.
    """


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """How jobs are consumed."""

    name: str
    """The worker's, for people: jobs say by whom they were worked."""
    identity: str
    """Stays over restarts, and no other living process has it: what an earlier process of this identity had in hand
    comes back (as stalled) when its successor begins, and not only when the lock has expired."""
    lock_ms: int = 30_000
    stalled_interval_ms: int = 30_000
    """How often jobs without a lock are looked for; of all workers of a queue, the longest counts (BullMQ)."""
    max_stalled: int = 1
    """A job that stalled more often fails."""
    limiter: Limiter | None = None
    order: Order | None = None
    keep_completed: Keep = EVERYTHING
    keep_failed: Keep = EVERYTHING
    """For jobs that do not say it themselves."""


@dataclass(frozen=True, slots=True)
class Completed:
    """It is done."""

    job: Job
    return_value: str = "null"
    """JSON."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Its last attempt failed, or no other one can help."""

    job: Job
    reason: str
    stack: str = ""


@dataclass(frozen=True, slots=True)
class Retried:
    """An attempt failed; it is tried again after `delay_ms`."""

    job: Job
    delay_ms: int
    reason: str
    stack: str = ""
    done: str | None = None
    """What `Job.done` is from now on."""


@dataclass(frozen=True, slots=True)
class Released:
    """It was not worked: it goes back to where it came from, before all others of its priority, and no attempt is
    counted."""

    job: Job


Finish = Completed | Failed | Retried | Released


@dataclass(frozen=True, slots=True)
class Turn:
    """What one exchange with the store brought."""

    jobs: Sequence[Job] = ()
    """Claimed: they are the consumer's until it finishes them, or loses their lock."""
    wait_ms: int | None = None
    """With fewer jobs than wanted: when it is worth asking again (a delayed job, a limiter); None: nobody knows."""
    lost: Sequence[str] = ()
    """Ids of those finished here that were no longer the consumer's: somebody else has them, or they are gone."""


class Consumer(Protocol):
    """Works a queue's jobs. One call of `turn` at a time."""

    async def turn(self, finished: Sequence[Finish], want: int) -> Turn:
        """Finish these, and claim up to `want` jobs, in one exchange with the store.

        They are finished in their order, those given back last: these stay in the order in which they are told. What
        is given back or tried again at once may be among those that are claimed. Delayed jobs whose time has come
        wait from the turn on that asks for jobs, in a paused queue as well.

        Each of `finished` is finished or told in `lost` when this returns. Where it raises `StoreAwayError`, call it
        again with the same: what was finished before the answer got lost is told neither as lost nor twice. Jobs of
        an earlier, failed call that were claimed without the answer arriving are among `jobs` of a later one.
        """
        ...

    async def wait(self, timeout_ms: int | None) -> None:
        """Return when a job may be there, or after `timeout_ms`, whatever comes first; may return too early.

        A delayed job is told of within 50 ms of its time. Cancelling it is harmless.
        """
        ...

    async def renew(self, jobs: Iterable[Job]) -> Sequence[str]:
        """Make their locks last for `lock_ms` from now; returns the ids of those that are no longer its own."""
        ...

    async def look_for_stalled(self) -> Sequence[str]:
        """Bring back jobs whose worker died; returns their ids. To be called every `stalled_interval_ms`.

        They come before all that wait, whatever their priority, in the order in which they were begun.
        """
        ...

    async def close(self) -> None:
        """It claims nothing more, and gives back nothing: what it has in hand is finished or released before."""
        ...


class QueueStore(Protocol):
    """One queue in one store."""

    @property
    def name(self) -> str:
        """The queue's."""
        ...

    @property
    def kind(self) -> str:
        """Which store, in a word for people: `sqlite`, `redis`."""
        ...

    async def open(self) -> None:
        """Get to know the store; a second call does nothing. Raises nothing where it is away: it is tried again."""
        ...

    async def close(self) -> None: ...

    def watch(self, available: Callable[[], None], unavailable: Callable[[str], None]) -> Callable[[], None]:
        """Be told at once, and whenever that changes, whether the store is there; returns what ends it."""
        ...

    # Producers

    def add(self, job: NewJob, done: Done) -> None:
        """Keep a job. What is added in one turn of the loop, and while the store is busy, goes in one exchange, in
        its order. A job whose id the store has already is not added again, and told as added."""
        ...

    # Workers

    async def consumer(self, options: ConsumerOptions) -> Consumer: ...

    # Operators

    async def stats(self) -> Stats: ...

    async def counts(self) -> Counts: ...

    async def jobs(self, states: Sequence[State], *, start: int = 0, limit: int = 100) -> list[Job]:
        """A page of the jobs in these states: those that come first to the front, finished ones the newest first.

        Active ones are in the order in which they began; parked ones come behind all others that wait.
        """
        ...

    async def job(self, id: str) -> Job | None: ...

    async def logs(self, id: str, *, start: int = 0, limit: int = 1000) -> list[str]: ...

    async def log(self, id: str, line: str) -> None:
        """Add a line to a job's log; raises `JobNotFoundError`."""
        ...

    async def progress(self, id: str, progress: str) -> None:
        """Say how far a job is: any JSON; raises `JobNotFoundError`."""
        ...

    async def pause(self) -> None:
        """Let nobody begin a job until `resume`, whoever works the queue, over restarts; adding goes on."""
        ...

    async def resume(self) -> None: ...

    async def retry(self, ids: Sequence[str] | None = None) -> int:
        """Failed jobs wait again, with all their attempts: these, or all that failed until now; returns how many.

        They are as new, but for their stacks and `Job.done`, and behind those that wait; with `lifo` they come first.
        Raises `JobNotFoundError` where one of `ids` has not failed.
        """
        ...

    async def promote(self, ids: Sequence[str] | None = None) -> int:
        """Delayed jobs wait now: these, or all that are delayed until now; returns how many. Raises as `retry`."""
        ...

    async def remove(self, id: str) -> None:
        """Delete a job that is not active; raises `JobNotFoundError`."""
        ...

    async def clear(self, states: Sequence[State]) -> int:
        """Delete all jobs of these states, `active` not being one of them; returns how many."""
        ...

    async def schedule(self, scheduler: Scheduler) -> None:
        """Let jobs be made by `scheduler` from now on, in place of the one of its id."""
        ...

    async def unschedule(self, id: str) -> bool:
        """Remove a scheduler and the job it has made that waits for its time; false where there was none."""
        ...

    async def schedulers(self) -> list[Scheduler]: ...


@runtime_checkable
class Queued(Protocol):
    """An actor that has a queue: what operators are shown, and what metrics count, they find here."""

    @property
    def queue(self) -> QueueStore: ...

    @property
    def spilled(self) -> int:
        """Jobs that wait in the state directory until the store is there again."""
        ...

    @property
    def added(self) -> int:
        """Jobs this actor has added since it started."""
        ...

    @property
    def finished(self) -> Mapping[str, int]:
        """Jobs worked since it started, by their ends: `completed`, `failed`, `retried`, `released`, `lost`."""
        ...
