"""The connection that one source receives over: its subscriptions, its session and its acknowledgements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal, Protocol

from actors.connections.mqtt.arrivals import Arrivals
from actors.connections.mqtt.kept_filters import KeptFilters
from actors.connections.mqtt.link import Link
from actors.connections.mqtt.protocol import (
    Arrival,
    Driver,
    FilterRefusedError,
    Login,
    Server,
    Subscription,
    Version,
    Welcome,
)
from actors.core.clock import Clock, Timer
from actors.core.errors import RouterError
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
        source: str = "",
        kept: KeptFilters | None = None,
    ) -> None:
        """`released` is called when it is closed. `kept` has what a session of the same client id was left with."""
        self._recipient = recipient
        self._source = source
        self._kept = kept if login.session_s else None
        self._login = login
        self._subscriptions = tuple(subscriptions)
        self._connection = connection
        self._clock = clock
        self._events = events
        self._released = released
        self._arrivals = Arrivals()
        self._subscribed: frozenset[Subscription] = frozenset()
        """What the session has."""
        self._adjusting: asyncio.Task[None] | None = None
        self._why: str | None = "connecting"
        """Why nothing arrives; None where something may."""
        self._leaving = False
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

    def give_back(self, arrival: Arrival, error: RouterError | None = None) -> None:
        """It could not be kept: have the broker send it again, after a while, on another connection."""
        if not arrival.qos:
            return
        self._arrivals.give_back(arrival)
        if self._leaving:
            return
        if error is not None:
            self._notify(f"{self._source}: not acknowledged: {error}", "error")
        if self._again is None:
            self._refusals += 1
            delay_s = AGAIN.delay(self._refusals, 0.5)
            self._again = self._clock.call_at(self._clock.now() + delay_s, self._reconnect)

    def _reconnect(self) -> None:
        self._again = None
        self._arrivals.lost()
        self._link.drop("reconnecting, to be sent again what could not be kept")

    def move(self, recipient: Recipient, subscriptions: Sequence[Subscription]) -> None:
        """Work for another source from now on, over the same connection and in the same session.

        What differs is subscribed to, and then unsubscribed from, a little later; what the broker refuses of
        that is reported, and all else goes on.
        """
        self._recipient = recipient
        self._subscriptions = tuple(subscriptions)
        if self._why is None:
            recipient.available()
            self._adjust()
        else:
            recipient.unavailable(self._why)

    def leave(self) -> tuple[Arrival, ...]:
        """The source stops to take in; returns what is not acknowledged. What could not be kept stays there."""
        self._leaving = True
        return self._arrivals.unsettled()

    async def close(self) -> None:
        """Disconnect; what is not acknowledged stays with the broker, if it keeps the session."""
        self._leaving = True
        if self._adjusting is not None:
            self._adjusting.cancel()
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
        wanted = self._subscriptions
        before = frozenset(await self._kept.known()) if self._kept is not None else frozenset[str]()
        gone = before - {each.filter for each in wanted}
        await self._keep(wanted, gone)
        await self._subscribe(driver, wanted)
        await self._unsubscribe(driver, gone)
        self._subscribed = frozenset(wanted)
        await self._keep(wanted)

    async def _keep(self, wanted: Sequence[Subscription], more: Iterable[str] = ()) -> None:
        if self._kept is not None:
            await self._kept.keep((*(each.filter for each in wanted), *more))

    async def _subscribe(self, driver: Driver, wanted: Sequence[Subscription]) -> None:
        granted = await driver.subscribe(wanted)
        for each, qos in zip(wanted, granted, strict=False):
            if qos < each.qos:
                self._notify(f"connection {self._connection}: {each.filter} is granted QoS {qos} only")

    async def _unsubscribe(self, driver: Driver, filters: Collection[str]) -> None:
        if filters:
            try:
                await driver.unsubscribe(sorted(filters))
            except FilterRefusedError as error:
                self._notify(f"{self._source}: {error}")

    def _adjust(self) -> None:
        """Let the session have what is wanted by now."""
        if self._adjusting is None and self._subscribed != frozenset(self._subscriptions):
            self._adjusting = asyncio.get_running_loop().create_task(self._adjusted())
            self._adjusting.add_done_callback(self._looked)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._adjusting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            # The next connection begins with all that is wanted.
            self._link.drop(str(error) or repr(error))

    async def _adjusted(self) -> None:
        """First what is new, so that nothing is missed which both have."""
        while (driver := self._link.driver) is not None and self._subscribed != frozenset(self._subscriptions):
            wanted, before = self._subscriptions, self._subscribed
            gone = {each.filter for each in before} - {each.filter for each in wanted}
            await self._keep(wanted, gone)
            for each in wanted:
                if each not in before:
                    try:
                        await self._subscribe(driver, (each,))
                    except FilterRefusedError as error:
                        self._notify(f"{self._source}: {error}")
            await self._unsubscribe(driver, gone)
            self._subscribed = frozenset(wanted)
            await self._keep(wanted)

    def _notify(self, text: str, level: Literal["warning", "error"] = "warning") -> None:
        self._events.emit(Notice(text, level))

    def up(self) -> None:
        self._why = None
        self._recipient.available()
        # A successor may have come while it was connecting.
        self._adjust()

    def down(self, why: str) -> None:
        self._why = why
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
        self.down(why)
        self._link.lost(why)

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """Nothing was published."""

    def received(self, packet_id: int, reason: int) -> None:
        """Nothing was published."""

    def writable(self, is_writable: bool) -> None:
        """Acknowledgements are few bytes, and bounded by what arrives."""
