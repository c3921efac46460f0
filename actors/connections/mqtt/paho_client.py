"""paho's client without its threads and its queues: a transport, and the packets that are not sent all the time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from actors.connections.mqtt import codec311

CHUNK: Final = 256 * 1024
"""Bytes asked of the socket at once."""


class BufferedSocket:
    """A non-blocking socket that reads ahead: paho asks for single bytes, each of which would be a system call."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._chunk = b""
        self._at = 0
        self.is_dry = False
        """The last read found nothing more."""

    def recv(self, size: int) -> bytes:
        at = self._at
        if at >= len(self._chunk):
            try:
                self._chunk = self._raw.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.is_dry = True
                raise
            self._at = at = 0
            if not self._chunk:
                self.is_dry = True
        self._at = at + size
        return self._chunk[at : at + size]

    def send(self, data: bytes | bytearray) -> int:
        return self._raw.send(data)

    def __getattr__(self, name: str) -> Any:
        # What paho and its WebSocket ask for while they connect: timeouts, the certificate, the file number.
        return getattr(self._raw, name)


class PahoClient(Client):
    """MQTT 3.1.1. Packets of the flow of messages, and pings' answers, go to `on_packet`; `put` sends the former.

    What is overridden is private to paho, so its version is pinned; the contract suite of the drivers tells
    where a new version has other ideas.
    """

    def __init__(
        self,
        client_id: str,
        *,
        clean: bool,
        websocket: bool,
        max_packet: int,
        on_packet: Callable[[int, bytes], None],
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
            transport="websockets" if websocket else "tcp",
            reconnect_on_failure=False,
        )
        self._on_packet = on_packet
        self._max_packet = max_packet
        self.buffered: BufferedSocket | None = None

    def put(self, packets: bytes) -> None:
        """Send encoded packets. paho takes them for one, of a kind that it does nothing about when it is sent."""
        self._packet_queue(codec311.PUBACK, packets, 0, 0)

    def _create_socket(self) -> Any:
        try:
            return super()._create_socket()
        except Exception:
            # paho leaves a socket that did not get through a handshake to the garbage collector.
            if self.buffered is not None:
                self.buffered.close()
            raise

    def _create_socket_connection(self) -> Any:
        raw = super()._create_socket_connection()
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw if self._ssl else self._buffer(raw)

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> Any:
        context = self._ssl_context
        assert context is not None, "tls_set_context was called"
        wrapped = context.wrap_socket(tcp_sock, server_hostname=self.host, do_handshake_on_connect=False)
        buffered = self._buffer(wrapped)
        wrapped.settimeout(self.connect_timeout)
        wrapped.do_handshake()
        return buffered

    def _buffer(self, raw: socket.socket) -> BufferedSocket:
        self.buffered = BufferedSocket(raw)
        return self.buffered

    def _packet_read(self) -> MQTTErrorCode:
        code = super()._packet_read()
        if self._in_packet["remaining_length"] > self._max_packet:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return code

    def _packet_handle(self) -> MQTTErrorCode:
        first = self._in_packet["command"]
        kind = first & 0xF0
        if kind != codec311.PINGRESP and not codec311.PUBLISH <= kind <= codec311.PUBCOMP:
            return super()._packet_handle()
        try:
            self._on_packet(first, bytes(self._in_packet["packet"]))
        except ValueError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return MQTTErrorCode.MQTT_ERR_SUCCESS
