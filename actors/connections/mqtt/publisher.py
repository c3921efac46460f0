"""The connection that all targets of one broker publish over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from actors.connections.mqtt import reasons
from actors.connections.mqtt.link import Link
from actors.connections.mqtt.protocol import Arrival, Driver, Login, Publish, Server, Version, Welcome
from actors.connections.mqtt.republish import Republisher
from actors.connections.mqtt.window import Window
from actors.core.clock import Clock, Timer
from actors.core.errors import DeliveryError
from actors.core.events import Events
from actors.core.spec import Standing

RESUME_S: Final = 30.0
"""How long what QoS 2 has under way waits for the connection to come back, and how long the broker keeps it."""

OVERHEAD: Final = 64
"""Bytes of a PUBLISH packet besides topic, payload and properties, at most."""


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
        # Once a message, so without a call in between.
        self.publish: Callable[[Publish], None] = self._window.add
        """Send it as soon as the broker takes one more; `publish.done` is told how that ended."""
        self.acknowledged: Callable[[int, int], None] = self._window.acknowledged
        self._welcome = Welcome(False, 0)
        self._watchers: list[Standing] = []
        self._why: str | None = "connecting"
        """Why nothing can be published now; None where it can."""
        self._patience: Timer | None = None
        self._republisher = Republisher(
            self._window.add,
            connection=connection,
            unnoticed_s=login.keepalive_s,
            clock=clock,
            events=events,
        )

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

    def keep(self, publish: Publish, keep_s: float, *, require_subscriber: bool) -> None:
        """The broker has acknowledged it: for so long, publish it again where the connection breaks."""
        self._republisher.keep(publish, keep_s, require_subscriber=require_subscriber)

    async def close(self) -> None:
        """Disconnect; what is not answered has an unknown end."""
        self._forget_patience()
        await self._link.close()
        self.down("the router stops")
        self._window.lost("the router stops")
        self._window.forget("the router stops")
        self._republisher.close()

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
        # What is older goes first.
        self._republisher.up()
        for standing in tuple(self._watchers):
            standing.available()

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
        self._republisher.lost()
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
