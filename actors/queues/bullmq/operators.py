"""What operators see of a queue in Redis, and do to it: for all its workers, those in Node included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from actors.connections.redis import RedisConnection
from actors.connections.redis.script import Script
from actors.connections.redis.wire import Argument, Reply
from actors.queues.bullmq.encoding import read_row
from actors.queues.bullmq.keys import Keys
from actors.queues.bullmq.package import package_script
from actors.queues.bullmq.scripts import Scripts
from actors.queues.contract import JobNotFoundError
from actors.queues.job import Counts, Job, State, Stats

AT_A_TIME: Final = 250
"""Jobs that one script takes: for all others Redis stands still meanwhile, a few milliseconds."""

PIECE_BYTES: Final = 4 * 1024 * 1024
"""What one script returns of jobs ends behind the one that makes it larger than this."""

_SETS: Final[Mapping[State, tuple[str, ...]]] = {
    "waiting": ("pm:parked", "wait", "paused"),
    "prioritized": ("prioritized",),
    "delayed": ("delayed",),
    "completed": ("completed",),
    "failed": ("failed",),
    "waiting-children": ("waiting-children",),
}
"""Where the jobs of a state are. In `paused` there are some only where an old version of BullMQ was at work."""

_REMOVE: Final = (("remove_job", "removeJob"),)


class OperatorScripts(Scripts):
    """Those that only operators ask for."""

    @property
    def stats(self) -> Script:
        return self.composed("stats", ())

    @property
    def page(self) -> Script:
        return self.composed("page", (), ("due",))

    @property
    def job(self) -> Script:
        return self.composed("job", (("state_of", "getStateV2"),), ("due",))

    @property
    def log(self) -> Script:
        return self.composed("log", (("add_log", "addLog"),))

    @property
    def remove(self) -> Script:
        return self.composed("remove", _REMOVE, ("order", "removal"))

    @property
    def clear(self) -> Script:
        return self.composed("clear", _REMOVE, ("order", "removal"))

    def again(self, state: State, which: str) -> Script:
        """Failed or delayed jobs wait now: `these`, or `some`."""
        if state == "failed":
            return self.composed(which, (("reprocess", "reprocessJob"),), ("failed_again",))
        return self.composed(which, (("promote", "promote"),), ("delayed_again",))


class Operators:
    """The operators' half of a `QueueStore`."""

    def __init__(self, connection: RedisConnection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._scripts = OperatorScripts()

    # Looking

    async def stats(self) -> Stats:
        """How the queue stands, in a time that does not grow with it.

        The oldest job is looked for where it may be expected: at both ends of those that wait, and among the first
        of each priority.
        """
        *sizes, parked, paused, oldest = await self._run(self._scripts.stats)
        waiting, prioritized, delayed, active, completed, failed, children = sizes
        counts = Counts(
            waiting=waiting + parked,
            prioritized=prioritized,
            delayed=delayed,
            active=active,
            completed=completed,
            failed=failed,
            waiting_children=children,
            parked=parked,
        )
        return Stats(counts, bool(paused), oldest)

    async def counts(self) -> Counts:
        return (await self.stats()).counts

    async def jobs(self, states: Sequence[State], *, start: int = 0, limit: int = 100) -> list[Job]:
        """A page of the jobs in these states: those that come first to the front, finished ones the newest first."""
        page: list[Job] = []
        end = start + limit
        while start < end:
            # In pieces, so that Redis is not held for long. A job that moves in between may be missed, or come twice.
            wanted = min(AT_A_TIME, end - start)
            taken, is_large, rows = await self._run(self._scripts.page, start, wanted, PIECE_BYTES, *states)
            page += [_job(row) for row in rows]
            start += taken
            if taken < wanted and not is_large:
                break
        return page

    async def job(self, id: str) -> Job | None:
        row = await self._run(self._scripts.job, id)
        return None if row is None else _job(row)

    async def logs(self, id: str, *, start: int = 0, limit: int = 1000) -> list[str]:
        if limit <= 0:
            return []
        lines: list[str] = await self._connection.execute("LRANGE", self._keys.logs(id), start, start + limit - 1)
        return lines

    # One job

    async def log(self, id: str, line: str) -> None:
        """Add a line to a job's log; raises `JobNotFoundError`."""
        if await self._run(self._scripts.log, id, line) == -1:
            raise _missing(id)

    async def progress(self, id: str, progress: str) -> None:
        """Say how far a job is: any JSON; raises `JobNotFoundError`."""
        keys = (self._keys.job(id), self._keys.events, self._keys.meta)
        if await self._connection.run(package_script("updateProgress"), keys, (id, progress)) == -1:
            raise _missing(id)

    async def remove(self, id: str) -> None:
        """Delete a job that is not active, and the children that it has in a flow; raises `JobNotFoundError`."""
        refused = await self._run(self._scripts.remove, id)
        if refused is not None:
            raise JobNotFoundError(f"job {id} cannot be removed: {refused}")

    # Many jobs

    async def pause(self) -> None:
        """Let nobody begin a job until `resume`, whoever works the queue, over restarts; adding goes on."""
        await self._turn("wait", "paused", "paused")

    async def resume(self) -> None:
        # What an old version of BullMQ put aside comes back in pieces.
        while await self._turn("paused", "wait", "resumed"):
            pass

    async def retry(self, ids: Sequence[str] | None = None) -> int:
        """Failed jobs wait again, with all their attempts; see the contract."""
        if ids is not None:
            return await self._these("failed", ids)
        return await self._all("failed")

    async def promote(self, ids: Sequence[str] | None = None) -> int:
        """Delayed jobs wait now; see the contract."""
        if ids is not None:
            return await self._these("delayed", ids)
        return await self._all("delayed")

    async def clear(self, states: Sequence[State]) -> int:
        """Delete all jobs of these states; those stay that a job scheduler has made to be its next ones."""
        if "active" in states:
            raise ValueError("active jobs are not cleared: their workers have them")
        removed = 0
        for state in states:
            for name in _SETS[state]:
                removed += await self._clear(name)
        return removed

    # How

    async def _these(self, state: State, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        done = await self._run(self._scripts.again(state, "these"), state, *dict.fromkeys(ids))
        if isinstance(done, str):
            raise JobNotFoundError(f"there is no job {done} among the {state} ones")
        count: int = done
        return count

    async def _all(self, state: State) -> int:
        # The oldest first, and not more than there are now: what comes meanwhile is left alone.
        left: int = await self._connection.execute("ZCARD", self._keys.root + state)
        done = 0
        while left > 0:
            looked, count = await self._run(self._scripts.again(state, "some"), state, min(AT_A_TIME, left))
            done += count
            left -= looked
            if not looked:
                break
        return done

    async def _clear(self, name: str) -> int:
        removed: list[int] = []
        skip = 0
        while True:
            looked, gone, kept = await self._run(self._scripts.clear, name, skip, AT_A_TIME)
            removed.append(gone)
            skip += kept
            if not looked:
                return sum(removed)

    async def _turn(self, source: str, target: str, event: str) -> int:
        keys = self._keys
        names = (keys.root + source, keys.root + target, keys.meta, keys.prioritized, keys.events, keys.delayed)
        left: int = await self._connection.run(package_script("pause"), (*names, keys.marker), (event,))
        return left

    async def _run(self, script: Script, *args: Argument) -> Reply:
        return await self._connection.run(script, (self._keys.root,), args)


def _job(row: Reply) -> Job:
    id, state, parked, due_ms, fields = row
    state = None if state == "unknown" else state
    return replace(read_row(id, fields), state=state, parked=bool(parked), due_ms=due_ms)


def _missing(id: str) -> JobNotFoundError:
    return JobNotFoundError(f"there is no job {id}")
