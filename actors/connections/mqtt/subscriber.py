"""The connection that one source receives over: its subscriptions, its session and its acknowledgements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from actors.connections.mqtt.arrivals import Arrivals
from actors.connections.mqtt.link import Link
from actors.connections.mqtt.protocol import Arrival, Driver, Login, Server, Subscription, Version, Welcome
from actors.core.clock import Clock, Timer
from actors.core.events import Events, Notice
from actors.kit.backoff import Backoff

AGAIN: Final = Backoff(delay_s=1.0, max_delay_s=30.0, jitter=0.2)
"""Before a reconnect that has the broker send again what could not be kept."""


class Recipient(Protocol):
    """The source that a subscriber works for. All of it runs on the loop."""

    def arrived(self, arrival: Arrival) -> None:
        """Sooner or later: `Subscriber.acknowledge` or `Subscriber.give_back`, once."""
        ...

    def available(self) -> None:
        """Messages may arrive."""
        ...

    def unavailable(self, why: str) -> None:
        """None will, until it is available again."""
        ...


class Subscriber:
    """Receives until it is closed. The socket is read all the time: Receive Maximum is the back-pressure."""

    def __init__(
        self,
        recipient: Recipient,
        login: Login,
        subscriptions: Sequence[Subscription],
        *,
        connection: str,
        version: Version,
        servers: Callable[[], Sequence[Server]],
        clock: Clock,
        events: Events,
        released: Callable[[Subscriber], None] = lambda _: None,
    ) -> None:
        """`released` is called when it is closed."""
        self._recipient = recipient
        self._login = login
        self._subscriptions = tuple(subscriptions)
        self._connection = connection
        self._clock = clock
        self._events = events
        self._released = released
        self._arrivals = Arrivals()
        self._refusals = 0
        """Reconnects in a row because something could not be kept."""
        self._again: Timer | None = None
        self._link = Link(
            self,
            connection=connection,
            client_id=login.client_id,
            version=version,
            servers=servers,
            clock=clock,
            events=events,
        )

    # For the source

    def open(self) -> None:
        """Begin to connect; does nothing the second time."""
        self._link.open()

    async def tried(self) -> None:
        """Wait until the first attempt at connecting has ended, well or badly."""
        await self._link.tried()

    def acknowledge(self, arrival: Arrival) -> None:
        """It is safe. The broker hears of that when all that arrived before it is safe as well."""
        self._refusals = 0
        if arrival.qos:
            self._arrivals.settle(arrival)

    def give_back(self, arrival: Arrival) -> None:
        """It could not be kept: have the broker send it again, after a while, on another connection."""
        if not arrival.qos:
            return
        self._arrivals.give_back(arrival)
        if self._again is None:
            self._refusals += 1
            delay_s = AGAIN.delay(self._refusals, 0.5)
            self._again = self._clock.call_at(self._clock.now() + delay_s, self._reconnect)

    def _reconnect(self) -> None:
        self._again = None
        self._arrivals.lost()
        self._link.drop("reconnecting, to be sent again what could not be kept")

    async def close(self) -> None:
        """Disconnect; what is not acknowledged stays with the broker, if it keeps the session."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        await self._link.close()
        self._arrivals.lost()
        self._released(self)

    def hurry(self) -> None:
        """The broker may be back: try at once."""
        self._link.hurry()

    # Of the link

    def session(self) -> tuple[Login, bool]:
        return self._login, not self._login.session_s

    async def complete(self, driver: Driver) -> None:
        granted = await driver.subscribe(self._subscriptions)
        for each, qos in zip(self._subscriptions, granted, strict=False):
            if qos < each.qos:
                text = f"connection {self._connection}: {each.filter} is granted QoS {qos} only"
                self._events.emit(Notice(text, "warning"))

    def up(self) -> None:
        self._recipient.available()

    def down(self, why: str) -> None:
        self._recipient.unavailable(why)

    # Of the driver

    def connected(self, welcome: Welcome) -> None:
        driver = self._link.driver
        assert driver is not None, "it has just connected"
        self._arrivals.connected(driver, session_present=welcome.session_present)

    def arrived(self, arrival: Arrival) -> None:
        if self._arrivals.add(arrival):
            self._recipient.arrived(arrival)

    def released(self, packet_id: int) -> None:
        self._arrivals.released(packet_id)

    def lost(self, why: str) -> None:
        self._arrivals.lost()
        self._recipient.unavailable(why)
        self._link.lost(why)

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """Nothing was published."""

    def received(self, packet_id: int, reason: int) -> None:
        """Nothing was published."""

    def writable(self, is_writable: bool) -> None:
        """Acknowledgements are few bytes, and bounded by what arrives."""
