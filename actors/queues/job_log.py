"""The lines that a worker writes to the logs of jobs; none is waited for, and none is worth failing for."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Final

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.queues.attempt import Attempt
from actors.queues.contract import Failed, Finish, JobNotFoundError, QueueStore, Retried

MOST: Final = 1000
"""Lines that may wait to be written; beyond that the oldest are left out."""


class JobLog:
    """One line for each attempt that failed."""

    def __init__(self, store: QueueStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lines: deque[tuple[str, str]] = deque(maxlen=MOST)
        self._writing: asyncio.Task[None] | None = None

    def failed(self, attempt: Attempt, finish: Finish) -> None:
        """An attempt at a job ended with `finish`, badly."""
        redelivery = attempt.redelivery
        now = datetime.fromtimestamp(self._clock.time(), UTC).isoformat(timespec="milliseconds")
        line = f"{now} attempt {redelivery.attempt} of {max(redelivery.attempt, redelivery.attempts)} failed"
        match finish:
            case Retried():
                line = f"{line}: {finish.reason}; again in {finish.delay_ms} ms"
            case Failed():
                line = f"{line}: {finish.reason}"
        self._lines.append((attempt.job.id, line))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._lines:
                id_, line = self._lines.popleft()
                try:
                    await self._store.log(id_, line)
                except (JobNotFoundError, StorageError):
                    continue
        finally:
            self._writing = None

    async def close(self) -> None:
        """Write no more."""
        writing = self._writing
        if writing is not None:
            writing.cancel()
            await asyncio.wait([writing])
