"""Reason codes by name, and what a refused publish means to a route."""

from __future__ import annotations

from typing import Final

from actors.core.errors import DeliveryError, Reason

NAMES: Final = {
    0x00: "success",
    0x04: "disconnect with will message",
    0x10: "no matching subscribers",
    0x11: "no subscription existed",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x92: "packet identifier not found",
    0x93: "receive maximum exceeded",
    0x94: "topic alias invalid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}
"""Of MQTT 5, section 2.4."""

NO_MATCHING_SUBSCRIBERS: Final = 0x10
REFUSED: Final = 0x80
"""From here on a reason code is a refusal."""

_FOR_GOOD: Final = frozenset({0x87, 0x90, 0x95, 0x99, 0x9A, 0x9B})
"""No repetition of the same publish changes these."""
_OVERLOAD: Final = frozenset({0x89, 0x96, 0x97})


def name(code: int) -> str:
    """`not authorized (0x87)`."""
    known = NAMES.get(code)
    return f"reason 0x{code:02x}" if known is None else f"{known} (0x{code:02x})"


def with_text(code: int, text: str | None) -> str:
    """A reason's name, and what the broker adds to it."""
    return f"{name(code)}: {text}" if text else name(code)


def refusal(code: int, topic: str, *, require_subscriber: bool) -> DeliveryError | None:
    """The failed attempt that an acknowledgement with this reason code is, or None where the broker took it."""
    if code < REFUSED:
        if code != NO_MATCHING_SUBSCRIBERS or not require_subscriber:
            return None
    reason: Reason = "overload" if code in _OVERLOAD else "refused"
    return DeliveryError(f"publishing to {topic}: {name(code)}", reason=reason, retryable=code not in _FOR_GOOD)
