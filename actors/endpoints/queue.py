"""Queues: a durable mailbox, in the state directory or in Redis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from actors.core.actor import AsyncioActor
from actors.core.connection import ConnectionTo
from actors.core.deferred import Deferred
from actors.core.errors import DecodeError, ExpressionError, StorageError
from actors.core.events import Notice
from actors.core.examination import ExamineContext, Finding
from actors.core.hop import Hop
from actors.core.message import Message
from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Context, Options, endpoint
from actors.core.succession import Succession
from actors.kit.expressions import Template
from actors.kit.units import Between, Duration, Rate
from actors.queues.contract import ConsumerOptions, Limiter, Order, QueueStore
from actors.queues.envelope import unpack
from actors.queues.identity import kept_identity
from actors.queues.job import Job, JobOptions, Scheduler
from actors.queues.options import (
    BackoffOptions,
    DeduplicationOptions,
    KeepBothOptions,
    SchedulerOptions,
    check_delay,
    check_priority,
    delay_ms_of,
    priority_of,
)
from actors.queues.order_key import signature_of
from actors.queues.producer import Producer
from actors.queues.spill import Spills
from actors.queues.worker_pool import WorkerPool

SQLITE: Final = "sqlite"
ONLY_REDIS: Final = ("prefix", "when_down")

ADDS_AT_ONCE: Final = 10_000
"""How many messages may wait for the store's word; the `concurrency` of routes bounds them sooner."""

SCHEDULE_AGAIN_S: Final = 2.0

QUEUE_NAME: Final = r"^[^:\x00-\x1f\x7f]+$"

NameOfScheduler = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class QueueOptions(Options):
    """What a `queue` can be told; what it says of jobs goes into those that it adds."""

    store: Annotated[str, ConnectionTo("redis", words=frozenset({SQLITE}))] = SQLITE
    """`sqlite`, which is the state directory, or the name of a Redis connection: BullMQ's format."""
    queue: str | None = Field(None, min_length=1, max_length=200, json_schema_extra={"pattern": QUEUE_NAME})
    """The queue's name in its store; left out, the actor's."""
    prefix: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]+$")
    """Redis: what its keys begin with; left out, `bull`, as in BullMQ. In a cluster it has braces: `{bull}`."""

    concurrency: int = Field(1, ge=1, le=10_000)
    """As a source: how many jobs are worked at a time. The routes from here have none of their own."""
    attempts: int = Field(5, ge=1, le=1_000_000)
    """How often a job is tried, the first time included; then it has failed, and is a dead letter."""
    backoff: BackoffOptions = BackoffOptions()
    """The wait before a failed job is tried again."""
    priority: Template | None = None
    """0 comes first, then 1, and so on up to 2097151; left out, 0."""
    delay: Template | None = None
    """How long a job waits before it may be worked: a duration; of a template, a number is milliseconds."""
    job_name: Template | None = None
    """The jobs' name, which workers of other languages go by; left out, the message's type."""
    lifo: bool = False
    """Whether the newest job comes first."""
    deduplication: DeduplicationOptions | None = None
    """What is like a job that is there adds nothing."""

    order_by: Template | None = None
    """Jobs of one key are worked one after the other, retries included; those of other keys side by side."""
    limiter: Rate | None = None
    """How many jobs begin in a window of time, of all workers of the queue together."""
    keep: KeepBothOptions = KeepBothOptions()
    """How many finished jobs stay in the queue."""
    lock: Annotated[Duration, Between("1s", "1h")] = Duration("30s")
    """For how long a job is its worker's, which renews that while it is at work: a dead worker's jobs come back."""
    stalled_interval: Annotated[Duration, Between("1s", "1h")] = Duration("30s")
    """How often jobs of dead workers are looked for; of all workers of a queue, the longest counts."""
    max_stalled: int = Field(1, ge=0, le=1000)
    """A job that came back from a dead worker more often than this fails."""
    when_down: Literal["spill", "wait", "fail"] = "wait"
    """Redis, while it is away: `spill` keeps messages in the state directory and moves them in their order when it
    is back; `wait` makes the routes to it use their fallback, or wait; `fail` makes each attempt a failed one."""
    schedulers: dict[NameOfScheduler, SchedulerOptions] = Field(default_factory=dict)
    """What adds jobs by the clock."""

    @field_validator("queue")
    @classmethod
    def _a_name(cls, name: str | None) -> str | None:
        if name is not None and re.fullmatch(QUEUE_NAME, name) is None:
            raise ValueError("the name of a queue has no colon and no control characters")
        return name

    @field_validator("priority")
    @classmethod
    def _a_priority(cls, template: Template | None) -> Template | None:
        return check_priority(template)

    @field_validator("delay")
    @classmethod
    def _a_delay(cls, template: Template | None) -> Template | None:
        return check_delay(template)

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        options = handler(value)
        refuse(options._problems(), cls, value)
        return options

    def _problems(self) -> Iterator[OptionProblem]:
        if self.store == SQLITE:
            for name in ONLY_REDIS:
                if name in self.model_fields_set:
                    yield OptionProblem((name,), "only for Redis", "remove it, or name a connection in 'store'")
        if self.order_by is not None and self.lifo:
            yield OptionProblem(
                ("lifo",), "with 'order_by' jobs of a key come in the order of their arrival", "remove one of both"
            )
        if (
            self.deduplication is not None
            and self.deduplication.replace
            and self.delay is None
            and self.deduplication.ttl is None
        ):
            yield OptionProblem(("deduplication", "replace"), "only a delayed job is replaced", "add 'delay'")


