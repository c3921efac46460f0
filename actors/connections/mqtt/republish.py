"""What a broker acknowledged and may have forgotten: it is published again when the connection comes back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from random import random as _random
from typing import Final, NamedTuple

from actors.connections.mqtt import reasons
from actors.connections.mqtt.properties import IDEMPOTENCY_KEY
from actors.connections.mqtt.protocol import Publish
from actors.core.clock import Clock, Timer
from actors.core.errors import DeliveryError
from actors.core.events import Events, Notice
from actors.kit.backoff import Backoff

KEPT_BYTES: Final = 64 * 1024 * 1024
"""What may be kept in memory; beyond it what was acknowledged first goes."""

AGAIN: Final = Backoff(delay_s=0.2, max_delay_s=10.0, jitter=0.2)
"""Before the next attempt at what the broker refused."""

PATIENCE_S: Final = 300.0
"""How long after a reconnect what the broker refuses is tried again: the subscribers have lost it too, and common
clients wait up to two minutes between their own attempts."""

TELL_S: Final = 1.0
"""What is given up within so long is one event."""

NAMED: Final = 100
"""How many messages such an event names."""


class Republisher:
    """Keeps what was acknowledged recently; after a loss it publishes that until the broker has it again.

    Whoever published it was told that it is delivered, so nobody else tries again. What the broker refuses,
    which includes "no matching subscribers" where one is required, is tried again for `PATIENCE_S` after the
    reconnect, and after the next one as well. What is given up is told by its id.
    """

    def __init__(
        self,
        send: Callable[[Publish], None],
        *,
        connection: str,
        unnoticed_s: float,
        clock: Clock,
        events: Events,
        random: Callable[[], float] = _random,
    ) -> None:
        """`unnoticed_s` is how long a connection may be dead before `lost` is called."""
        self._send = send
        self._connection = connection
        self._unnoticed_s = unnoticed_s
        self._clock = clock
        self._events = events
        self._random = random
        self._recent: deque[_Kept] = deque()
        """Acknowledged over this connection."""
        self._owed: list[_Kept] = []
        """To be published again: when the connection is back, or at the next attempt."""
        self._under_way: dict[Publish, _Kept] = {}
        self._bytes = 0
        """Of all that is kept, whichever of the three it is in."""
        self._patient_until = 0.0
        self._attempts = 0
        self._next: Timer | None = None
        self._given_up: list[str] = []
        self._why = ""
        self._telling: Timer | None = None
        self._has_left_out = False

    def __len__(self) -> int:
        """How many the broker has to acknowledge once more."""
        return len(self._owed) + len(self._under_way)

    def keep(self, publish: Publish, keep_s: float, *, require_subscriber: bool) -> None:
        """The broker has acknowledged it: publish it again where the connection breaks within `keep_s`."""
        now = self._clock.now()
        publish.done = self  # with all that whoever published it holds on to
        expires = None if publish.expiry_s is None else now + publish.expiry_s
        self._recent.append(_Kept(publish, now, keep_s, require_subscriber, expires))
        self._bytes += len(publish.payload)
        self._forget_old(now)

    # The connection

    def up(self) -> None:
        """It is of use again."""
        self._patient_until = self._clock.now() + PATIENCE_S
        self._attempts = 0
        self._publish_owed()

    def lost(self) -> None:
        """It broke, and what the broker had acknowledged shortly before is perhaps forgotten."""
        self._forget_next()
        # However long the broker is away from here on: what counts is how old it was when that began, which was
        # not before the last acknowledgement.
        began = self._clock.now() - self._unnoticed_s
        if self._recent:
            began = max(began, self._recent[-1].since)
        for kept in self._recent:
            if kept.until > began:
                self._owed.append(kept)
            else:
                self._let_go(kept)
        self._recent.clear()

    def close(self) -> None:
        """The connection will not come back; what is owed is given up."""
        # Before a reconnect nobody knows whether the broker has forgotten anything.
        level = "error" if self._next is not None or self._given_up else "warning"
        self._forget_next()
        for kept in self._owed:
            self._give_up(kept, "the router stops")
        self._owed.clear()
        self._recent.clear()
        self._bytes = 0
        if self._telling is not None:
            self._telling.cancel()
            self._tell(level)

    # What was published again

    def acknowledged(self, publish: Publish, reason: int) -> None:
        kept, now = self._under_way.pop(publish), self._clock.now()
        refusal = reasons.refusal(reason, publish.topic, require_subscriber=kept.requires_subscriber)
        if refusal is None:
            # It is as new to the disk of the broker as all else that is acknowledged now.
            self._recent.append(kept._replace(since=now))
            self._forget_old(now)
        elif refusal.retryable and now < self._patient_until:
            self._owed.append(kept)
            if self._next is None:
                self._attempts += 1
                self._next = self._clock.call_at(now + AGAIN.delay(self._attempts, self._random()), self._publish_owed)
        else:
            self._give_up(kept, str(refusal))

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        kept = self._under_way.pop(publish)
        if error.retryable:
            # The connection is lost; the next one begins with this.
            self._owed.append(kept)
        else:
            self._give_up(kept, str(error))

    def _publish_owed(self) -> None:
        self._forget_next()
        owed, self._owed = sorted(self._owed, key=_acknowledged_at), []
        now = self._clock.now()
        for kept in owed:
            publish = kept.publish
            if kept.expires is not None:
                left_s = math.ceil(kept.expires - now)
                if left_s <= 0:
                    # The broker, too, would have thrown it away.
                    self._let_go(kept)
                    continue
                publish.expiry_s = left_s
            self._under_way[publish] = kept
            self._send(publish)

    def _forget_next(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    # What goes

    def _forget_old(self, now: float) -> None:
        recent = self._recent
        while recent and recent[0].until <= now:
            self._let_go(recent.popleft())
        # What is owed stays: of that it is known that the broker does not have it.
        while recent and self._bytes > KEPT_BYTES:
            self._let_go(recent.popleft())
            if not self._has_left_out:
                self._has_left_out = True
                text = (
                    f"connection {self._connection}: more to republish than {KEPT_BYTES} bytes; the oldest is left out"
                )
                self._events.emit(Notice(text, "warning"))

    def _let_go(self, kept: _Kept) -> None:
        self._bytes -= len(kept.publish.payload)

    def _give_up(self, kept: _Kept, why: str) -> None:
        self._let_go(kept)
        self._given_up.append(kept.name)
        self._why = why
        if self._telling is None:
            self._telling = self._clock.call_at(self._clock.now() + TELL_S, self._tell)

    def _tell(self, level: str = "error") -> None:
        given_up, self._given_up, self._telling = self._given_up, [], None
        text = (
            f"connection {self._connection}: {len(given_up)} messages that the broker had acknowledged, and may have"
            f" forgotten, were not published again: {self._why}"
        )
        fields = (("messages", len(given_up)), ("ids", " ".join(given_up[:NAMED])))
        self._events.emit(Notice(text, level, fields))


class _Kept(NamedTuple):
    publish: Publish
    since: float
    """Monotonic seconds: when the broker acknowledged it."""
    keep_s: float
    requires_subscriber: bool
    expires: float | None
    """Monotonic seconds, after which nobody wants it."""

    @property
    def until(self) -> float:
        return self.since + self.keep_s

    @property
    def name(self) -> str:
        """The message's id, or the topic where it has none (MQTT 3.1.1)."""
        return dict(self.publish.user_properties).get(IDEMPOTENCY_KEY, self.publish.topic)


def _acknowledged_at(kept: _Kept) -> float:
    return kept.since
