"""Many dead letters, a piece at a time, so that a person sees how far it has come."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from router.cli.client import Client, Json
from router.cli.figures import count
from router.cli.progress import Bar

ANSWER_TIMEOUT_S: Final = 400.0
"""The router begins no replay after 300 s, and waits 30 s for the last ones."""
FIRST: Final = 20
MOST: Final = 1000
"""Dead letters in one request."""
SHORT_S: Final = 0.5
LONG_S: Final = 2.0
"""Between these lies how long a piece should take."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which dead letters a command is about."""

    ids: list[str]
    """Some by their ids; empty: all that `filter` chooses."""
    filter: dict[str, str]
    total: int
    newest: str
    """The last one that is meant: what becomes a dead letter from now on is not."""


class Pieces:
    """Replays or drops, the oldest first; each piece is as large as takes about a second."""

    def __init__(self, client: Client, verb: str, more: dict[str, Any]) -> None:
        """`more` goes into each request."""
        self.done = 0
        self.failed: list[Json] = []
        self.left = 0
        """Those that were meant, and were not tried."""
        self._client = client
        self._verb = verb
        self._more = more
        self._bar = Bar(sys.stderr)
        self._size = FIRST

    @property
    def answer(self) -> Json:
        """What came of all pieces, as the router says it of one."""
        return {"replayed": self.done, "failed": self.failed, "left": self.left, "more": False}

    def run(self, chosen: Chosen) -> None:
        """Go through all of them; raises `Failure` where the router does not answer, with the counts as they are."""
        self.left = chosen.total
        try:
            if chosen.total > FIRST:
                self._show(0, chosen.total)
            if chosen.ids:
                self._by_ids(chosen.ids)
            elif chosen.total:
                self._by_filter(chosen)
        finally:
            self._bar.clear()

    def _by_ids(self, ids: list[str]) -> None:
        rest = list(dict.fromkeys(ids))
        self.left = total = len(rest)
        while rest:
            piece, rest = rest[: self._size], rest[self._size :]
            answer = self._ask({"ids": piece}, total)
            if left := answer.get("left") or 0:
                rest = [*piece[len(piece) - left :], *rest]
                if left == len(piece):
                    break
        self.left = len(rest)

    def _by_filter(self, chosen: Chosen) -> None:
        after: dict[str, str] = {}
        going_on = True
        while going_on:
            page = {"filter": chosen.filter, "limit": self._size, "through": chosen.newest, **after}
            answer = self._ask(page, chosen.total)
            left = answer.get("left") or 0
            going_on = bool(answer.get("more") or left)
            if answer.get("last") is None:
                break
            after = {"after": str(answer["last"])}
        # Others may have replayed or dropped some meanwhile.
        self.left = self.left if going_on else 0

    def _ask(self, body: Json, total: int) -> Json:
        began = time.monotonic()
        answer = self._client.post("dead-letters", self._verb, body={**body, **self._more}, timeout_s=ANSWER_TIMEOUT_S)
        took_s = time.monotonic() - began
        self._size = min(MOST, self._size * 2) if took_s < SHORT_S else self._size
        self._size = max(1, self._size // 2) if took_s > LONG_S else self._size
        self.done += answer.get("replayed") or answer.get("dropped") or 0
        self.failed += answer.get("failed", ())
        tried = self.done + len(self.failed)
        self.left = max(0, total - tried)
        self._show(tried, total)
        return answer

    def _show(self, tried: int, total: int) -> None:
        words = "replayed" if self._verb == "replay" else "dropped"
        self._bar.show(tried, total, f"{words}, {count(len(self.failed))} failed" if self.failed else words)
