"""A message as MQTT carries it: attributes and headers as properties of MQTT 5, and back."""

from __future__ import annotations

import math
from typing import Any, Final

from actors.connections.mqtt.protocol import Arrival
from actors.connections.mqtt.topics import check_reply_topic
from actors.core.errors import DeliveryError
from actors.core.message import NO_HEADERS, Message, new_id
from actors.kit import codecs

IDEMPOTENCY_KEY: Final = "idempotency-key"
"""The user property that carries a message's id."""

IDS: Final = frozenset({IDEMPOTENCY_KEY, "ce-id"})
LONGEST_ID: Final = 255

EXTENSIONS: Final = {
    "ce-subject": "subject",
    "ce-partitionkey": "partitionkey",
    "ce-tenant": "tenant",
    "traceparent": "traceparent",
}
"""User properties that are attributes of a message; all others are its headers."""

CARRIED: Final = {attribute: name for name, attribute in EXTENSIONS.items() if attribute != "subject"}
"""The other way round. The subject is where a message came from; where it goes has a topic of its own."""

NOT_HEADERS: Final = frozenset({"ce-specversion", "ce-source", "ce-time", "ce-type", *IDS, *EXTENSIONS})

HEX: Final = "hex:"
"""Before correlation data that is no text."""

LONGEST_EXPIRY_S: Final = 0xFFFFFFFF


def message_of(arrival: Arrival, source: str, data: Any, time_s: float) -> Message:
    """What has arrived at `time_s`, as a message whose subject is the topic.

    Its id is that of the user property `idempotency-key` or `ce-id`, and a new one where there is none.
    """
    attributes: dict[str, Any] = {"subject": arrival.topic}
    id_, type_, headers = "", "message", None
    for name, value in arrival.user_properties:
        known = name.lower()
        if known in IDS:
            if known == IDEMPOTENCY_KEY or not id_:
                id_ = value
        elif known in EXTENSIONS:
            attributes[EXTENSIONS[known]] = value
        elif known == "ce-type":
            type_ = value
        elif known not in NOT_HEADERS:
            if headers is None:
                headers = {}
            headers[name] = value
    if not id_ or len(id_) > LONGEST_ID or not id_.isprintable():
        id_ = new_id()
    if arrival.content_type is not None:
        attributes["datacontenttype"] = arrival.content_type
    if arrival.response_topic is not None:
        attributes["replyto"] = arrival.response_topic
    if arrival.correlation_data is not None:
        attributes["correlationid"] = _text(arrival.correlation_data)
    if arrival.expiry_s is not None:
        attributes["expirytime"] = time_s + arrival.expiry_s
    return Message(id_, source, data, NO_HEADERS if headers is None else headers, type_, time_s, attributes)


def user_properties(message: Message) -> list[tuple[str, str]]:
    """What travels beside the payload of a message; raises a DeliveryError for text that MQTT cannot carry."""
    properties = [(IDEMPOTENCY_KEY, message.id)]
    if message.type != "message":
        properties.append(("ce-type", message.type))
    for attribute, value in message.attributes.items():
        if attribute in CARRIED:
            properties.append((CARRIED[attribute], str(value)))
    for name, value in message.headers.items():
        if name.lower() not in NOT_HEADERS:
            properties.append((name, value))
    return properties


def check_text(properties: list[tuple[str, str]]) -> None:
    """Raise a DeliveryError where a broker would take a property for malformed, and break the connection."""
    for name, value in properties:
        if "\0" in value or "\0" in name:
            text = f"the user property {name!r} would hold a NUL"
            raise DeliveryError(text, reason="invalid", retryable=False)


def payload(message: Message) -> tuple[bytes, str]:
    """The data in bytes and its media type; bytes, and text that came as text, keep the one they came with."""
    body, content_type = codecs.encode(message.data)
    given = message.attributes.get("datacontenttype")
    if given and isinstance(message.data, (bytes, str)):
        media = str(given).partition(";")[0].strip()
        if isinstance(message.data, bytes):
            content_type = media
        elif media.startswith("text/") or media.endswith("xml"):
            content_type = f"{media}; charset=utf-8"
    return body, content_type


def reply_topic(message: Message) -> str | None:
    """Where an answer to the message is wanted; raises a DeliveryError where that is no topic."""
    topic = message.attributes.get("replyto")
    if topic is not None:
        check_reply_topic(topic)
    return topic


def correlation_data(message: Message) -> bytes | None:
    """What tells an answer to the message from others."""
    found = message.attributes.get("correlationid")
    if found is None:
        return None
    if found.startswith(HEX):
        try:
            return bytes.fromhex(found.removeprefix(HEX))
        except ValueError:
            pass
    return str(found).encode(errors="replace")


def expiry_s(message: Message, now_s: float, longest_s: float | None) -> int | None:
    """How long the broker may keep the message: until it expires, and at most `longest_s`."""
    expires = message.attributes.get("expirytime")
    left_s = longest_s if expires is None else min(expires - now_s, math.inf if longest_s is None else longest_s)
    return None if left_s is None else max(1, min(math.ceil(left_s), LONGEST_EXPIRY_S))


def _text(correlation: bytes) -> str:
    try:
        text = correlation.decode()
    except UnicodeError:
        return HEX + correlation.hex()
    return text if text.isprintable() and not text.startswith(HEX) else HEX + correlation.hex()
