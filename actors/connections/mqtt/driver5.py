"""MQTT 5 over TCP and TLS: the codec `mqtt5` on an asyncio protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

import mqtt5

from actors.connections.mqtt import reasons
from actors.connections.mqtt.heartbeat import Heartbeat
from actors.connections.mqtt.protocol import (
    MAX_PACKET,
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
"""For the socket, TLS and the broker's answer together."""
ANSWER_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0

HEADER: Final = 5
"""Bytes of the longest fixed header."""

# These are no `IntEnum`s, whatever the stubs say: they compare with `==`, and nothing else.
SUCCESS: Final = mqtt5.PubAckReasonCode.SUCCESS
MALFORMED: Final = mqtt5.DisconnectReasonCode.MALFORMED_PACKET
OUT_OF_PLACE: Final = mqtt5.DisconnectReasonCode.PROTOCOL_ERROR
TOO_LARGE: Final = mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE
SILENT: Final = mqtt5.DisconnectReasonCode.KEEP_ALIVE_TIMEOUT
QOS: Final = (mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE, mqtt5.QoS.EXACTLY_ONCE)


class Driver5(asyncio.Protocol):
    """One MQTT 5 connection; see `protocol.Driver`."""

    def __init__(self, server: Server, login: Login, peer: Peer, clock: Clock) -> None:
        self._server = server
        self._login = login
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] = self._loop.create_future()
        """CONNACK, then SUBACK and UNSUBACK."""
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._is_up = False
        """Between CONNACK and the end: the peer wants to hear of the latter."""
        self._partial = bytearray()
        self._out: list[bytes] = []
        self._heartbeat = Heartbeat(clock, ping=self._ping, dead=self._dead)
        self._abort: asyncio.TimerHandle | None = None

    # Connecting

    async def connect(self, *, clean: bool) -> Welcome:
        server, login = self._server, self._login
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                name = server.host if server.tls else None
                context = login.tls if server.tls else None
                await self._loop.create_connection(
                    lambda: self, server.host, server.port, ssl=context, server_hostname=name
                )
                self._send(self._connect_packet(clean).write())
                welcome: Welcome = await self._answer
        except TimeoutError:
            raise MqttError(f"{server} did not answer within {CONNECT_TIMEOUT_S:g} s") from None
        return welcome

    def _connect_packet(self, clean: bool) -> mqtt5.ConnectPacket:
        login, will = self._login, self._login.will
        username = login.username if login.username is not None else self._server.username
        password = login.password if login.password is not None else self._server.password
        return mqtt5.ConnectPacket(
            login.client_id,
            username=username,
            password=None if password is None else password.encode(),
            clean_start=clean,
            will=None
            if will is None
            else mqtt5.Will(
                will.topic,
                payload=will.payload,
                qos=QOS[will.qos],
                retain=will.retain,
                will_delay_interval=will.delay_s,
            ),
            keep_alive=login.keepalive_s,
            session_expiry_interval=login.session_s,
            receive_max=login.receive_maximum,
            max_packet_size=login.max_packet,
        )

    def _welcomed(self, packet: mqtt5.ConnAckPacket) -> None:
        code = int(packet.reason_code)
        if code >= REFUSED:
            self._fail(f"{self._server} refuses: {reasons.with_text(code, packet.reason_str)}")
            return
        keepalive_s = packet.server_keep_alive
        self._heartbeat.start(self._login.keepalive_s if keepalive_s is None else keepalive_s)
        limit = packet.max_packet_size
        welcome = Welcome(
            packet.session_present,
            packet.receive_max,
            MAX_PACKET if limit is None else limit,
            int(packet.max_qos),
            packet.retain_available,
        )
        self._is_up = True
        self._answer.set_result(welcome)
        self._peer.connected(welcome)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> Sequence[int]:
        self._answer = self._loop.create_future()
        handling = (mqtt5.RetainHandling.SEND_NEVER, mqtt5.RetainHandling.SEND_ALWAYS)
        filters = [
            mqtt5.TopicFilter(
                each.filter,
                max_qos=QOS[each.qos],
                retain_handling=handling[each.retained],
            )
            for each in subscriptions
        ]
        self._send(mqtt5.SubscribePacket(1, filters).write())
        granted = await self._answered("SUBSCRIBE")
        for each, code in zip(subscriptions, granted, strict=False):
            if code >= REFUSED:
                raise FilterRefusedError(f"subscribing to {each.filter}: {reasons.name(code)}")
        return granted

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        self._answer = self._loop.create_future()
        self._send(mqtt5.UnsubscribePacket(1, list(filters)).write())
        for each, code in zip(filters, await self._answered("UNSUBSCRIBE"), strict=False):
            if code >= REFUSED:
                raise FilterRefusedError(f"unsubscribing from {each}: {reasons.name(code)}")

    async def _answered(self, packet: str) -> Sequence[int]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                codes: Sequence[int] = await self._answer
        except TimeoutError:
            raise MqttError(f"{self._server} did not answer {packet} within {ANSWER_TIMEOUT_S:g} s") from None
        return codes

    # Sending

    def publish(self, packet_id: int, publish: Publish, *, duplicate: bool) -> None:
        properties = publish.user_properties
        self._send(
            mqtt5.PublishPacket(
                publish.topic,
                publish.payload,
                qos=QOS[publish.qos],
                retain=publish.retain,
                packet_id=packet_id or None,
                duplicate=duplicate,
                message_expiry_interval=publish.expiry_s,
                content_type=publish.content_type,
                response_topic=publish.response_topic,
                correlation_data=publish.correlation_data,
                user_properties=list(properties) if properties else None,
            ).write()
        )

    def acknowledge(self, packet_id: int, qos: int) -> None:
        if qos == 1:
            self._send(mqtt5.PubAckPacket(packet_id).write())
        else:
            self._send(mqtt5.PubRecPacket(packet_id).write())

    def release(self, packet_id: int) -> None:
        self._send(mqtt5.PubRelPacket(packet_id).write())

    def complete(self, packet_id: int) -> None:
        self._send(mqtt5.PubCompPacket(packet_id).write())

    def _send(self, packet: bytes) -> None:
        out = self._out
        if not out:
            self._loop.call_soon(self._flush)
        out.append(packet)

    def _flush(self) -> None:
        out = self._out
        if out:
            self._out = []
            if self._transport is not None:
                self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    # Receiving

    def data_received(self, data: bytes) -> None:
        self._heartbeat.heard = True
        partial = self._partial
        if partial:
            partial += data
        view = memoryview(partial or data)
        offset, size = 0, len(view)
        read, arrived, acknowledged = mqtt5.read, self._peer.arrived, self._peer.acknowledged
        while offset < size:
            try:
                packet, length = read(view[offset:])
            except IndexError:
                break
            except ValueError as error:
                self._fail(f"{self._server} sent a malformed packet: {error}", MALFORMED)
                return
            offset += length
            if type(packet) is mqtt5.PublishPacket:
                arrived(
                    Arrival(
                        packet.packet_id or 0,
                        packet.topic,
                        packet.payload,
                        int(packet.qos),
                        packet.retain,
                        packet.duplicate,
                        packet.user_properties,
                        packet.content_type,
                        packet.response_topic,
                        packet.correlation_data,
                        packet.message_expiry_interval,
                    )
                )
            elif type(packet) is mqtt5.PubAckPacket:
                reason = packet.reason_code
                acknowledged(packet.packet_id, 0 if reason is SUCCESS else int(reason))
            else:
                self._handle(packet)
            if self._transport is None:
                return
        if partial:
            view.release()
            del partial[:offset]
        elif offset < size:
            partial += view[offset:]
        if len(partial) > self._login.max_packet + HEADER:
            self._fail(f"{self._server} sent a packet of more than {self._login.max_packet} bytes", TOO_LARGE)

    def _handle(self, packet: mqtt5.Packet) -> None:
        """All that is not sent once a message of QoS 1."""
        peer = self._peer
        match packet:
            case mqtt5.PubRecPacket():
                reason = int(packet.reason_code)
                if reason < REFUSED:
                    peer.received(packet.packet_id, reason)
                else:
                    peer.acknowledged(packet.packet_id, reason)
            case mqtt5.PubRelPacket():
                peer.released(packet.packet_id)
            case mqtt5.PubCompPacket():
                peer.acknowledged(packet.packet_id, int(packet.reason_code))
            case mqtt5.ConnAckPacket() if not self._is_up and not self._answer.done():
                self._welcomed(packet)
            case mqtt5.SubAckPacket() | mqtt5.UnsubAckPacket():
                if not self._answer.done():
                    self._answer.set_result(tuple(int(code) for code in packet.reason_codes))
            case mqtt5.PingRespPacket():
                self._heartbeat.answered = True
            case mqtt5.DisconnectPacket():
                why = reasons.with_text(int(packet.reason_code), packet.reason_str)
                self._fail(f"{self._server} disconnects: {why}")
            case _:
                self._fail(f"{self._server} sent {type(packet).__name__} out of place", OUT_OF_PLACE)

    def _ping(self) -> None:
        self._send(mqtt5.PingReqPacket().write())

    def _dead(self, after_s: float) -> None:
        self._fail(f"{self._server} has not answered for {after_s:g} s", SILENT)

    # The end

    async def close(self) -> None:
        transport, self._is_up = self._transport, False
        self._heartbeat.stop()
        if transport is None:
            return
        if not transport.is_closing():
            self._send(mqtt5.DisconnectPacket().write())
            self._flush()
            transport.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._closed
        except TimeoutError:
            transport.abort()

    def _fail(self, why: str, code: mqtt5.DisconnectReasonCode | None = None) -> None:
        """It ends here; with a `code` the broker is told why."""
        transport = self._transport
        if transport is not None:
            if code is not None and self._is_up:
                self._send(mqtt5.DisconnectPacket(reason_code=code).write())
                self._flush()
            # What is not sent by now may never be, where the broker does not read.
            self._abort = self._loop.call_later(CLOSE_TIMEOUT_S, transport.abort)
            transport.close()
        self._ended(why)

    def _ended(self, why: str) -> None:
        self._transport = None
        self._heartbeat.stop()
        if not self._answer.done():
            self._answer.set_exception(MqttError(why))
            self._answer.exception()  # nobody may be waiting any more
        if self._is_up:
            self._is_up = False
            self._peer.lost(why)

    # Of asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def pause_writing(self) -> None:
        if self._is_up:
            self._peer.writable(False)

    def resume_writing(self) -> None:
        if self._is_up:
            self._peer.writable(True)

    def connection_lost(self, error: Exception | None) -> None:
        if self._abort is not None:
            self._abort.cancel()
        if not self._closed.done():
            self._closed.set_result(None)
        self._ended(f"{self._server} closed the connection{f': {error}' if error is not None else ''}")
