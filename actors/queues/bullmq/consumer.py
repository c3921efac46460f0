"""Works a queue's jobs: what was finished leaves, and the next jobs come, in one exchange with Redis."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from actors.connections.redis import RedisConnection
from actors.connections.redis.refusals import refusal
from actors.connections.redis.script import Script
from actors.connections.redis.wire import Argument
from actors.core.errors import RouterError, StorageError, StoreAwayError
from actors.core.events import Notice
from actors.queues.bullmq.encoding import read_row
from actors.queues.bullmq.finishes import Finishes
from actors.queues.bullmq.keys import Keys
from actors.queues.bullmq.marker import MarkerWait
from actors.queues.bullmq.scripts import Scripts
from actors.queues.contract import ConsumerOptions, Failed, Finish, Released, Turn
from actors.queues.job import Job

TOKEN_BYTES: Final = 16

REMEMBER_S: Final = 900
"""How long Redis remembers a consumer's last turn, in case that its answer got lost."""

BATCH: Final = 100
"""Jobs that one exchange finishes and claims at most: for all others Redis stands still meanwhile."""

_LOST: Final = (-1, -2, -3, -6)
"""The job, or its lock, is gone, or somebody else's."""
_CHILDREN: Final = {
    -4: "the job has children that have not finished",
    -9: "a child of the job has failed",
}


