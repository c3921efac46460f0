"""Asks a running router: what it has to say, and to pause or resume. Its calls block, and run in threads."""

from __future__ import annotations

import time
from typing import Final

from router.cli.client import Client, Json
from router.cli.top.sample import Reading

TIMEOUT_S: Final = 3.0
"""How long an answer may take; leaving the screen waits for it."""
MESSAGES: Final = 20
"""Of each kind in a mailbox: as many as a screen has room for."""
CHILDREN: Final = 10

SHARE: Final = 0.1
"""Of the router's time: where an answer takes long, we ask less often."""


class Feed:
    """One router, which may go away and come back."""

    def __init__(self, client: Client, *, every_s: float) -> None:
        self._client = client
        self.every_s = every_s

    def read(self) -> Reading:
        """What runs; raises `Failure`."""
        router = self._client.get("router")
        answer = self._client.get("actors")
        return Reading.of(time.monotonic(), router, answer)

    def read_queues(self) -> Json:
        """All queues; raises `Failure`. A store that is away takes its time, so that this has a rhythm of its own."""
        return self._client.get("queues")

    def pause_s(self, took_s: float) -> float:
        """How long to wait before the next reading, when the last one took so long."""
        return max(self.every_s, took_s / SHARE)

    def look_into(self, name: str, *, children: bool) -> Json:
        """The messages of a mailbox; under `children` those that an actor has started for itself, where it has any."""
        found = self._client.get("actors", name, "mailbox", limit=MESSAGES)
        if children:
            family = self._client.get("actors", name, children=CHILDREN).get("children") or {}
            found["children"] = family.get("shown", [])
        return found

    def jobs(self, name: str) -> Json:
        """The first jobs of a queue."""
        return self._client.get("queues", name, "jobs", limit=MESSAGES)

    def steer(self, verb: str, kind: str, name: str) -> Json:
        """Pause or resume one of `actors`, routes included, or of `queues`; the answer says what that holds back."""
        return self._client.post(kind, name, verb, body={})
