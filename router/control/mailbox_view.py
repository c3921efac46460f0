"""Messages as the API shows them: a line each for a mailbox, and one of them whole."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Final, get_args

from actors.core.message import Message, Reply
from router.control.lanes import Entry, Lane, age_s, next_target
from router.routing.delivery import Delivery
from router.telemetry.shown import Redaction, without_credentials

View = dict[str, Any]

LANES: Final[tuple[Lane, ...]] = get_args(Lane)

MEASURED_BYTES: Final = 8 * 1024 * 1024
"""When this much was packed to see how large it is, the sizes of the rest stay unknown: packing takes time."""


class Scales:
    """Says how large messages are, until that has taken long enough."""

    def __init__(self, budget_bytes: int = MEASURED_BYTES) -> None:
        self._left = budget_bytes

    def size(self, message: Message) -> int | None:
        """Bytes of the message as msgpack; None where nobody knows."""
        if self._left <= 0:
            return None
        try:
            size = len(message.to_bytes())
        except (TypeError, ValueError, OverflowError, RecursionError):
            return None
        self._left -= size
        return size


def mailbox_view(
    name: str, entries: Iterable[Entry], *, limit: int, redaction: Redaction, now: float, wall: float
) -> View:
    """What is where, oldest first; at most `limit` of each lane, and how many there are of each."""
    view: View = {"name": name}
    counts: dict[str, int] = dict.fromkeys(LANES, 0)
    shown: dict[str, list[View]] = {lane: [] for lane in LANES}
    scales = Scales()
    for entry in entries:
        counts[entry.lane] += 1
        if counts[entry.lane] <= limit:
            shown[entry.lane].append(message_view(entry, redaction=redaction, scales=scales, now=now, wall=wall))
    return view | shown | {"counts": counts}


def message_view(entry: Entry, *, redaction: Redaction, scales: Scales, now: float, wall: float) -> View:
    """One message in a line."""
    envelope, message = entry.envelope, entry.message
    delivery = envelope if isinstance(envelope, Delivery) else None
    details = delivery.details if delivery is not None else None
    key = details.key if details is not None and details.key is not None else message.key if message else None
    return {
        "id": message.id if message else None,
        "key": key,
        "age_s": age_s(envelope, now=now, wall=wall),
        "attempt": delivery.attempt if delivery is not None else 1,
        "size": scales.size(message) if message else None,
        "preview": redaction.preview(message.data) if message else f"<{type(envelope.message).__name__}>",
        "route": delivery.route.name if delivery is not None and delivery.route is not None else None,
        "target": next_target(envelope),
        "state": entry.state,
        "on_hold": details is not None and details.held,
        "retry_in_s": max(0.0, entry.due - now) if entry.due is not None else None,
        "last_error": without_credentials(": ".join(details.last)) if details is not None and details.last else None,
    }


def whole_message(message: Message, redaction: Redaction) -> View:
    """All of a message, as CloudEvents' JSON format has it, with its headers beside."""
    return {
        **redaction.plain(message.attributes),
        "id": message.id,
        "source": message.source,
        "type": message.type,
        "time": message.time,
        "headers": redaction.plain(message.headers),
        **data_members(message.data, redaction),
    }


def without_preview(line: View) -> View:
    """A line about a message, to stand beside the message itself."""
    return {name: value for name, value in line.items() if name != "preview"}


def reply_view(reply: Any) -> View | None:
    """What a target answered, for whoever asked: nothing is masked."""
    if reply is None:
        return None
    if not isinstance(reply, Reply):
        reply = Reply(reply)
    return {
        **data_members(reply.data, Redaction()),
        "status": reply.status,
        "headers": dict(reply.headers),
        "content_type": reply.content_type,
    }


def data_members(data: Any, redaction: Redaction) -> View:
    """`data`, or `data_base64` for bytes that are no UTF-8."""
    if isinstance(data, bytes):
        try:
            return {"data": data.decode()}
        except UnicodeDecodeError:
            return {"data_base64": b64encode(data).decode("ascii")}
    return {"data": redaction.plain(data)}