class BullmqConsumer:
    """See `Consumer`.

    Each exchange has a number, and Redis remembers the last one: what it claimed, and that what it finished is
    finished. So an exchange whose answer got lost is known for what it was, and one that arrives late does nothing.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: Keys,
        scripts: Scripts,
        options: ConsumerOptions,
        *,
        time: Callable[[], float],
        living: Callable[[], Iterable[str]],
        closed: Callable[[str], None],
        next_iteration: Callable[[Job], Awaitable[None]],
    ) -> None:
        self.token: Final = secrets.token_hex(TOKEN_BYTES)
        """Owns the locks of what is in hand here."""
        self._connection = connection
        self._keys = keys
        self._scripts = scripts
        self._options = options
        self._time = time
        self._living = living
        self._closed = closed
        self._next_iteration = next_iteration
        self._finishes = Finishes(options, self.token)
        self._has_begun = False
        self._seq = 0
        self._heard = 0
        """The last exchange whose answer arrived."""
        self._lost: list[str] = []
        self._told: dict[str, int] = {}
        """Jobs that were finished without an answer, and the exchange that first told of it."""
        self._arrived: list[Job] = []
        """Claimed, and not handed over: what came behind them failed."""
        self._due: list[Job] = []
        """Of schedulers that have not made their next job."""
        self._cursor = "0"
        self._marker = MarkerWait(connection, keys, time)
        limiter = options.limiter
        self._claim: bytes = msgpack.packb(
            {
                "token": self.token,
                "lockDuration": options.lock_ms,
                "limiter": None if limiter is None else {"max": limiter.max, "duration": limiter.duration_ms},
                "name": options.name,
            }
        )

    # Turns

    async def turn(self, finished: Sequence[Finish], want: int) -> Turn:
        """See `Consumer.turn`."""
        if not self._has_begun:
            await self.begin()
        self._marker.is_owed = False
        # The last one that is given back comes first; they are to be in the order in which they came.
        left: list[Finish] = [finish for finish in finished if not isinstance(finish, Released)]
        left += [finish for finish in reversed(finished) if isinstance(finish, Released)]
        keys: list[str] = []
        while True:
            batch, left = left[:BATCH], left[BATCH:]
            room = 0 if left else max(0, min(want - len(self._arrived), BATCH))
            answer = await self._exchange(batch, room, keys)
            left += answer.again
            keys = [text for job in answer.keyless for text in (job.id, self._key_of(job))]
            is_more = answer.claimed >= room and len(self._arrived) < want
            if not left and not keys and not is_more:
                break
        await self._let_schedulers_go_on()
        # From here on nothing is waited for: what is handed over is not kept.
        jobs, self._arrived = self._arrived, []
        lost, self._lost = self._lost, []
        self._told.clear()
        return Turn(tuple(jobs), answer.wait_ms if len(jobs) < want else None, lost or ())

    async def begin(self) -> None:
        """Take back what an earlier process of this identity had in hand, and what another order has parked."""
        order = self._options.order
        asked = {
            "now": self._now_ms(),
            "token": self.token,
            "identity": self._options.identity,
            "living": list(self._living()),
            # Of a changed connection: what is in hand over the one before is not known here, and is well.
            "takes_back": not self._connection.is_successor,
            "sign": False if order is None else order.signature,
            "most": self._options.max_stalled,
        }
        await self._run(self._scripts.begin, asked)
        self._has_begun = True

    async def _exchange(self, batch: Sequence[Finish], room: int, keys: Sequence[str]) -> _Answer:
        self._seq += 1
        seq, told, order = self._seq, self._told, self._options.order
        now = self._now_ms()
        asked = {
            "now": str(now),
            "token": self.token,
            "seq": seq,
            "ack": self._heard,
            "want": room,
            "claim": self._claim,
            "sign": False if order is None else order.signature,
            "keys": keys,
            "remember": max(REMEMBER_S * 1000, 2 * self._options.lock_ms),
        }
        args: list[Argument] = []
        for finish in batch:
            args += self._finishes.arguments(finish, told.setdefault(finish.job.id, seq))
        reply = await self._run(self._scripts.turn, asked, args)
        if not reply[0]:
            raise StoreAwayError(f"{self._keys.qualified}: a later exchange has overtaken this one")
        self._heard = seq
        _, codes, rows, held_ms, due_ms, wanted, problem = reply
        self._arrived += [read_row(id, row) for id, row in rows]
        again = self._settle(batch, codes)
        if problem:
            raise refusal(self._keys.qualified, problem)
        wait_ms = held_ms or (max(0, due_ms - self._now_ms()) if due_ms else None)
        return _Answer(again, [read_row(id, row) for id, row in wanted], len(rows), wait_ms)

    def _settle(self, batch: Sequence[Finish], codes: Sequence[int | list[str]]) -> list[Finish]:
        """Look at what became of each; returns those that have to be finished otherwise."""
        again: list[Finish] = []
        trouble: StorageError | None = None
        for finish, code in zip(batch, codes, strict=True):
            id = finish.job.id
            if code == 0:
                continue
            if isinstance(code, int) and code in _LOST:
                self._lost.append(id)
                continue
            # It was not done, so the next time is the first.
            del self._told[id]
            if isinstance(code, int) and code in _CHILDREN:
                again.append(Failed(finish.job, _CHILDREN[code]))
            else:
                text = code[0] if isinstance(code, list) else f"BullMQ answers {code}"
                trouble = refusal(f"{self._keys.qualified}: job {id}", text)
        if trouble is not None:
            raise trouble
        return again

    def _key_of(self, job: Job) -> str:
        """With the order's signature in front, by which everybody sees whose key it is."""
        order = self._options.order
        assert order is not None, "only an order asks for keys"
        key = order.key_of(job)
        return key if key.startswith(order.signature) else order.signature + key

    async def _let_schedulers_go_on(self) -> None:
        """A scheduler makes its next job when the one before begins."""
        due = [*self._due, *(job for job in self._arrived if job.scheduler is not None)]
        self._due = []
        for index, job in enumerate(due):
            try:
                await self._next_iteration(job)
            except StoreAwayError:
                # With the next turn; doing it twice does nothing.
                self._due = due[index:]
                return
            except (RouterError, ValueError) as error:
                text = f"queue {self._keys.qualified}: the scheduler {job.scheduler} makes no further job: {error}"
                self._connection.events.emit(Notice(text, "error"))

    # What goes on beside

    async def wait(self, timeout_ms: int | None) -> None:
        """See `Consumer.wait`."""
        await self._marker.wait(timeout_ms)

    async def renew(self, jobs: Iterable[Job]) -> Sequence[str]:
        """See `Consumer.renew`."""
        ids = [job.id for job in jobs]
        if not ids:
            return ()
        tokens = msgpack.packb([self.token] * len(ids))
        args = (self._keys.root, tokens, msgpack.packb(ids), self._options.lock_ms)
        lost: list[str] = await self._connection.run(self._scripts.renew, (self._keys.stalled,), args)
        return tuple(lost)

    async def look_for_stalled(self) -> Sequence[str]:
        """See `Consumer.look_for_stalled`."""
        asked = {
            "now": self._now_ms(),
            "most": self._options.max_stalled,
            "interval": self._options.stalled_interval_ms,
            "cursor": self._cursor,
        }
        stalled: list[str]
        stalled, self._cursor = await self._run(self._scripts.stalled, asked)
        return tuple(stalled)

    async def close(self) -> None:
        """See `Consumer.close`."""
        self._closed(self.token)
        await self._marker.close()
        try:
            await self._connection.execute("SREM", self._keys.tokens(self._options.identity), self.token)
        except StorageError:
            # It is then found by the next consumer of this identity, and has nothing in hand.
            return

    async def _run(self, script: Script, asked: Mapping[str, Any], args: Sequence[Argument] = ()) -> Any:
        # Lua knows no other texts than the old ones.
        packed = msgpack.packb(asked, use_bin_type=False)
        return await self._connection.run(script, (self._keys.root,), (packed, *args))

    def _now_ms(self) -> int:
        return int(self._time() * 1000)


class _Answer(NamedTuple):
    """What one exchange brought beside jobs."""

    again: Sequence[Finish]
    keyless: Sequence[Job]
    claimed: int
    wait_ms: int | None
