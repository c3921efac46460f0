"""What a sender over HTTP is told of its message: taken in, ended, answered, or not now.

A document of ours ends with a line break, since people read it in a terminal; what a target answers stays as it is.
"""

from __future__ import annotations

import math
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from actors.connections.http_exchange import Exchange
from actors.core.errors import BackPressureError, RouterError
from actors.core.message import Reply, Settlement
from actors.kit import codecs

NOT_DELIVERED: Final = {"dead_lettered": 502, "expired": 504, "dropped": 503}

FRAMING: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of a reply that are about its own way here, and not about ours."""

UNUSABLE: Final = ("undecodable", "invalid")
"""Reasons of a dead letter that are the sender's to mend."""


def accepted(exchange: Exchange, message_id: str, *, status: int = 202) -> None:
    """The message is safe."""
    exchange.respond(status, f'{{"id":{encode_basestring_ascii(message_id)},"status":"accepted"}}\n'.encode())


def settled(exchange: Exchange, message_id: str, settlement: Settlement, *, status: int = 200) -> None:
    """The message has ended; `status` is for the ends that are as the topology wants them."""
    outcome, reason = settlement.outcome, settlement.reason
    failure = NOT_DELIVERED.get(outcome)
    if failure is None:
        body = f'{{"id":{encode_basestring_ascii(message_id)},"outcome":"{outcome}"}}\n'
        exchange.respond(status, body.encode())
        return
    if outcome == "dead_lettered" and reason is not None and reason.startswith(UNUSABLE):
        failure = 422
    detail = f"the message ended as {outcome}" + (f" ({reason})" if reason else "")
    exchange.refuse(failure, detail, id=message_id, outcome=outcome)


def replied(exchange: Exchange, reply: Any) -> None:
    """What the target answered: a `Reply`, or plain data."""
    if not isinstance(reply, Reply):
        reply = Reply(reply)
    try:
        body, content_type = codecs.encode(reply.data) if reply.data is not None else (b"", "text/plain")
        status = reply.status if 200 <= reply.status <= 599 else 502
        headers = [pair for pair in reply.headers.items() if pair[0].lower() not in FRAMING]
        exchange.respond(status, body, reply.content_type or content_type, headers)
    except (RouterError, ValueError) as error:
        exchange.refuse(502, f"the target's answer cannot be sent: {error}")


def not_now(exchange: Exchange, why: str, *, retry_after_s: float = 1.0) -> None:
    """503: nothing was taken in, and later it may be."""
    exchange.refuse(503, why, [("Retry-After", str(max(1, math.ceil(retry_after_s))))])


def not_taken(exchange: Exchange, error: RouterError) -> None:
    """503: a route has no room, or a store cannot write."""
    seconds = error.retry_after_s if isinstance(error, BackPressureError) else 1.0
    not_now(exchange, f"not taken in: {error}", retry_after_s=seconds)
