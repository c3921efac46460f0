"""Compressed payloads, taken apart within a limit: a small one may unfold into gigabytes."""

from __future__ import annotations

import zlib
from typing import Final

from actors.core.errors import DecodeError
from actors.kit.units import format_size

GZIP: Final = 16 + zlib.MAX_WBITS
ZLIB: Final = zlib.MAX_WBITS
RAW_DEFLATE: Final = -zlib.MAX_WBITS


class UnknownEncodingError(DecodeError):
    """A payload is compressed in a way that is not understood here."""


class UnfoldedTooLargeError(DecodeError):
    """A payload has more than the limit when it is unfolded; at most that much of it was."""


def decompress(payload: bytes, encoding: str, *, limit: int) -> bytes:
    """`payload` without its content encoding: `gzip`, `deflate` or `identity`.

    Raises `UnfoldedTooLargeError` where it would have more than `limit` bytes, `UnknownEncodingError` for
    other encodings and for several on one another, and `DecodeError` for what does not decode.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return payload
    if name in ("gzip", "x-gzip"):
        return _unfold(payload, GZIP, limit)
    if name == "deflate":
        # Meant is zlib's format (RFC 9110, 8.4.1.2); some clients send deflate alone, which never starts so.
        starts_as_zlib = payload[:1] and payload[0] & 0x0F == 8 and int.from_bytes(payload[:2]) % 31 == 0
        return _unfold(payload, ZLIB if starts_as_zlib else RAW_DEFLATE, limit)
    raise UnknownEncodingError(f"the content encoding {encoding!r} is not understood: send gzip or none")


def _unfold(payload: bytes, window_bits: int, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while payload:
        unfolding = zlib.decompressobj(window_bits)
        try:
            part = unfolding.decompress(payload, left + 1)
        except zlib.error as error:
            raise DecodeError(f"not compressed as it says: {error}") from None
        if len(part) > left:
            raise UnfoldedTooLargeError(f"more than {format_size(limit)} when unfolded")
        if not unfolding.eof:
            raise DecodeError("not compressed as it says: it ends too early")
        parts.append(part)
        left -= len(part)
        payload = unfolding.unused_data if window_bits == GZIP else b""  # gzip may have several members
    return b"".join(parts)
