"""CloudEvents 1.0 over HTTP: binary mode in headers both ways, structured mode in JSON on its way in.

Attributes that a message has are its own; all others travel as headers named `ce-…`, and so does the event's
`source`, since a message's source is the actor that it came in by. `replyto` is not taken from outside: a
stranger does not choose where an answer goes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from actors.core.errors import DecodeError
from actors.core.message import Message

PREFIX: Final = "ce-"
STRUCTURED: Final = "application/cloudevents+json"
SPECVERSION: Final = "1.0"

_ATTRIBUTES: Final = ("subject", "correlationid", "partitionkey", "traceparent", "tenant", "datacontenttype")
_UNTAKEN: Final = frozenset({"specversion", "id", "type", "expirytime", "replyto", *_ATTRIBUTES})
_NAME: Final = re.compile(r"[a-z0-9]{1,40}")
# In a header: all but printable ASCII, and the space, the quote and the percent sign (HTTP binding, 3.1.3.2).
_ESCAPED: Final = re.compile(r"[^\x21\x23\x24\x26-\x7e]")


@dataclass(frozen=True, slots=True)
class Event:
    """What an event says about itself."""

    id: str
    type: str
    attributes: dict[str, Any] = field(default_factory=dict)
    """As `Message.attributes` has them."""
    headers: dict[str, str] = field(default_factory=dict)
    """The rest, named `ce-…`."""


def from_headers(headers: Mapping[str, str]) -> Event | None:
    """The event of a request in binary mode, or None where it is none; DecodeError for half of one."""
    if "ce-specversion" not in headers:
        return None
    given = {name[len(PREFIX) :]: unquote(value) for name, value in headers.items() if name.startswith(PREFIX)}
    return _event(given)


def from_document(document: Any) -> tuple[Event, Any]:
    """The event and its data of a structured JSON document; DecodeError where it is none."""
    if not isinstance(document, dict):
        raise DecodeError("not a CloudEvent: expected an object", content_type=STRUCTURED)
    given = {
        name: value if isinstance(value, str) else _text(value)
        for name, value in document.items()
        if name not in ("data", "data_base64") and value is not None
    }
    data = document.get("data")
    if (encoded := document.get("data_base64")) is not None:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise DecodeError("not a CloudEvent: data_base64 is not Base64", content_type=STRUCTURED) from None
    return _event(given), data


def to_headers(message: Message) -> dict[str, str]:
    """A message's attributes as the headers of binary mode; its data is the body."""
    given = {
        "specversion": SPECVERSION,
        "id": message.id,
        "source": message.headers.get("ce-source", message.source),
        "type": message.type,
        "time": _timestamp(message.time) if message.time else None,
        "expirytime": _timestamp(message.expirytime) if message.expirytime is not None else None,
    }
    given |= {name: message.attributes.get(name) for name in _ATTRIBUTES if name != "datacontenttype"}
    made = {f"{PREFIX}{name}": _escape(str(value)) for name, value in given.items() if value is not None}
    carried = {name: _escape(value) for name, value in message.headers.items() if name.startswith(PREFIX)}
    return carried | made


def _event(given: Mapping[str, str]) -> Event:
    for name in ("specversion", "id", "source", "type"):
        if not given.get(name):
            raise DecodeError(f"not a CloudEvent: {name} is missing")
    if given["specversion"] != SPECVERSION:
        raise DecodeError(f"a CloudEvent of version {given['specversion']!r}, which is not {SPECVERSION}")
    attributes: dict[str, Any] = {name: given[name] for name in _ATTRIBUTES if given.get(name)}
    if expirytime := given.get("expirytime"):
        attributes["expirytime"] = _epoch_s(expirytime)
    headers = {
        f"{PREFIX}{name}": value for name, value in given.items() if name not in _UNTAKEN and _NAME.fullmatch(name)
    }
    return Event(given["id"], given["type"], attributes, headers)


def _text(value: Any) -> str:
    """Booleans and integers as CloudEvents writes them; there are no other types."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise DecodeError("not a CloudEvent: an attribute is no text, number or boolean", content_type=STRUCTURED)


def _epoch_s(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DecodeError(f"not a CloudEvent: {text[:40]!r} is no timestamp of RFC 3339")
    return moment.timestamp()


def _timestamp(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat().replace("+00:00", "Z")


def _escape(value: str) -> str:
    return _ESCAPED.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), value)
