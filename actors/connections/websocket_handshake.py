"""The opening handshake of a WebSocket (RFC 6455, 4.2): whether a request is one, and the headers of the answer."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Final

from actors.connections.http_table import Refusal

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION: Final = "13"
KEY_SIZE: Final = 16

NOT_ASKED: Final = Refusal(
    426, "a WebSocket is here, and nothing else", (("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION))
)
OTHER_VERSION: Final = Refusal(
    426, f"version {VERSION} of the WebSocket protocol is spoken here", (("Sec-WebSocket-Version", VERSION),)
)
NO_KEY: Final = Refusal(400, "Sec-WebSocket-Key is not 16 bytes in base64")

Answer = list[tuple[str, str]]


def answer(headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> Answer | Refusal:
    """The headers of a 101, or why there is none.

    Of the subprotocols that both sides know the first of `subprotocols` is chosen. No extension is taken up, so
    that one frame serves all clients.
    """
    if headers.get("upgrade", "").strip().lower() != "websocket" or "upgrade" not in _tokens(headers, "connection"):
        return NOT_ASKED
    if headers.get("sec-websocket-version", "").strip() != VERSION:
        return OTHER_VERSION
    key = headers.get("sec-websocket-key", "").strip()
    try:
        size = len(b64decode(key.encode("ascii"), validate=True))
    except (UnicodeEncodeError, binascii.Error):
        size = 0
    if size != KEY_SIZE:
        return NO_KEY
    # The protocol asks for SHA-1, and not for secrecy's sake.
    digest = sha1(key.encode() + GUID, usedforsecurity=False).digest()
    given = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", b64encode(digest).decode())]
    offered = _tokens(headers, "sec-websocket-protocol", fold=False)
    if (chosen := next((name for name in subprotocols if name in offered), None)) is not None:
        given.append(("Sec-WebSocket-Protocol", chosen))
    return given


def _tokens(headers: Mapping[str, str], name: str, *, fold: bool = True) -> list[str]:
    tokens = [token.strip() for token in headers.get(name, "").split(",")]
    return [token.lower() for token in tokens] if fold else tokens
