"""The connection that all targets of one broker publish over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from actors.connections.mqtt import reasons
from actors.connections.mqtt.link import Link
from actors.connections.mqtt.protocol import Arrival, Driver, Login, Publish, Server, Version, Welcome
from actors.connections.mqtt.window import Window
from actors.core.clock import Clock, Timer
from actors.core.errors import DeliveryError
from actors.core.events import Events, Notice
from actors.core.spec import Standing

RESUME_S: Final = 30.0
"""How long what QoS 2 has under way waits for the connection to come back, and how long the broker keeps it."""

OVERHEAD: Final = 64
"""Bytes of a PUBLISH packet besides topic, payload and properties, at most."""

KEPT_BYTES: Final = 64 * 1024 * 1024
"""What `republish` may keep in memory; what is older goes."""


class Publisher:
    """Publishes, and says whether it can.

    While there is no connection everything is refused at once: nothing is kept for later, since whoever
    publishes knows better what to do then.
    """

    def __init__(
        self,
        login: Login,
        *,
        connection: str,
        version: Version,
        servers: Callable[[], Sequence[Server]],
        clock: Clock,
        events: Events,
    ) -> None:
        self.version: Version = version
        # MQTT 3.1.1 knows no session that ends by itself, and a broker would keep one for ever.
        self._login = replace(login, session_s=int(RESUME_S)) if version == "5" else login
        self._clock = clock
        self._events = events
        self._connection = connection
        self._link = Link(
            self,
            connection=connection,
            client_id=login.client_id,
            version=version,
            servers=servers,
            clock=clock,
            events=events,
        )
        self._window = Window(self._refusal)
        self._welcome = Welcome(False, 0)
        self._watchers: list[Standing] = []
        self._why: str | None = "connecting"
        """Why nothing can be published now; None where it can."""
        self._patience: Timer | None = None
        self._kept: deque[_Kept] = deque()
        self._kept_bytes = 0
        self._has_told = False

    def __len__(self) -> int:
        """Publishes that are not answered."""
        return len(self._window)

    # For targets

    def open(self) -> None:
        """Begin to connect; does nothing the second time."""
        self._link.open()

    async def tried(self) -> None:
        """Wait until the first attempt at connecting has ended, well or badly."""
        await self._link.tried()

    def watch(self, standing: Standing) -> Callable[[], None]:
        """Tell `standing` now and from now on whether publishing is possible; returns what ends that."""
        self._watchers.append(standing)
        if self._why is not None:
            standing.unavailable(self._why)
        else:
            standing.available()

        def unwatch() -> None:
            if standing in self._watchers:
                self._watchers.remove(standing)

        return unwatch

    def publish(self, publish: Publish) -> None:
        """Send it as soon as the broker takes one more; `publish.done` is told how that ended."""
        self._window.add(publish)

    def keep(self, publish: Publish, keep_s: float) -> None:
        """The broker has acknowledged it: for so long, publish it again where the connection breaks."""
        now = self._clock.now()
        self._kept.append(_Kept(now + keep_s, publish))
        self._kept_bytes += len(publish.payload)
        self._drop_kept(now)

    async def close(self) -> None:
        """Disconnect; what is not answered has an unknown end."""
        self._forget_patience()
        await self._link.close()
        self.down("the router stops")
        self._window.lost("the router stops")
        self._window.forget("the router stops")
        self._kept.clear()

    def hurry(self) -> None:
        """The broker may be back: try at once."""
        self._link.hurry()

    # Of the link

    def session(self) -> tuple[Login, bool]:
        return self._login, not self._window.resumable

    async def complete(self, driver: Driver) -> None:
        """There is nothing to subscribe to."""

    def up(self) -> None:
        self._why = None
        for standing in tuple(self._watchers):
            standing.available()
        self._republish()

    def down(self, why: str) -> None:
        self._why = why
        for standing in tuple(self._watchers):
            standing.unavailable(why)

    # Of the driver

    def connected(self, welcome: Welcome) -> None:
        self._forget_patience()
        self._welcome = welcome
        driver = self._link.driver
        assert driver is not None, "it has just connected"
        self._window.connected(driver, welcome.receive_maximum, session_present=welcome.session_present)

    def lost(self, why: str) -> None:
        # First the standing, then what was under way: whoever is told of the latter must not come back here.
        self.down(why)
        self._window.lost(why)
        if self._window.resumable:
            if self.version == "5":
                self._patience = self._clock.call_at(self._clock.now() + RESUME_S, self._give_up)
            else:
                self._window.forget(why)
        self._link.lost(why)

    def _give_up(self) -> None:
        self._patience = None
        self._window.forget(f"the connection did not come back within {RESUME_S:g} s")

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def acknowledged(self, packet_id: int, reason: int) -> None:
        self._window.acknowledged(packet_id, reason)

    def received(self, packet_id: int, reason: int) -> None:
        self._window.received(packet_id, reason)

    def writable(self, is_writable: bool) -> None:
        self._window.writable(is_writable)

    def arrived(self, arrival: Arrival) -> None:
        """Nothing was subscribed to."""

    def released(self, packet_id: int) -> None:
        """Nothing has arrived."""

    # What the broker would not take

    def _refusal(self, publish: Publish) -> DeliveryError | None:
        """The broker would break the connection over these, and all that is under way with it."""
        welcome = self._welcome
        size = len(publish.payload) + len(publish.topic) * 4 + OVERHEAD
        if size > welcome.max_packet:
            text = f"a message of {len(publish.payload)} bytes: the broker takes packets of {welcome.max_packet}"
        elif publish.qos > welcome.max_qos:
            text = f"QoS {publish.qos}: {reasons.name(0x9B)}"
        elif publish.retain and not welcome.retain:
            text = reasons.name(0x9A)
        else:
            return None
        return DeliveryError(f"publishing to {publish.topic}: {text}", reason="refused", retryable=False)

    # What the broker may have forgotten

    def _republish(self) -> None:
        """The connection was lost, and with it perhaps what the broker had not saved: send it again."""
        # What was acknowledged just before the loss may be forgotten, however long the broker was away.
        again, self._kept, self._kept_bytes = self._kept, deque(), 0
        for kept in again:
            publish = kept.publish
            self._window.add(_again(publish, _Again(self, kept)))

    def put_back(self, kept: _Kept) -> None:
        """It was sent again, and that is not known to have succeeded."""
        self._kept.append(kept)
        self._kept_bytes += len(kept.publish.payload)

    def _drop_kept(self, now: float) -> None:
        kept = self._kept
        while kept and (kept[0].until <= now or self._kept_bytes > KEPT_BYTES):
            if kept[0].until > now and not self._has_told:
                self._has_told = True
                text = (
                    f"connection {self._connection}: more to republish than {KEPT_BYTES} bytes; the oldest is left out"
                )
                self._events.emit(Notice(text, "warning"))
            self._kept_bytes -= len(kept.popleft().publish.payload)


class _Kept(NamedTuple):
    until: float
    """Monotonic seconds; while the connection is lost nothing is given up."""
    publish: Publish


class _Again:
    """What becomes of a message that was sent again: nobody but the publisher waits for it."""

    __slots__ = ("_kept", "_publisher")

    def __init__(self, publisher: Publisher, kept: _Kept) -> None:
        self._publisher = publisher
        self._kept = kept

    def acknowledged(self, reason: int) -> None:
        """It is with the broker again."""

    def failed(self, error: DeliveryError) -> None:
        if error.retryable:
            self._publisher.put_back(self._kept)


def _again(publish: Publish, done: _Again) -> Publish:
    return Publish(
        publish.topic,
        publish.payload,
        publish.qos,
        publish.retain,
        done,
        publish.user_properties,
        publish.content_type,
        publish.response_topic,
        publish.correlation_data,
        publish.expiry_s,
    )
