"""How late messages arrive that come while something is changed, and how late others do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tests.faults.account import Account

RECOVERED_S = 2.0
"""So long behind a restart anything may still be late."""

Span = tuple[float, float]
"""From when to when, monotonic seconds."""


class Lateness:
    """The seconds from acceptance (an answer 2xx, a broker's PUBACK) to the first delivery, for each message.

    What is delivered before its producer has heard of its acceptance took no time.
    """

    def __init__(self, account: Account, *, changes: Sequence[Span], down: Sequence[Span]) -> None:
        """`changes`: from question to answer, one after the other; `down`: when the router did not run."""
        self._account = account
        self._changes = changes
        self._down = down
        self._delivered: dict[str, float] = {}
        for one in account.received:
            self._delivered.setdefault(one.id, one.at)

    def during_changes(self) -> list[list[float]]:
        """For each change: of messages that were sent in its time, when nothing of their key was under way."""
        found: list[list[float]] = [[] for _ in self._changes]
        asked = [began for began, _ in self._changes]
        for id, (key, sequence) in self._account.acknowledged.items():
            sent = self._account.sent[id]
            change = bisect_right(asked, sent) - 1
            if change < 0 or sent > self._changes[change][1] or id not in self._delivered:
                continue
            if not sequence or self._delivered.get(f"{key}-{sequence - 1}", sent) < sent:
                found[change].append(self._late_s(id))
        return found

    def otherwise(self) -> list[float]:
        """Of messages that were sent between the first change and the last, but in the time of none."""
        spans = sorted([*self._changes, *((began, ended + RECOVERED_S) for began, ended in self._down)])
        starts = [began for began, _ in spans]
        return [
            self._late_s(id)
            for id, sent in self._account.sent.items()
            if id in self._delivered
            and id in self._account.accepted
            and 0 < (next_ := bisect_right(starts, sent)) < len(starts)
            and sent > spans[next_ - 1][1]
        ]

    def _late_s(self, id: str) -> float:
        return max(0.0, self._delivered[id] - self._account.accepted[id])
