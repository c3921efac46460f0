"""An MQTT connection of the topology: one broker, a connection for publishing, and one for each source."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.connections.client_tls import ClientTlsOptions, tls_context
from actors.connections.mqtt.brokers.house_broker import HouseBroker
from actors.connections.mqtt.kept_filters import KeptFilters
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.connections.mqtt.protocol import PACKET_IDS, Login, Server, Subscription, Version, Will
from actors.connections.mqtt.publisher import Publisher
from actors.connections.mqtt.subscriber import Recipient, Subscriber
from actors.connections.mqtt.traffic import Traffic
from actors.core.connection import ConnectionContext, connection
from actors.core.errors import RouterError
from actors.core.events import Notice
from actors.core.examination import ExamineContext, Finding
from actors.core.resource import Access
from actors.kit.backoff import Backoff
from actors.kit.kept_id import kept_id

CLIENT_ID_BYTES: Final = 4

AGAIN: Final = Backoff(delay_s=0.5, max_delay_s=30.0, jitter=0.2)
"""Before a broker in the house that could not be started is tried again."""


async def _examine(options: MqttConnectionOptions, context: ExamineContext) -> Sequence[Finding]:
    from actors.connections.mqtt.examination import examine_connection

    return await examine_connection(options, context)


def _is_exclusive(options: MqttConnectionOptions) -> bool:
    return options.house is not None


@connection("mqtt", options=MqttConnectionOptions, exclusive=_is_exclusive, examine=_examine)
class MqttConnection:
    """A broker that `mqtt` actors talk to: one in the house, or one that runs elsewhere.

    All targets publish over one MQTT connection, and each source has one of its own, so that a route that is
    slow holds nobody else back. Each reconnects by itself, with backoff and jitter, for ever. Nothing is kept
    for later while the broker is away: what is delivered then is refused at once.
    """

    def __init__(self, options: MqttConnectionOptions, context: ConnectionContext) -> None:
        self.options = options
        self.version: Version = options.version
        self._context = context
        self._opening = asyncio.Lock()
        self._is_open = False
        self._house: HouseBroker | None = None
        self._missing: RouterError | None = None
        """Why the broker in the house is not there: it was never started so far, and is tried again."""
        self._starting: asyncio.Task[None] | None = None
        self._tls: ssl.SSLContext | None = None
        self._client_id: str = options.client_id or ""
        self._publisher: Publisher | None = None
        self._subscribers: set[Subscriber] = set()
        self._traffic: dict[str, Traffic] = {}

    @property
    def house(self) -> HouseBroker | None:
        """The broker in the house, once it was started."""
        return self._house

    def serves(self) -> Sequence[str]:
        """Where a broker in the house takes clients."""
        house = self._house
        return [] if house is None or self._missing or not self._is_open else str(house.addresses).split(", ")

    def access(self) -> Access | None:
        """How others get to the broker, by the version of MQTT that is spoken here; of several URLs by the first."""
        if not self._is_open or self._missing is not None:
            return None
        server, house, options = self._servers()[0], self._house, self.options
        if house is not None and house.credentials is not None:
            return Access(str(server), self.version, "kept", house.credentials)
        proof = server.username or options.username or (options.tls is not None and options.tls.cert)
        return Access(str(server), self.version, "secret" if proof else "none")

    async def open(self) -> None:
        """Start the broker, where it is one in the house, and read the certificates; does so once.

        Raises `RouterError` where a certificate cannot be used. That a broker is away is no error, nor that one in
        the house cannot be started: its port is in use, say. Both are tried again for ever.
        """
        async with self._opening:
            if self._is_open:
                return
            if not self._client_id:
                self._client_id = await asyncio.to_thread(self._kept_client_id)
            if self.options.house is None and any(server.tls for server in self.options.servers):
                self._tls = await asyncio.to_thread(self._tls_context)
            if self.options.house is not None:
                await self._start_house()
            self._is_open = True

    async def _start_house(self) -> None:
        if self._house is None:
            if self.options.house == "embedded":
                from actors.connections.mqtt.brokers.embedded_broker import EmbeddedBroker

                self._house = EmbeddedBroker(self.options, self._context)
            else:
                from actors.connections.mqtt.brokers.mosquitto_broker import MosquittoBroker

                self._house = MosquittoBroker(self.options, self._context)
        self._house.on_ready = self._hurry
        try:
            await self._house.start()
        except RouterError as error:
            self._missing = error
            self._starting = asyncio.create_task(self._start_again(self._house, error))

    async def _start_again(self, house: HouseBroker, error: RouterError) -> None:
        attempts = 0
        while self._missing is not None:
            if attempts == 0 or str(error) != str(self._missing):
                # Once for each reason: it is tried for ever.
                self._context.events.emit(Notice(f"{error}; it is tried again", "error"))
            self._missing = error
            attempts += 1
            await self._context.clock.sleep(AGAIN.delay(attempts, 0.5))
            try:
                await house.start()
            except RouterError as failure:
                error = failure
            else:
                self._missing = None
        self._hurry()

    def _hurry(self) -> None:
        for client in (*self._subscribers, *((self._publisher,) if self._publisher is not None else ())):
            client.hurry()

    async def close(self) -> None:
        """Disconnect, and end the broker in the house."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.close()
        for subscriber in tuple(self._subscribers):
            await subscriber.close()
        async with self._opening:
            self._is_open = False
            if self._starting is not None:
                self._starting.cancel()
                await asyncio.wait([self._starting])
                self._starting = self._missing = None
            if self._house is not None:
                await self._house.stop()

    # For actors

    def traffic(self, actor: str) -> Traffic:
        """The counts of the actor of that name, which outlive it."""
        return self._traffic.setdefault(actor, Traffic(self._context.name))

    def publisher(self) -> Publisher:
        """The one that all targets share, connecting or connected; the connection must be open."""
        if self._publisher is None:
            will = self.options.will
            # The publisher of the connection before may be there for a while, and a broker knows one of a name.
            generation = self._context.generation
            login = self._login(
                f"pub-{generation}" if generation else "pub",
                will=None
                if will is None
                else Will(will.topic, will.payload.encode(), will.qos, will.retain, int(will.delay)),
            )
            self._publisher = Publisher(
                login,
                connection=self._context.name,
                version=self.version,
                servers=self._servers,
                clock=self._context.clock,
                events=self._context.events,
            )
            self._publisher.open()
        return self._publisher

    def subscriber(
        self,
        recipient: Recipient,
        subscriptions: Sequence[Subscription],
        *,
        name: str,
        session_s: int,
        receive_maximum: int,
    ) -> Subscriber:
        """One for a source named `name`, connecting already; whoever asks for it closes it.

        The connection must be open. With `session_s` the broker keeps the session for so long while nobody is
        connected (MQTT 3.1.1: as long as it likes), and 0 has it begin anew each time.
        """
        login = self._login(name, session_s=session_s, receive_maximum=receive_maximum)
        subscriber = Subscriber(
            recipient,
            login,
            subscriptions,
            source=name,
            kept=KeptFilters(self._kept_at / f"{self._context.name}.{name}.filters", login.client_id),
            connection=self._context.name,
            version=self.version,
            servers=self._servers,
            clock=self._context.clock,
            events=self._context.events,
            released=self._subscribers.discard,
        )
        self._subscribers.add(subscriber)
        subscriber.open()
        return subscriber

    def _login(
        self, suffix: str, *, session_s: int = 0, receive_maximum: int = PACKET_IDS, will: Will | None = None
    ) -> Login:
        assert self._is_open, "open() comes first"
        options = self.options
        return Login(
            f"{self._client_id}-{suffix}",
            username=options.username,
            password=None if options.password is None else options.password.reveal(),
            keepalive_s=round(options.keepalive),
            session_s=session_s,
            receive_maximum=receive_maximum,
            max_packet=int(options.max_packet),
            will=will,
            tls=self._tls,
        )

    def _servers(self) -> Sequence[Server]:
        house = self._house
        if house is None:
            return self.options.servers
        if self._missing is not None:
            raise self._missing
        addresses, login = house.addresses, house.login
        address = (addresses.mqtt5 if self.version == "5" else addresses.mqtt).reachable
        if login is None:
            return (Server(address.host, address.port),)
        return (Server(address.host, address.port, username=login.username, password=login.password),)

    # What is kept and what is read

    @property
    def _kept_at(self) -> Path:
        return self._context.state_dir / "mqtt"

    def _kept_client_id(self) -> str:
        """Sessions belong to client ids: this router's are its own, and the same after a restart."""
        path = self._kept_at / f"{self._context.name}.client-id"
        try:
            return kept_id(path, lambda: f"pointsman-{secrets.token_hex(CLIENT_ID_BYTES)}")
        except RouterError as error:
            raise RouterError(f"connection {self._context.name}: {error}") from error

    def _tls_context(self) -> ssl.SSLContext:
        try:
            return tls_context(self.options.tls or ClientTlsOptions(), self._context.directory)
        except RouterError as error:
            raise RouterError(f"connection {self._context.name}: {error}") from error
