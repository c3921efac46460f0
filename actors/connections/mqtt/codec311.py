"""The packets of MQTT 3.1.1 that come with every message, in bytes; the rest is paho's."""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.connections.mqtt.protocol import MAX_PACKET, Publish

PUBLISH: Final = 0x30
PUBACK: Final = 0x40
PUBREC: Final = 0x50
PUBREL: Final = 0x62
PUBCOMP: Final = 0x70
PINGRESP: Final = 0xD0

LONGEST_TEXT: Final = 65_535


class Published(NamedTuple):
    """A PUBLISH packet that came in."""

    packet_id: int
    """0 with QoS 0."""
    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool


def publish(packet_id: int, message: Publish, *, duplicate: bool) -> bytes:
    """A PUBLISH packet; ValueError where the topic or the size is none of MQTT's."""
    topic = message.topic.encode()
    if not topic or len(topic) > LONGEST_TEXT:
        raise ValueError(f"a topic has 1 to {LONGEST_TEXT} bytes, not {len(topic)}")
    qos = message.qos
    number = packet_id.to_bytes(2, "big") if qos else b""
    size = 2 + len(topic) + len(number) + len(message.payload)
    if size > MAX_PACKET:
        raise ValueError(f"a packet has at most {MAX_PACKET} bytes, not {size}")
    first = PUBLISH | (duplicate << 3) | (qos << 1) | message.retain
    length = bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return b"".join((bytes((first,)), length, len(topic).to_bytes(2, "big"), topic, number, message.payload))


def published(first: int, body: bytes) -> Published:
    """What a PUBLISH packet says, of which `first` is the first byte and `body` what follows its length."""
    qos = (first >> 1) & 3
    if qos == 3 or (not qos and first & 8):
        raise ValueError("impossible flags in a PUBLISH")
    end = 2 + int.from_bytes(body[:2], "big")
    start = end + 2 if qos else end
    if len(body) < max(start, 2) or end == 2:
        raise ValueError("a PUBLISH that is too short")
    packet_id = int.from_bytes(body[end:start], "big")
    if qos and not packet_id:
        raise ValueError("a PUBLISH without a packet identifier")
    topic = body[2:end].decode()
    return Published(packet_id, topic, bytes(body[start:]), qos, bool(first & 1), bool(first & 8))


def answer(kind: int, packet_id: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return bytes((kind, 2, packet_id >> 8, packet_id & 255))


def answered(body: bytes) -> int:
    """The packet id of one of those."""
    if len(body) != 2 or not any(body):
        raise ValueError("an acknowledgement without a packet identifier")
    return int.from_bytes(body, "big")
