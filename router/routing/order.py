"""Order by key: one message of a key at a time, keys side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from actors.core.errors import DeliveryError, ExpressionError
from actors.core.message import Message
from router.routing.delivery import Delivery

LABEL: Final = "pointsman order key"
"""The attribute that keeps a message's key in the journal, and only there; no CloudEvents attribute has blanks."""


class Order:
    """Which keys have a message under way, and who waits behind it."""

    __slots__ = ("_busy", "_crowded", "_key_of", "waiting")

    def __init__(self, key_of: Callable[[Message], str] | None) -> None:
        self._key_of = key_of
        self._busy: dict[str, deque[Delivery]] = {}
        self._crowded: dict[str, int] = {}
        """How many more than one are under way: those that another `order_by` has given the same key."""
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
        if self._crowded and (more := self._crowded.pop(key, 0)):
            if more > 1:
                self._crowded[key] = more - 1
            return ()
        line = self._busy[key]
        if not line:
            del self._busy[key]
            return ()
        self.waiting -= 1
        return (line.popleft(),)

    def withdraw(self, delivery: Delivery) -> bool:
        """Take back one that waits its turn, which has no key then; false where it does not wait here."""
        details = delivery.details
        line = self._busy.get(details.key) if details is not None and details.key is not None else None
        if details is None or line is None or delivery not in line:
            return False
        line.remove(delivery)
        self.waiting -= 1
        details.key = None
        return True

    def rekey(self, key_of: Callable[[Message], str] | None, under_way: Iterable[Delivery]) -> list[Delivery]:
        """Keep another order from now on; returns those that waited and may go on now.

        `under_way` are all that do not wait here: those of them that share their new key go on side by side, and
        whoever waits goes on behind the last of them.
        """
        waiting = sorted(self, key=lambda delivery: delivery.enqueued_at)
        self._key_of = key_of
        self._busy, self._crowded, self.waiting = {}, {}, 0
        for delivery in under_way:
            if key_of is None:
                if delivery.details is not None:
                    delivery.details.key = None
            elif delivery.more().parent is None:
                key = delivery.more().key = self._new_key(key_of, delivery)
                if key in self._busy:
                    self._crowded[key] = self._crowded.get(key, 0) + 1
                else:
                    self._busy[key] = deque()
        free = []
        for delivery in waiting:
            delivery.more().key = None
            if key_of is None:
                free.append(delivery)
                continue
            key = delivery.more().key = self._new_key(key_of, delivery)
            if key in self._busy:
                self._busy[key].append(delivery)
                self.waiting += 1
            else:
                self._busy[key] = deque()
                free.append(delivery)
        return free

    @staticmethod
    def _new_key(key_of: Callable[[Message], str], delivery: Delivery) -> str:
        """The key of what is behind steps is that of the message as it came in."""
        message = delivery.entered or delivery.message
        try:
            return key_of(message) or message.id
        except (ExpressionError, DeliveryError):
            return message.id

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
