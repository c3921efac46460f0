"""Order by key: one message of a key at a time, keys side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from actors.core.message import Message
from router.routing.delivery import Delivery

LABEL: Final = "pointsman order key"
"""The attribute that keeps a message's key in the journal, and only there; no CloudEvents attribute has blanks."""


class Order:
    """Which keys have a message under way, and who waits behind it."""

    __slots__ = ("_busy", "_key_of", "waiting")

    def __init__(self, key_of: Callable[[Message], str] | None) -> None:
        self._key_of = key_of
        self._busy: dict[str, deque[Delivery]] = {}
        self.waiting = 0
        """How many wait for the one before them."""

    def enter(self, delivery: Delivery) -> bool:
        """Whether a delivery may go on now; otherwise it waits its turn. An empty key is the message's id."""
        details = delivery.more()
        if details.key is not None or details.parent is not None:
            return True
        assert self._key_of is not None
        key = details.kept_key or self._key_of(delivery.message) or delivery.message.id
        details.key = key
        line = self._busy.get(key)
        if line is None:
            self._busy[key] = deque()
            return True
        line.append(delivery)
        self.waiting += 1
        return False

    def leave(self, key: str) -> tuple[Delivery, ...]:
        """The one of `key` ended: whoever is next, if anybody."""
        line = self._busy[key]
        if not line:
            del self._busy[key]
            return ()
        self.waiting -= 1
        return (line.popleft(),)

    @staticmethod
    def labelled(delivery: Delivery) -> Message:
        """Its message for the journal, with the key: behind steps the key could be made no more."""
        key = delivery.more().key
        return delivery.message if key is None else delivery.message.with_attributes(**{LABEL: key})

    @staticmethod
    def unlabelled(message: Message) -> tuple[Message, str | None]:
        """A message out of the journal, and the key it had, where that is known."""
        key: str | None = message.attributes.get(LABEL)
        return (message, None) if key is None else (message.with_attributes(**{LABEL: None}), key)

    def __iter__(self) -> Iterator[Delivery]:
        """All that wait."""
        for line in self._busy.values():
            yield from line
