"""Asks a broker whether it takes connections: one CONNECT, and its answer."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Final, Literal

from actors.connections.mqtt.brokers.house_broker import Address, Addresses, Login

Level = Literal[4, 5]
"""MQTT 3.1.1 and MQTT 5, as CONNECT numbers them."""

CLIENT_ID: Final = "pointsman-probe-{}"
"""One for each listener: the embedded broker mixes two connections up that have the same on two of its ports."""
KEEPALIVE_S: Final = 30

CONNECT: Final = 0x10
CONNACK: Final = 0x20

CLEAN_SESSION: Final = 0x02
PASSWORD: Final = 0x40
USERNAME: Final = 0x80

BINARY_FRAME: Final = 0x82
MASKED: Final = 0x80
EXTENDED: Final = 126
LONGEST_HEAD: Final = 8192


class NotReadyError(Exception):
    """A broker does not take connections; the message says how it answered."""


async def probe(addresses: Addresses, login: Login | None, *, timeout_s: float, websocket: bool = True) -> None:
    """Return once every listener has answered a CONNECT; raises `NotReadyError`, also where that takes too long."""
    asked: list[tuple[Address, Level, bool]] = [(addresses.mqtt, 4, False), (addresses.mqtt5, 5, False)]
    if websocket and addresses.websocket is not None:
        asked.append((addresses.websocket, 4, True))
    for address, level, framed in asked:
        try:
            async with asyncio.timeout(timeout_s):
                await _ask(address.reachable, level, login, framed=framed)
        except TimeoutError:
            raise NotReadyError(f"no answer on {address} within {timeout_s:g} s") from None
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise NotReadyError(f"no answer on {address}: {error or 'closed'}") from error


async def _ask(address: Address, level: Level, login: Login | None, *, framed: bool) -> None:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        if framed:
            await _upgrade(reader, writer, address)
        packet = connect_packet(level, login, client_id=CLIENT_ID.format("websocket" if framed else level))
        writer.write(frame(packet) if framed else packet)
        answer = await reader.readexactly(6 if framed else 4)
        kind, code = (answer[2], answer[5]) if framed else (answer[0], answer[3])
        if kind != CONNACK or code:
            raise NotReadyError(f"{address} answered CONNECT with {answer.hex()}")
    finally:
        # Without DISCONNECT: the embedded broker would take the next connection, whoever's it is, for this one.
        writer.close()


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /mqtt HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if len(head) > LONGEST_HEAD or b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise NotReadyError(f"{address} speaks no WebSocket: {head[:80]!r}")


def connect_packet(level: Level, login: Login | None, *, client_id: str) -> bytes:
    """CONNECT for a clean session (MQTT 3.1.1 and 5, section 3.1)."""
    flags = CLEAN_SESSION
    body = b"\x00\x04MQTT" + bytes([level])
    payload = _text(client_id)
    if login is not None:
        flags |= USERNAME | PASSWORD
        payload += _text(login.username) + _text(login.password)
    properties = b"\x00" if level == 5 else b""
    body += bytes([flags]) + KEEPALIVE_S.to_bytes(2, "big") + properties + payload
    return bytes([CONNECT]) + _length(len(body)) + body


def frame(packet: bytes) -> bytes:
    """One binary WebSocket frame as a client sends it, masked (RFC 6455, 5.2)."""
    mask = os.urandom(4)
    size = len(packet)
    head = bytes([MASKED | size]) if size < EXTENDED else bytes([MASKED | EXTENDED]) + size.to_bytes(2, "big")
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(packet))
    return bytes([BINARY_FRAME]) + head + mask + masked


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _length(size: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    encoded = bytearray()
    while True:
        size, low = divmod(size, 128)
        encoded.append(low | (128 if size else 0))
        if not size:
            return bytes(encoded)
