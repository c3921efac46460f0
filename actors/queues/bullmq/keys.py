"""The names of a queue's keys in Redis: BullMQ's, and those of ours beside them."""

from __future__ import annotations

from typing import Final


class Keys:
    """All begin with `PREFIX:NAME:`; with braces in prefix or name, a cluster has them all in one slot."""

    __slots__ = (
        "active",
        "completed",
        "delayed",
        "events",
        "failed",
        "id",
        "limiter",
        "marker",
        "meta",
        "owners",
        "parked",
        "paused",
        "pc",
        "prioritized",
        "qualified",
        "repeat",
        "root",
        "stalled",
        "stalled_check",
        "wait",
        "waiting_children",
    )

    def __init__(self, prefix: str, queue: str) -> None:
        """Raises `ValueError` for a name that BullMQ does not take."""
        if not queue or ":" in queue:
            raise ValueError("the name of a queue is not empty, and has no colon")
        self.qualified: Final = f"{prefix}:{queue}"
        """What other queues know it by, in flows."""
        root = self.root = f"{self.qualified}:"
        """What all keys begin with."""
        self.wait: Final = f"{root}wait"
        self.active: Final = f"{root}active"
        self.prioritized: Final = f"{root}prioritized"
        self.delayed: Final = f"{root}delayed"
        self.completed: Final = f"{root}completed"
        self.failed: Final = f"{root}failed"
        self.waiting_children: Final = f"{root}waiting-children"
        self.paused: Final = f"{root}paused"
        self.repeat: Final = f"{root}repeat"
        self.stalled: Final = f"{root}stalled"
        self.stalled_check: Final = f"{root}stalled-check"
        self.limiter: Final = f"{root}limiter"
        self.id: Final = f"{root}id"
        self.meta: Final = f"{root}meta"
        self.pc: Final = f"{root}pc"
        self.events: Final = f"{root}events"
        self.marker: Final = f"{root}marker"
        self.owners: Final = f"{root}pm:owners"
        """Hash: the order key of each job that others of its key wait for, and that job's id."""
        self.parked: Final = f"{root}pm:parked"
        """Sorted set: all jobs that wait for another one of their key, by when they came to wait."""

    def job(self, id: str) -> str:
        """The hash of a job."""
        return self.root + id

    def lock(self, id: str) -> str:
        return f"{self.root}{id}:lock"

    def logs(self, id: str) -> str:
        return f"{self.root}{id}:logs"

    def line(self, key: str) -> str:
        """List: the jobs that wait for the one of order key `key` that is under way, in their order."""
        return f"{self.root}pm:line:{key}"

    def turn(self, token: str) -> str:
        """What the last turn of the consumer with this token did, in case that its answer gets lost."""
        return f"{self.root}pm:turn:{token}"

    def tokens(self, identity: str) -> str:
        """Set: the tokens of the consumers of this identity that have not been closed."""
        return f"{self.root}pm:tokens:{identity}"
