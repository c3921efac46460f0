"""The mailbox of one client: bounded in messages and in bytes, with a policy for a client that is slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from actors.core.envelope import Envelope
from actors.core.mailbox import Mailbox
from actors.core.message import Message
from actors.core.spec import Options
from actors.kit.units import Between, Size

Slow = Literal["disconnect", "drop_oldest"]
"""What becomes of a client whose mailbox is full: it goes, or it misses what has waited longest."""


class ClientMailboxOptions(Options):
    """Where messages wait for one client while it reads slowly."""

    capacity: int = Field(100, ge=1, le=10_000)
    """How many messages wait for a client at most, 1 to 10,000."""
    size: Annotated[Size, Between("1KiB", "64MiB")] = Size("256KiB")
    """How many bytes of them, 1KiB to 64MiB; a message that is larger by itself is refused."""
    overflow: Slow = "disconnect"
    """When it is full: `disconnect` closes the client with 1013, so that it knows; `drop_oldest` lets it miss what has
    waited longest."""


class Parcel(Envelope):
    """A message on its way to any number of clients: the same object is in the mailbox of each, and nobody replies."""

    __slots__ = ("frame", "key")

    def __init__(self, message: Message, enqueued_at: float, frame: bytes, key: str) -> None:
        super().__init__(message, None, enqueued_at)
        self.frame = frame
        self.key = key
        """Of messages with the same key only the newest need arrive; empty where each must."""


class Postbox(Mailbox):
    """Takes parcels by `post`; what is conflated or dropped counts as dropped, and `conflated` says how much of it."""

    __slots__ = ("_latest", "conflated", "max_bytes", "slow", "waiting_bytes")

    def __init__(self, name: str, *, now: Callable[[], float], capacity: int, max_bytes: int, slow: Slow) -> None:
        super().__init__(name, now=now, capacity=capacity, overflow="reject" if slow == "disconnect" else "drop_oldest")
        self.slow: Slow = slow
        self.max_bytes = max_bytes
        self.waiting_bytes = 0
        self.conflated = 0
        self._latest: dict[str, Parcel] = {}
        """By key, of those that wait."""

    def post(self, parcel: Parcel) -> bool:
        """Take a parcel in; false where there is no room for it, and the client has to go.

        Where an earlier one with its key waits, it takes that one's place in the line. Its frame must not be
        larger than `max_bytes`.
        """
        size = len(parcel.frame)
        earlier = self._latest.get(parcel.key) if parcel.key else None
        if earlier is not None:
            self.messages[self.messages.index(earlier)] = self._latest[parcel.key] = parcel
            self.waiting_bytes += size - len(earlier.frame)
            self.received += 1
            self.dropped += 1
            self.conflated += 1
            return self._made_room(0, 0)
        if not self._made_room(1, size):
            return False
        if parcel.key:
            self._latest[parcel.key] = parcel
        self.waiting_bytes += size
        self.offer(parcel)
        return True

    def taken(self, envelope: Envelope) -> None:
        """It does not wait here any more."""
        if isinstance(envelope, Parcel):
            self.waiting_bytes -= len(envelope.frame)
            if envelope.key and self._latest.get(envelope.key) is envelope:
                del self._latest[envelope.key]

    def _made_room(self, messages: int, size: int) -> bool:
        waiting = self.messages
        while waiting and (len(waiting) + messages > self.capacity or self.waiting_bytes + size > self.max_bytes):
            if self.slow == "disconnect":
                return False
            self.taken(waiting.popleft())
            self.dropped += 1
        return True
