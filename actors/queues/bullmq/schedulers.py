"""BullMQ's job schedulers: each has made its next job, and whoever begins that makes the one after it.

A scheduler is a row of the sorted set `repeat` (when it is due) and a hash; its jobs are called `repeat:ID:TIME`, carry
its options, and the schedule itself as `repeat`, so that a worker in Node goes on with ours, and we with Node's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgpack

from actors.connections.redis import RedisConnection
from actors.connections.redis.wire import Argument, Reply
from actors.core.errors import StorageError
from actors.kit.schedule import Cron
from actors.queues.bullmq.encoding import encode_options, read_options
from actors.queues.bullmq.keys import Keys
from actors.queues.bullmq.package import package_script
from actors.queues.job import Job, Scheduler

UTC_NAME: Final = "Etc/UTC"
"""Node reads a cron expression without a time zone in that of its machine, so ours say which one they mean."""

TRIES: Final = 16
"""So many times of a cron expression may already have a job of their own: somebody promoted them."""

_COLLISION: Final = -10
_BUSY: Final = -11
_MADE_BY_SCHEDULERS: Final = ("repeat", "repeatJobKey", "prevMillis", "jobId", "timestamp", "delay", "de")


class Schedulers:
    """Those of one queue."""

    def __init__(self, connection: RedisConnection, keys: Keys, time: Callable[[], float]) -> None:
        self._connection = connection
        self._keys = keys
        self._time = time

    async def schedule(self, scheduler: Scheduler) -> None:
        """Let jobs be made by `scheduler` from now on, in place of the one of its id.

        Raises `ValueError` where it is never due, and `StorageError` where its next jobs are there already.
        """
        now_ms = round(self._time() * 1000)
        options = {
            name: value for name, value in encode_options(scheduler.options).items() if name not in _MADE_BY_SCHEDULERS
        }
        repeat: dict[str, Any] = {}
        if scheduler.cron is not None:
            repeat = {"pattern": scheduler.cron, "tz": scheduler.zone or UTC_NAME}
        elif scheduler.every_ms is not None:
            repeat = {"every": scheduler.every_ms}
        due_ms = now_ms
        for _ in range(TRIES):
            due_ms = next_ms(repeat, due_ms)
            made = await self._schedule(scheduler, repeat, options, due_ms, now_ms)
            if made == _BUSY:
                break
            if made != _COLLISION:
                return
        raise StorageError(f"the next jobs of the scheduler {scheduler.id} are there already: remove them first")

    async def unschedule(self, id: str) -> bool:
        """Remove a scheduler and the job it has made that waits for its time; false where there was none."""
        keys = (self._keys.repeat, self._keys.delayed, self._keys.events)
        missing: int = await self._connection.run(package_script("removeJobScheduler"), keys, (id, self._keys.root))
        return not missing

    async def schedulers(self) -> list[Scheduler]:
        """All of them, those first that are due first."""
        rows = iter(await self._connection.execute("ZRANGE", self._keys.repeat, 0, -1, "WITHSCORES"))
        due = list(zip(rows, rows, strict=True))
        hashes = await self._connection.several([("HGETALL", f"{self._keys.repeat}:{id}") for id, _ in due])
        found: list[Scheduler] = []
        for (id, due_ms), fields in zip(due, hashes, strict=True):
            values = iter(fields)
            # One that has no hash was made by an old version of BullMQ, or has just been removed.
            if fields:
                found.append(_read(id, dict(zip(values, values, strict=True)), int(float(due_ms))))
        return found

    async def next_iteration(self, job: Job) -> None:
        """Let the scheduler that made this job, which begins now, make its next one; again and again if need be.

        Does nothing where the scheduler is gone, is at its end, or has made another one since. Raises `ValueError`
        for a schedule that cannot be read.
        """
        repeat = job.options.others.get("repeat")
        if job.scheduler is None or not isinstance(repeat, Mapping):
            return
        now_ms = round(self._time() * 1000)
        count = _whole(repeat.get("count")) or 1
        limit, end_ms = _whole(repeat.get("limit")), _epoch_ms(repeat.get("endDate"))
        if (limit is not None and count + 1 > limit) or (end_ms is not None and now_ms > end_ms):
            return
        after_ms = max(now_ms, _whole(job.options.others.get("prevMillis")) or 0)
        due_ms = next_ms(repeat, after_ms)
        options = encode_options(job.options)
        repeat = {name: value for name, value in repeat.items() if name != "immediately" and value is not None}
        keys = self._keys
        names = (keys.repeat, keys.delayed, keys.wait, keys.paused, keys.meta, keys.prioritized, keys.marker)
        args: tuple[Argument, ...] = (
            due_ms,
            job.scheduler,
            job.data,
            msgpack.packb(_options(job.scheduler, {**repeat, "count": count + 1}, options, due_ms, now_ms)),
            now_ms,
            keys.root,
            job.id,
        )
        await self._connection.run(
            package_script("updateJobScheduler"),
            (*names, keys.id, keys.events, keys.pc, keys.job(job.id), keys.active),
            args,
        )

    async def _schedule(
        self, scheduler: Scheduler, repeat: Mapping[str, Any], options: Mapping[str, Any], due_ms: int, now_ms: int
    ) -> Reply:
        keys = self._keys
        names = (keys.repeat, keys.delayed, keys.wait, keys.paused, keys.meta, keys.prioritized, keys.marker)
        args: tuple[Argument, ...] = (
            due_ms,
            msgpack.packb({"name": scheduler.name, **repeat}),
            scheduler.id,
            scheduler.data,
            msgpack.packb(dict(options)),
            msgpack.packb(_options(scheduler.id, {**repeat, "count": 1}, options, due_ms, now_ms)),
            now_ms,
            keys.root,
            "",
        )
        return await self._connection.run(
            package_script("addJobScheduler"), (*names, keys.id, keys.events, keys.pc, keys.active), args
        )


def next_ms(repeat: Mapping[str, Any], after_ms: int) -> int:
    """When a schedule as BullMQ has it is due next; raises `ValueError`.

    Of a steady pace BullMQ's script says it, which knows when the last one was due: then it is `after_ms` here.
    """
    pattern = repeat.get("pattern")
    if not isinstance(pattern, str):
        return after_ms
    zone = repeat.get("tz")
    begin_ms = max(after_ms, _epoch_ms(repeat.get("startDate")) or 0)
    try:
        cron = Cron(pattern, ZoneInfo(zone) if isinstance(zone, str) and zone else UTC)
    except KeyError:
        raise ValueError(f"{zone} is no time zone") from None
    return round(cron.after(begin_ms / 1000) * 1000)


def _options(
    id: str, repeat: Mapping[str, Any], options: Mapping[str, Any], due_ms: int, now_ms: int
) -> dict[str, Any]:
    """Those of a scheduler's next job, as Node has them."""
    return {
        **options,
        "jobId": f"repeat:{id}:{due_ms}",
        "delay": max(0, due_ms - now_ms),
        "timestamp": now_ms,
        "prevMillis": due_ms,
        "repeatJobKey": id,
        "repeat": dict(repeat),
    }


def _read(id: str, fields: Mapping[str, str], due_ms: int) -> Scheduler:
    every, zone = fields.get("every"), fields.get("tz")
    return Scheduler(
        id,
        fields.get("name", ""),
        fields.get("data", "{}"),
        every_ms=None if every is None else int(float(every)),
        cron=fields.get("pattern"),
        zone=None if zone in (None, "", UTC_NAME) else zone,
        options=read_options(fields.get("opts", "{}")),
        next_ms=due_ms,
    )


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _epoch_ms(value: object) -> int | None:
    """Node keeps a date as milliseconds, or as it was given."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return _whole(value)
