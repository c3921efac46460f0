"""A dead letter, and which of them are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actors.kit.statement import Parameters


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message at its end, and how it came there."""

    at: float
    """Epoch seconds."""
    route: str
    target: str | None
    """None where the message never came as far as a target."""
    reason: str
    """The class of the last failure."""
    error: str
    attempts: int
    key: str | None
    message_id: str
    source: str
    message: bytes
    """As it was when it failed: what a replay to the same target sends."""
    entered: bytes | None = None
    """As it was before the steps, where they have changed it: what a replay through the route begins with."""
    position: int = 0
    """How many steps it had behind it when it was as `entered`: those before a split, for a part of one."""
    id: str = ""
    """Given by the store."""

    @property
    def size_bytes(self) -> int:
        return len(self.message) + len(self.entered or b"")


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; what is None matches all."""

    route: str | None = None
    target: str | None = None
    reason: str | None = None
    since: float | None = None
    """Epoch seconds, included."""
    until: float | None = None
    """Epoch seconds, not included."""

    def where(self) -> tuple[str, Parameters]:
        """An SQL condition and its parameters."""
        conditions = (
            ("route = ?", self.route),
            ("target = ?", self.target),
            ("reason = ?", self.reason),
            ("at >= ?", self.since),
            ("at < ?", self.until),
        )
        wanted = [(text, value) for text, value in conditions if value is not None]
        return " AND ".join(["1", *(text for text, _ in wanted)]), tuple(value for _, value in wanted)


EVERY_DEAD_LETTER: Final = DeadLetterFilter()
