"""The names that an expression sees, and how each is read from a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actors.core.message import Message

NAMES: Final = ("data", "headers", "subject", "key", "tenant", "message", "now")

FIELDS: Final = frozenset({"id", "source", "type", "data", "headers"})
"""Attributes that every message has, read as fields of it."""
EXTENSIONS: Final[Mapping[str, str]] = {
    "subject": "subject",
    "tenant": "tenant",
    "key": "partitionkey",
    "partitionkey": "partitionkey",
    "datacontenttype": "datacontenttype",
    "correlationid": "correlationid",
    "replyto": "replyto",
    "traceparent": "traceparent",
}
"""Attributes that a message may lack, with their key in `Message.attributes`; one that is absent is missing."""
TIMES: Final = frozenset({"time", "expirytime"})
"""Epoch seconds in a message, and aware datetimes in an expression, so that they compare with `now`."""
ATTRIBUTES: Final = tuple(sorted(FIELDS | EXTENSIONS.keys() | TIMES))
"""What can follow `message.`"""


def scope_of(names: Iterable[str], message: Message, now_s: float) -> dict[str, Any]:
    """The values of `names`; those that the message lacks are left out."""
    scope: dict[str, Any] = {}
    for name in names:
        if name in FIELDS:
            scope[name] = getattr(message, name)
        elif name == "now":
            scope[name] = datetime.fromtimestamp(now_s, UTC)
        elif name == "message":
            scope[name] = _whole(message)
        elif (value := message.attributes.get(EXTENSIONS[name])) is not None:
            scope[name] = value
    return scope


def _whole(message: Message) -> dict[str, Any]:
    values = {name: getattr(message, name) for name in FIELDS}
    values["time"] = datetime.fromtimestamp(message.time, UTC)
    for name, attribute in EXTENSIONS.items():
        if (value := message.attributes.get(attribute)) is not None:
            values[name] = value
    if (expirytime := message.expirytime) is not None:
        values["expirytime"] = datetime.fromtimestamp(expirytime, UTC)
    return values
