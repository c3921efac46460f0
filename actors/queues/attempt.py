"""One attempt at a job: the receipt of its message, and how the job ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from actors.core.errors import RouterError
from actors.core.message import Receipt, Reply, Settlement
from actors.core.redelivery import Redelivery
from actors.queues.contract import Completed, Failed, Finish, Retried
from actors.queues.job import Job

if TYPE_CHECKING:
    from actors.queues.worker import QueueWorker

NULL: Final = "null"

LONGEST_RETURN_VALUE: Final = 64 * 1024
"""Characters of JSON; a reply of more is not kept with its job, of which a store keeps thousands."""


class Attempt(Receipt):
    """What a worker has in hand: settles into a `Finish`."""

    __slots__ = ("_redelivery", "_worker", "job")

    def __init__(self, worker: QueueWorker, job: Job) -> None:
        # In place of the initialiser above it: this is made for every job.
        self.accepted = False
        self.refused = False
        self.settlement = None
        self._worker = worker
        self.job = job
        options = job.options
        attempt, attempts = job.attempts_made + 1, options.attempts
        if job.done is None:
            self._redelivery = Redelivery(attempt, attempts)
        else:
            self._redelivery = Redelivery(attempt, attempts, _ways(job.done))

    @property
    def redelivery(self) -> Redelivery:
        return self._redelivery

    def on_settled(self, settlement: Settlement) -> None:
        self._worker.settled(self, settlement)

    def on_refused(self, error: RouterError) -> None:
        self._worker.gave_back(self, error)


def ended(attempt: Attempt, settlement: Settlement, random: float) -> Finish:
    """What becomes of the job whose message ended like this; `random` is from [0, 1)."""
    job, outcome = attempt.job, settlement.outcome
    if outcome == "delivered":
        reply = settlement.reply
        return Completed(job) if reply is None else Completed(job, _return_value(reply))
    reason = settlement.reason or outcome
    if outcome == "dead_lettered":
        return Failed(job, reason, _stack(attempt, reason))
    if outcome == "returned":
        return Retried(
            job, _delay_ms(attempt, settlement, random), reason, _stack(attempt, reason), _done(attempt.redelivery)
        )
    told = {"outcome": outcome} if settlement.reason is None else {"outcome": outcome, "reason": settlement.reason}
    return Completed(job, to_json(told).decode())


def _delay_ms(attempt: Attempt, settlement: Settlement, random: float) -> int:
    """As the job says, who ever added it; but not before the remote end wants to hear of it again."""
    backoff = attempt.job.options.backoff
    delay_ms = 0 if backoff is None else backoff.wait_ms(attempt.redelivery.attempt, random)
    return max(delay_ms, round((settlement.retry_after_s or 0.0) * 1000))


def _stack(attempt: Attempt, reason: str) -> str:
    """For BullMQ's tools, which show one for each attempt that failed."""
    redelivery = attempt.redelivery
    return f"{reason}\n    at attempt {redelivery.attempt} of {max(redelivery.attempts, redelivery.attempt)}"


def _return_value(reply: Any) -> str:
    data = reply.data if isinstance(reply, Reply) else reply
    try:
        value = to_json(data, bytes_mode="base64", inf_nan_mode="null").decode()
    except ValueError:
        return NULL
    return value if len(value) <= LONGEST_RETURN_VALUE else NULL


def _done(redelivery: Redelivery) -> str | None:
    done = redelivery.done
    return to_json({route: sorted(ways) for route, ways in done.items()}).decode() if done else None


def _ways(done: str) -> dict[str, list[tuple[int, str]]]:
    """What `_done` has made; nothing, where somebody else has written there."""
    try:
        return {route: [(int(part), str(target)) for part, target in ways] for route, ways in from_json(done).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
