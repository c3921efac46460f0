"""Frames from a server to its clients: unmasked and whole, so that the same bytes serve any number of them."""

from __future__ import annotations

import struct
from typing import Any, Final

from actors.kit import codecs

TEXT: Final = 0x81
"""The first byte of a text message in one frame (RFC 6455, 5.2)."""
BINARY: Final = 0x82
PONG: Final = 0x8A

GOING_AWAY: Final = 1001
INTERNAL_ERROR: Final = 1011
RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
"""Codes that a connection is closed with (RFC 6455, 7.4.1, and IANA's registry)."""

SHORT: Final = 126
LONG: Final = 1 << 16


def encoded(data: Any) -> bytes:
    """`data` as one frame: bytes as a binary message, text as text, all else as JSON; raises a `DeliveryError`."""
    payload, _ = codecs.encode(data)
    return frame(BINARY if isinstance(data, bytes) else TEXT, payload)


def frame(first: int, payload: bytes) -> bytes:
    """A frame with this first byte."""
    size = len(payload)
    if size < SHORT:
        return bytes((first, size)) + payload
    if size < LONG:
        return struct.pack("!BBH", first, SHORT, size) + payload
    return struct.pack("!BBQ", first, SHORT + 1, size) + payload
