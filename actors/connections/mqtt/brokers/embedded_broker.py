"""The broker that needs no installation: rumqttd, from the package `iotcore`."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import ClassVar, Final

from actors.connections.mqtt.brokers.credentials import Credentials, write_private
from actors.connections.mqtt.brokers.house_broker import Address, Addresses
from actors.connections.mqtt.brokers.options import parse_address
from actors.connections.mqtt.brokers.supervised_broker import SupervisedBroker
from actors.core.errors import RouterError

LARGEST_PACKET_BYTES: Final = 4 * 1024 * 1024
CONNECTIONS: Final = 5000
CONNECT_TIMEOUT_MS: Final = 10_000
"""For a socket to send its CONNECT."""

SEGMENT_BYTES: Final = 2 * 1024 * 1024
SEGMENTS: Final = 16
"""It keeps what was published, by subscribed filter and whether delivered or not, until so much is newer."""

READ_AT_ONCE: Final = 200
"""Packets of one connection that are handled before another's turn."""

_LISTENERS: Final = (("v4", "mqtt"), ("v5", "mqtt5"), ("ws", "websocket"))


class EmbeddedBroker(SupervisedBroker):
    """`embedded:`, which keeps nothing over a restart.

    What clients of it should know: MQTT 3.1.1 and 5 have a port each, and over WebSocket there is 3.1.1 alone. A
    wrong password, another version or a keepalive of 0 closes the connection without CONNACK. A client id must
    not hold `+`, `$`, `#` or `/`. It ignores Receive Maximum.
    """

    program: ClassVar = "the embedded broker"
    death_signal: ClassVar = signal.SIGKILL  # there is nothing that it could save

    def wanted(self) -> dict[str, Address]:
        named = self.options.listen.named()
        free = parse_address("127.0.0.1:0")
        return {"mqtt": named["mqtt"], "mqtt5": named.get("mqtt5", free)} | {
            name: address for name, address in named.items() if name == "websocket"
        }

    def prepare(self, addresses: Addresses, credentials: Credentials) -> Sequence[str]:
        from importlib.util import find_spec

        if find_spec("iotcore") is None:
            raise RouterError(
                f"connection {self.name}: the embedded broker is not there: install the package 'iotcore', "
                "or set url to 'mosquitto:'"
            )
        path = self.directory / "rumqttd.toml"
        write_private(path, configuration(addresses, credentials))
        return ("iotcore", str(path))

    def level(self, line: str) -> str:
        return "warning" if self.is_alarming(line) else "info"

    def is_alarming(self, line: str) -> bool:
        """A thread of it that panics leaves a lock poisoned: no listener of that kind would let anybody in again."""
        return "panicked at" in line


def configuration(addresses: Addresses, credentials: Credentials) -> str:
    """rumqttd's configuration: TOML, with passwords in the clear."""
    lines = [
        "id = 0",
        "[router]",
        "id = 0",
        f"max_connections = {CONNECTIONS}",
        "max_outgoing_packet_count = 200",
        f"max_segment_size = {SEGMENT_BYTES}",
        f"max_segment_count = {SEGMENTS}",
    ]
    for protocol, name in _LISTENERS:
        address: Address | None = getattr(addresses, name)
        if address is None:
            continue
        section = f"{protocol}.{name}"
        lines += [
            f"[{section}]",
            f"name = {_string(name)}",
            f"listen = {_string(str(address))}",
            "next_connection_delay_ms = 0",
            f"[{section}.connections]",
            f"connection_timeout_ms = {CONNECT_TIMEOUT_MS}",
            f"max_payload_size = {LARGEST_PACKET_BYTES}",
            f"max_inflight_count = {READ_AT_ONCE}",
            "dynamic_filters = true",
        ]
        if credentials.logins:
            lines.append(f"[{section}.connections.auth]")
            lines += [f"{_string(login.username)} = {_string(login.password)}" for login in credentials.logins]
    return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own, and what is not printable was refused before."""
    return json.dumps(text, ensure_ascii=False)
