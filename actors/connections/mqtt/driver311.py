"""MQTT 3.1.1 over TCP, TLS and WebSocket: paho on the loop, without its network thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from actors.connections.mqtt import codec311, reasons
from actors.connections.mqtt.heartbeat import Heartbeat
from actors.connections.mqtt.paho_client import PahoClient
from actors.connections.mqtt.protocol import (
    Arrival,
    FilterRefusedError,
    Login,
    MqttError,
    Peer,
    Publish,
    Server,
    Subscription,
    Welcome,
)
from actors.connections.mqtt.reasons import REFUSED
from actors.core.clock import Clock

CONNECT_TIMEOUT_S: Final = 5.0
"""For the socket, and then again for the broker's answer."""
ANSWER_TIMEOUT_S: Final = 5.0

WINDOW: Final = 20
"""Publishes that may be unacknowledged. MQTT 3.1.1 lets no broker say how many; with more, mosquitto disconnects."""

TURN: Final = 256
"""Packets that are read before others may run."""

PINGREQ: Final = b"\xc0\x00"


class Driver311:
    """One MQTT 3.1.1 connection; see `protocol.Driver`."""

    def __init__(self, server: Server, login: Login, peer: Peer, clock: Clock) -> None:
        self._server = server
        self._login = login
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] = self._loop.create_future()
        """CONNACK, then SUBACK and UNSUBACK."""
        self._client: PahoClient | None = None
        self._file = -1
        """The socket's number, while the loop watches it."""
        self._is_up = False
        """Between CONNACK and the end: the peer wants to hear of the latter."""
        self._is_stuck = False
        """The socket takes nothing more for now."""
        self._out: list[bytes] = []
        self._heartbeat = Heartbeat(clock, ping=self._ping, dead=self._dead)
        self._without_retained = False

    # Connecting

    async def connect(self, *, clean: bool) -> Welcome:
        server, login = self._server, self._login
        client = self._client = self._make_client(clean)
        # paho connects with a blocking socket. An attempt that is given up ends by itself, at its timeout.
        dial = self._loop.run_in_executor(None, client.connect, server.host, server.port, login.keepalive_s)
        try:
            await asyncio.shield(dial)
        except asyncio.CancelledError:
            dial.add_done_callback(partial(_abandon, client))
            raise
        self._watch(client)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                welcome: Welcome = await self._answer
        except TimeoutError:
            raise MqttError(f"{server} did not answer within {CONNECT_TIMEOUT_S:g} s") from None
        return welcome

    def _make_client(self, clean: bool) -> PahoClient:
        server, login = self._server, self._login
        path = server.websocket_path
        client = PahoClient(
            login.client_id,
            clean=clean,
            websocket=path is not None,
            on_packet=self._packet,
            max_packet=login.max_packet,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if path is not None:
            client.ws_set_options(path)
        if server.tls:
            client.tls_set_context(login.tls)
        username = login.username if login.username is not None else server.username
        password = login.password if login.password is not None else server.password
        if username is not None:
            client.username_pw_set(username, password)
        if login.will is not None:
            will = login.will
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        return client

    def _watch(self, client: PahoClient) -> None:
        """The socket is connected, and from here on the loop's."""
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_answer
        client.on_unsubscribe = self._on_answer
        client.on_disconnect = self._on_disconnect
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_output
        client.on_socket_unregister_write = self._on_output_gone
        found = client.socket()
        assert found is not None, "connected"
        self._file = found.fileno()
        self._loop.add_reader(self._file, self._readable)
        if client.want_write():
            self._write()

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.value >= REFUSED:
            self._ended(f"{self._server} refuses: {reasons.name(reason.value)}")
            return
        welcome = Welcome(flags.session_present, WINDOW)
        self._is_up = True
        self._heartbeat.start(self._login.keepalive_s)
        if not self._answer.done():
            self._answer.set_result(welcome)
        self._peer.connected(welcome)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> Sequence[int]:
        client = self._client
        assert client is not None, "connected"
        self._without_retained = not any(each.retained for each in subscriptions)
        self._answer = self._loop.create_future()
        filters: list[tuple[str, int]] = [(each.filter, each.qos) for each in subscriptions]
        client.subscribe(filters)
        granted = await self._answered("SUBSCRIBE")
        for each, code in zip(subscriptions, granted, strict=False):
            if code >= REFUSED:
                raise FilterRefusedError(f"subscribing to {each.filter}: refused")
        return granted

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        client = self._client
        assert client is not None, "connected"
        self._answer = self._loop.create_future()
        client.unsubscribe(list(filters))
        await self._answered("UNSUBSCRIBE")

    async def _answered(self, packet: str) -> Sequence[int]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                codes: Sequence[int] = await self._answer
        except TimeoutError:
            raise MqttError(f"{self._server} did not answer {packet} within {ANSWER_TIMEOUT_S:g} s") from None
        return codes

    def _on_answer(self, client: Any, userdata: Any, number: int, codes: Any, properties: Any) -> None:
        if not self._answer.done():
            self._answer.set_result(tuple(code.value for code in codes))

    # Sending

    def publish(self, packet_id: int, publish: Publish, *, duplicate: bool) -> None:
        self._send(codec311.publish(packet_id, publish, duplicate=duplicate))

    def acknowledge(self, packet_id: int, qos: int) -> None:
        self._send(codec311.answer(codec311.PUBACK if qos == 1 else codec311.PUBREC, packet_id))

    def release(self, packet_id: int) -> None:
        self._send(codec311.answer(codec311.PUBREL, packet_id))

    def complete(self, packet_id: int) -> None:
        self._send(codec311.answer(codec311.PUBCOMP, packet_id))

    def _ping(self) -> None:
        self._send(PINGREQ)

    def _send(self, packet: bytes) -> None:
        out = self._out
        if not out:
            self._loop.call_soon(self._flush)
        out.append(packet)

    def _flush(self) -> None:
        out, client = self._out, self._client
        if out:
            self._out = []
            if client is not None and self._file >= 0:
                client.put(out[0] if len(out) == 1 else b"".join(out))
                self._write()

    def _on_output(self, client: Any, userdata: Any, sock: Any) -> None:
        """paho has something to send."""
        self._loop.call_soon(self._write)

    def _on_output_gone(self, client: Any, userdata: Any, sock: Any) -> None:
        """paho has sent it; `_write` sees that by itself."""

    def _write(self) -> None:
        client = self._client
        if client is None or self._file < 0:
            return
        client.loop_write()
        is_stuck = self._file >= 0 and client.want_write()
        if is_stuck == self._is_stuck:
            return
        self._is_stuck = is_stuck
        if is_stuck:
            self._loop.add_writer(self._file, self._write)
        elif self._file >= 0:
            self._loop.remove_writer(self._file)
        if self._is_up:
            self._peer.writable(not is_stuck)

    # Receiving

    def _readable(self) -> None:
        client = self._client
        if client is None or client.buffered is None:
            return
        buffered = client.buffered
        self._heartbeat.heard = True
        for _ in range(TURN):
            if self._file < 0:
                return
            buffered.is_dry = False
            client.loop_read()
            if buffered.is_dry:
                return
        self._loop.call_soon(self._readable)

    def _packet(self, first: int, body: bytes) -> None:
        """A packet of the flow of messages, or a ping's answer; raises ValueError where it is malformed."""
        kind, peer = first & 0xF0, self._peer
        if kind == codec311.PUBLISH:
            arrival = Arrival(*codec311.published(first, body))
            if arrival.retain and self._without_retained:
                if arrival.qos:
                    self.acknowledge(arrival.packet_id, arrival.qos)
                return
            peer.arrived(arrival)
        elif kind == codec311.PUBACK or kind == codec311.PUBCOMP:
            peer.acknowledged(codec311.answered(body), 0)
        elif kind == codec311.PUBREC:
            peer.received(codec311.answered(body), 0)
        elif kind == codec311.PINGRESP:
            self._heartbeat.answered = True
        else:
            peer.released(codec311.answered(body))

    # The end

    async def close(self) -> None:
        client, self._is_up = self._client, False
        self._heartbeat.stop()
        if client is not None and self._file >= 0:
            self._flush()
            client.disconnect()
            client.loop_write()
            client._sock_close()  # where it did not take all of that, it would not take more

    def _dead(self, after_s: float) -> None:
        self._fail(f"{self._server} has not answered for {after_s:g} s")

    def _fail(self, why: str) -> None:
        if self._client is not None:
            self._ended(why)
            self._client._sock_close()

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._ended(f"{self._server} closed the connection: {str(reason).lower()}")

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            self._loop.remove_writer(self._file)
            self._file = -1

    def _ended(self, why: str) -> None:
        self._heartbeat.stop()
        if not self._answer.done():
            self._answer.set_exception(MqttError(why))
            self._answer.exception()  # nobody may be waiting any more
        if self._is_up:
            self._is_up = False
            self._peer.lost(why)


def _abandon(client: PahoClient, dialled: asyncio.Future[Any]) -> None:
    """Nobody waits for this connection any more."""
    if not dialled.cancelled():
        dialled.exception()
    client._sock_close()
