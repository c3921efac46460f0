"""Looks on between the router and its broker: what they publish and acknowledge, by the bytes on the wire."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator

import mqtt5

from tests.faults.account import Account, Received


class Wire:
    """The MQTT 5 packets of connections, out of the pieces in which their bytes pass."""

    def __init__(self) -> None:
        self._partial: defaultdict[tuple[int, bool], bytes] = defaultdict(bytes)

    def packets(self, connection: int, is_forth: bool, data: bytes) -> Iterator[object]:
        """Those that are whole with these bytes."""
        rest = memoryview(self._partial[connection, is_forth] + data)
        while rest:
            try:
                packet, length = mqtt5.read(rest)
            except IndexError:
                break
            rest = rest[length:]
            yield packet
        self._partial[connection, is_forth] = bytes(rest)


class Witness:
    """A tap for `tests.tcp_proxy`. A broker's word for it would be lost with the broker."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, tuple[str, int]] = {}
        """Of each message that the router sent PUBACK for: its id, its key and its number."""
        self._wire = Wire()
        self._sent: dict[tuple[int, int], dict[str, str | int]] = {}

    def __call__(self, connection: int, is_forth: bool, data: bytes) -> None:
        for packet in self._wire.packets(connection, is_forth, data):
            if isinstance(packet, mqtt5.PublishPacket) and not is_forth and packet.packet_id:
                self._sent[connection, packet.packet_id] = json.loads(packet.payload)
            elif isinstance(packet, mqtt5.PubAckPacket) and is_forth:
                body = self._sent.pop((connection, packet.packet_id))
                self.acknowledged[str(body["id"])] = str(body["key"]), int(body["sequence"])


class Publications:
    """A tap that writes down what the router publishes, before the broker has it.

    So what the router sends elsewhere behind a PUBACK is written down later than what that was for. A subscriber
    cannot tell: what it has from the broker and what came by HTTP behind it reach this process at the same time.
    """

    def __init__(self, account: Account) -> None:
        self.acknowledged: set[str] = set()
        """Ids of what the broker has acknowledged."""
        self._account = account
        self._wire = Wire()
        self._sent: dict[tuple[int, int], str] = {}

    def __call__(self, connection: int, is_forth: bool, data: bytes) -> None:
        for packet in self._wire.packets(connection, is_forth, data):
            if isinstance(packet, mqtt5.PublishPacket) and is_forth and packet.packet_id:
                body = json.loads(packet.payload)
                key = dict(packet.user_properties).get("idempotency-key", "")
                received = Received(
                    body["id"], body["key"], body["sequence"], key, time.monotonic(), body.get("version", 0)
                )
                self._account.received.append(received)
                self._sent[connection, packet.packet_id] = received.id
            elif isinstance(packet, mqtt5.PubAckPacket) and not is_forth:
                self.acknowledged.add(self._sent.pop((connection, packet.packet_id)))
