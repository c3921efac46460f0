"""The queues as the API has them: looked at, paused and resumed, and what is done to their jobs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actors.core.errors import ControlError, RouterError, StoreAwayError
from actors.queues.contract import Added, JobNotFoundError, QueueStore
from actors.queues.job import NewJob, Stats
from router.control.operation import Answer, Call, Change, Noted, Operation
from router.control.problem import Mistake, RequestError, UnknownError
from router.control.queue_documents import (
    JobAdded,
    JobDocument,
    JobRemoved,
    JobsChanged,
    JobsDocument,
    QueueDocument,
    QueuePaused,
    QueuesDocument,
)
from router.control.queue_lookup import Found, Rates, queue_of, queues_of
from router.control.queue_requests import Add, Clear, Jobs, JobsQuery
from router.control.queue_views import View, job_lines, queue_view, whole_job
from router.control.requests import NoQuery
from router.control.steering import Steer
from router.telemetry.queues import by_state
from router.telemetry.shown import Redaction

if TYPE_CHECKING:
    from router.engine import Engine

logger = logging.getLogger("pointsman.control")

LOOK_S: Final = 2.0
"""How long a store may take to say how its queue stands; the others are shown all the same."""
STORE_S: Final = 10.0
"""How long it may take for one job, or a page of them."""
BULK_S: Final = 300.0
"""How long it may take for all jobs of a queue, of which there may be millions."""
LOG_LINES: Final = 1000

_QUEUE: Final = "/v1/queues/{name}"
_JOBS: Final = f"{_QUEUE}/jobs"
_AWAY: Final = (409, 503, 504)
"""An actor that is not ready, a store that is away, and one that takes too long."""


@dataclass(frozen=True, slots=True)
class _Bulk:
    """What is done to many jobs of a queue."""

    words: str
    run: Callable[[QueueStore, Sequence[str] | None], Awaitable[int]]


_RETRY: Final = _Bulk("retried", lambda store, ids: store.retry(ids))
_PROMOTE: Final = _Bulk("promoted", lambda store, ids: store.promote(ids))


class QueueOperations:
    """What can be asked about queues. A queue is called as an actor that has it, or by its own name."""

    def __init__(self, engine: Engine, redaction: Redaction) -> None:
        self._engine = engine
        self._redaction = redaction
        self._rates = Rates(engine.clock)

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation("GET", "/v1/queues", self.all, NoQuery, role="viewer", answers={200: QueuesDocument}),
            Operation("GET", _QUEUE, self.one, NoQuery, role="viewer", answers={200: QueueDocument}, problems=(409,)),
            Operation("GET", _JOBS, self.jobs, JobsQuery, role="operator", answers={200: JobsDocument}, problems=_AWAY),
            Operation(
                "GET",
                f"{_JOBS}/{{id}}",
                self.job,
                NoQuery,
                role="operator",
                answers={200: JobDocument},
                problems=_AWAY,
            ),
            self._change("pause", self.pause, Steer, QueuePaused),
            self._change("resume", self.resume, Steer, QueuePaused),
            self._change("retry", self.retry, Jobs, JobsChanged),
            self._change("promote", self.promote, Jobs, JobsChanged),
            Operation(
                "POST",
                f"{_QUEUE}/clear",
                self.clear,
                NoQuery,
                Clear,
                role="admin",
                answers={200: JobsChanged},
                change=Change("queue clear", "{name}"),
                problems=_AWAY,
            ),
            self._change("jobs", self.add, Add, JobAdded, action="add"),
            self._change("jobs/{id}/remove", self.remove, Steer, JobRemoved, action="remove"),
        )

    def _change(
        self,
        below: str,
        run: Callable[[Call], Awaitable[Answer]],
        body: type[Any],
        answer: type[Any],
        *,
        action: str = "",
    ) -> Operation:
        return Operation(
            "POST",
            f"{_QUEUE}/{below}",
            run,
            NoQuery,
            body,
            role="operator",
            answers={200: answer},
            change=Change(f"queue {action or below}", "{name}"),
            problems=_AWAY,
        )

    # Look

    async def all(self, call: Call) -> Answer:
        """All queues: where each is kept, how many jobs are in which state, and how fast they come and go.

        A store that does not answer keeps none of the others from being shown.
        """
        queues = queues_of(self._engine)
        views = await asyncio.gather(*(self._looked_at(queue) for queue in queues))
        self._rates.look(queues)
        return Answer.json({"queues": views})

    async def one(self, call: Call) -> Answer:
        """One queue. Where its store does not answer it says why, and what is known without it."""
        queue = queue_of(self._engine, call.names["name"])
        view = await self._looked_at(queue)
        self._rates.look(queues_of(self._engine))
        return Answer.json(view)

    async def jobs(self, call: Call) -> Answer:
        """A page of a queue's jobs, a line each, and how many there are in these states."""
        query: JobsQuery = call.query
        async with self._within(call, STORE_S) as queue:
            counts = by_state(await queue.store.counts())
            jobs = await queue.store.jobs(query.states, start=query.start, limit=query.limit)
        lines = await asyncio.to_thread(job_lines, jobs, self._redaction, wall=self._engine.clock.time())
        total = sum(counts[state] for state in query.states)
        return Answer.json({"name": queue.name, "jobs": lines, "total": total})

    async def job(self, call: Call) -> Answer:
        """One job, whole: its payload, options and attempts, why it failed, its log and its progress."""
        job_id = call.names["id"]
        async with self._within(call, STORE_S) as queue:
            job = await queue.store.job(job_id)
            if job is None:
                raise _unknown(queue, job_id)
            logs = await queue.store.logs(job_id, limit=LOG_LINES)
        wall = self._engine.clock.time()
        return Answer.json(await asyncio.to_thread(whole_job, queue.name, job, logs, self._redaction, wall=wall))

    # Change

    async def pause(self, call: Call) -> Answer:
        """Let nobody begin a job of the queue until it is resumed: no worker of this router, and none elsewhere.

        The store keeps that, also over restarts. Jobs are added all the same, and those at work end there.
        """
        return await self._paused(call, paused=True)

    async def resume(self, call: Call) -> Answer:
        """End the pause of a queue, whoever began it."""
        return await self._paused(call, paused=False)

    async def retry(self, call: Call) -> Answer:
        """Let failed jobs wait again, with all their attempts: some, or all that failed until now."""
        return await self._bulk(call, _RETRY)

    async def promote(self, call: Call) -> Answer:
        """Let delayed jobs wait for a worker now: some, or all that are delayed until now."""
        return await self._bulk(call, _PROMOTE)

    async def clear(self, call: Call) -> Answer:
        """Delete all jobs of some states for good. `confirm` has to be the queue's own name."""
        wanted: Clear = call.body
        async with self._within(call, BULK_S) as queue:
            if wanted.confirm != queue.name:
                raise RequestError(Mistake("confirm", f"the queue is called {queue.name!r}, and this says otherwise"))
            states = tuple(dict.fromkeys(wanted.states))
            cleared = await queue.store.clear(states)
        detail = {"queue": queue.name, "states": list(states), "cleared": cleared}
        return Answer.json({"name": queue.name, "jobs": cleared}, noted=Noted(wanted.why or None, detail))

    async def add(self, call: Call) -> Answer:
        """Add a job, and answer when it is kept.

        It is no message: no options of the actor's apply to it. A message is sent to the actor itself.
        """
        wanted: Add = call.body
        now_ms = round(self._engine.clock.time() * 1000)
        async with self._within(call, STORE_S) as queue:
            data = json.dumps(wanted.data, separators=(",", ":"))
            job = NewJob(wanted.id or "", wanted.name, data, now_ms, wanted.options.options())
            added = await _kept(queue.store, job)
        return Answer.json({"id": added.id}, noted=Noted(detail={"queue": queue.name, "id": added.id}))

    async def remove(self, call: Call) -> Answer:
        """Delete one job that is not at work."""
        job_id, wanted = call.names["id"], call.body
        async with self._within(call, STORE_S) as queue:
            try:
                await queue.store.remove(job_id)
            except JobNotFoundError:
                job = await queue.store.job(job_id)
                if job is None:
                    raise _unknown(queue, job_id) from None
                raise ControlError(
                    f"job {job_id} of {queue.name} is {job.state}: it stays until that is over"
                ) from None
        return Answer.json({"id": job_id}, noted=Noted(wanted.why or None, {"queue": queue.name, "id": job_id}))

    # How

    @asynccontextmanager
    async def _within(self, call: Call, timeout_s: float) -> AsyncIterator[Found]:
        """The queue that is asked about, for so long; raises what an answer is made of."""
        queue = queue_of(self._engine, call.names["name"])
        try:
            async with asyncio.timeout(timeout_s):
                yield queue
        except StoreAwayError as error:
            raise StoreAwayError(f"the store of {queue.name} is not to be reached: {error}") from None
        except TimeoutError:
            text = f"the store of {queue.name} ({queue.store.kind}) has not answered within {timeout_s:g} s"
            raise TimeoutError(text) from None

    async def _looked_at(self, queue: Found) -> View:
        stats: Stats | str
        try:
            async with asyncio.timeout(LOOK_S):
                stats = await queue.store.stats()
        except TimeoutError:
            stats = f"it has not answered within {LOOK_S:g} s"
        except RouterError as error:
            stats = str(error) or "it cannot be reached"
        return queue_view(queue, stats, self._rates.of(queue), wall=self._engine.clock.time())

    async def _paused(self, call: Call, *, paused: bool) -> Answer:
        async with self._within(call, STORE_S) as queue:
            await (queue.store.pause() if paused else queue.store.resume())
        document = {"name": queue.name, "actors": list(queue.actors), "paused": paused}
        return Answer.json(document, noted=Noted(call.body.why or None, {"queue": queue.name}))

    async def _bulk(self, call: Call, bulk: _Bulk) -> Answer:
        wanted: Jobs = call.body
        ids = None if wanted.ids is None else list(dict.fromkeys(wanted.ids))
        async with self._within(call, BULK_S) as queue:
            try:
                changed = await bulk.run(queue.store, ids)
            except JobNotFoundError as error:
                raise _not_all(queue, error) from None
        detail = {"queue": queue.name, **({"ids": ids} if ids is not None else {"all": True}), bulk.words: changed}
        return Answer.json({"name": queue.name, "jobs": changed}, noted=Noted(wanted.why or None, detail))


async def _kept(store: QueueStore, job: NewJob) -> Added:
    """Add a job, and wait until that is kept; raises what kept it from being so."""
    kept: asyncio.Future[Added] = asyncio.get_running_loop().create_future()

    def done(result: Added | Exception) -> None:
        if kept.done():
            return  # nobody waits any more
        if isinstance(result, Exception):
            kept.set_exception(result)
        else:
            kept.set_result(result)

    store.add(job, done)
    return await kept


def _unknown(queue: Found, job_id: str) -> UnknownError:
    return UnknownError(f"job in the queue {queue.name} with the id", job_id)


def _not_all(queue: Found, error: JobNotFoundError) -> ControlError:
    return ControlError(f"{error}: no job of {queue.name} was changed")