def _hop(options: QueueOptions, connections: Mapping[str, Any]) -> Hop:
    return Hop(acknowledges="each")


def _succession(before: QueueOptions, after: QueueOptions) -> Succession:
    """Two may work one queue: the store gives each job to one of them."""
    return "beside"


async def _examine(options: QueueOptions, context: ExamineContext) -> Sequence[Finding]:
    """What the store is like is its connection's to say."""
    name = options.queue or context.name
    if options.store == SQLITE:
        return [Finding("ok", f"queue {name} is kept in {context.state_dir}")]
    return [Finding("ok", f"queue {name} is kept in {options.store}, in BullMQ's format")]


@endpoint(
    "queue",
    options=QueueOptions,
    source=True,
    target=True,
    relays=False,  # a message that is added is answered for, whoever works it
    hop=_hop,
    succession=_succession,
    examine=_examine,
    keeps=True,
    redelivers=True,
)
class Queue(AsyncioActor):
    """A mailbox that outlives the router: messages that are sent to it are jobs, until a route from it has ended them.

    As a target it answers when a job is as durable as its store keeps anything. As a source it hands a job on,
    and finishes it as its message ends: `completed`, or tried again after its backoff, or, behind the last attempt
    and the fallbacks, `failed` and a dead letter. Where no route begins, nothing is worked. A job of a process
    that died comes back. In Redis the queue is BullMQ's, and other programs may add and work jobs beside this one:
    what a job says of its attempts and its backoff holds, whoever has added it.
    """

    defers = True

    def __init__(self, options: QueueOptions, context: Context) -> None:
        super().__init__()
        self.concurrency = ADDS_AT_ONCE
        self._options = options
        self._context = context
        self._name = options.queue or context.name
        self._time = context.clock.time
        self._is_ours = options.store == SQLITE
        self._store = self._make_store()
        # What each message needs is read here, once: an attribute of a pydantic model costs four times one of ours.
        self._job_name, self._order_by = options.job_name, options.order_by
        self._order = self._make_order()
        self._given = JobOptions(
            attempts=options.attempts,
            backoff=options.backoff.meant() if options.backoff.delay else None,
            lifo=options.lifo,
            keep_completed=None if self._is_ours else options.keep.completed.meant(),
            keep_failed=None if self._is_ours else options.keep.failed.meant(),
        )
        self._is_given = options.priority is None and options.delay is None and options.deduplication is None
        self._producer = Producer(context.name, self._store, context.outlet)
        self._producer.spills = options.when_down == "spill"
        self._undo: list[Callable[[], None]] = []
        self._workers: WorkerPool | None = None
        self._draining = False
        self._unordered = 0

    def _make_store(self) -> QueueStore:
        options, resources = self._options, self._context.resources
        if self._is_ours:
            from actors.queues.sqlite.embedded import EmbeddedQueues

            return resources.get(EmbeddedQueues).queue(self._name)
        from actors.connections.redis import RedisConnection
        from actors.queues.bullmq import bullmq_queue

        connection = resources.get(RedisConnection, options.store)
        if options.prefix is None:
            return bullmq_queue(connection, self._name)
        return bullmq_queue(connection, self._name, prefix=options.prefix)

    # For operators

    @property
    def queue(self) -> QueueStore:
        return self._store

    @property
    def spilled(self) -> int:
        spill = self._producer.spill
        return 0 if spill is None else spill.count

    @property
    def added(self) -> int:
        return self._producer.added

    @property
    def finished(self) -> Mapping[str, int]:
        return {} if self._workers is None else self._workers.finished

    def about(self) -> Mapping[str, str | int]:
        told: dict[str, str | int] = {"queue": self._name, "store": self._options.store}
        if self._workers is not None:
            told["in hand"] = self._workers.owed
        if self._producer.away is not None:
            told["away"] = self._producer.away
        if self.spilled:
            told["spilled"] = self.spilled
        if self._unordered:
            told["without a key"] = self._unordered
        return told

    @property
    def owed(self) -> int:
        """Jobs that its workers have in hand."""
        return 0 if self._workers is None else self._workers.owed

    # Its life

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        context, options, store = self._context, self._options, self._store
        await store.open()
        spills = context.resources.get(Spills)
        if not self._is_ours:
            spill = await spills.of(f"{options.store}/{options.prefix or 'bull'}:{self._name}")
            self._producer.spill = spill
            self._undo.append(spill.attach(store, self._producer.give_up))
        self._undo.append(store.watch(self._is_there, self._is_away))
        identity = f"{await kept_identity(spills.state_dir)}.{context.name}"
        self._workers = WorkerPool(
            store,
            self._consumer_options(identity),
            source=context.name,
            concurrency=options.concurrency,
            outlet=context.outlet,
            clock=context.clock,
            events=context.events,
        )
        self.spawn(self._work(self._workers))
        self.spawn(self._schedule())

    async def _work(self, workers: WorkerPool) -> None:
        """A queue that no route begins at has no worker in its store."""
        await self._context.outlet.room()
        if not self._draining:
            workers.start(self.spawn)

    def _consumer_options(self, identity: str) -> ConsumerOptions:
        options, limiter = self._options, self._options.limiter
        return ConsumerOptions(
            name=f"pointsman:{self._context.name}",
            identity=identity,
            lock_ms=round(options.lock * 1000),
            stalled_interval_ms=round(options.stalled_interval * 1000),
            max_stalled=options.max_stalled,
            limiter=None if limiter is None else Limiter(limiter.max, round(limiter.per * 1000)),
            order=self._order,
            keep_completed=options.keep.completed.meant(),
            keep_failed=options.keep.failed.meant(),
        )

    def on_drain(self) -> None:
        self._draining = True
        if self._workers is not None:
            self._workers.drain()

    async def on_stop(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        undo, self._undo = self._undo, []
        for each in reversed(undo):
            each()
        if self._workers is not None:
            await self._workers.close()

    # The store comes and goes

    def _is_there(self) -> None:
        self._producer.away = None
        if self._options.when_down == "wait":
            self._context.standing.available()

    def _is_away(self, why: str) -> None:
        self._producer.away = why
        if self._options.when_down == "wait":
            self._context.standing.unavailable(why)

    # Keys

    def _make_order(self) -> Order | None:
        template = self._options.order_by
        if template is None:
            return None
        return Order(signature_of(str(template.source)), self._key_of_job)

    def _key_of_job(self, job: Job) -> str:
        """Of a job that came without one; what has none is worked in no order."""
        template = self._options.order_by
        assert template is not None, "it has an order"
        try:
            return template.render_text(unpack(job, self._context.name), self._time())
        except (DecodeError, ExpressionError) as error:
            if not self._unordered:
                text = f"{self._context.name}: job {job.id} has no key, and is worked in no order: {error}"
                self._context.events.emit(Notice(text, "warning"))
            self._unordered += 1
            return ""

    # As a target

    def on_receive(self, message: Message) -> Deferred:
        now_s = self._time()
        name = message.type if self._job_name is None else self._job_name.render_text(message, now_s)
        key, order, order_by = None, self._order, self._order_by
        if order is not None and order_by is not None:
            # Of the message as whoever works it sees it.
            seen = message._replace(source=self._context.name)
            key = f"{order.signature}{order_by.render_text(seen, now_s)}"
        given = self._given if self._is_given else self._job_options(message, now_s)
        return self._producer.adding(message, name, round(now_s * 1000), given, key)

    def _job_options(self, message: Message, now_s: float) -> JobOptions:
        options, given = self._options, self._given
        return JobOptions(
            priority=0 if options.priority is None else priority_of(options.priority, message, now_s),
            delay_ms=0 if options.delay is None else delay_ms_of(options.delay, message, now_s),
            attempts=given.attempts,
            backoff=given.backoff,
            lifo=given.lifo,
            deduplication=None if options.deduplication is None else options.deduplication.meant(message, now_s),
            keep_completed=given.keep_completed,
            keep_failed=given.keep_failed,
        )

    # Schedulers

    async def _schedule(self) -> None:
        """Have the store's schedulers of this actor be those of the topology."""
        prefix = f"pm.{self._context.name}."
        wanted = {
            f"{prefix}{name}": scheduler.meant(f"{prefix}{name}", name, self._given)
            for name, scheduler in self._options.schedulers.items()
        }
        while not await self._scheduled(prefix, wanted):
            await self._context.clock.sleep(SCHEDULE_AGAIN_S)

    async def _scheduled(self, prefix: str, wanted: Mapping[str, Scheduler]) -> bool:
        store = self._store
        try:
            known = {each.id: replace(each, next_ms=None) for each in await store.schedulers()}
            for id_ in known:
                if id_.startswith(prefix) and id_ not in wanted:
                    await store.unschedule(id_)
            for id_, scheduler in wanted.items():
                # To schedule it anew would begin its time anew.
                if known.get(id_) != scheduler:
                    await store.schedule(scheduler)
        except StorageError:
            return False
        return True
