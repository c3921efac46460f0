"""A message as a job, and a job as a message.

A job's data is the payload itself, as JSON, for whoever works it; what a message has beside that is the envelope, one
more field of the job, which nobody else reads. Both together give the message back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Final

from pydantic_core import PydanticSerializationError, from_json, to_json

from actors.core.errors import DecodeError, DeliveryError
from actors.core.message import NO_ATTRIBUTES, NO_HEADERS, Message
from actors.kit import codecs
from actors.kit.counted import parted
from actors.queues.job import Job

DEEPEST: Final = 200
"""A payload may have become deeper on its way than any source takes in."""

_BASE64: Final = "base64"
_HASH_BYTES: Final = 16
_NOTHING: Final[dict[str, Any]] = {}


def pack(message: Message) -> tuple[str, str]:
    """A job's data and its envelope, both JSON; what JSON cannot express is a DeliveryError that no retry changes."""
    data = message.data
    envelope: dict[str, Any] = {
        "id": message.id,
        "source": message.source,
        "type": message.type,
        "time": message.time,
    }
    if message.headers:
        envelope["headers"] = dict(message.headers)
    if message.attributes:
        envelope["attributes"] = dict(message.attributes)
    if isinstance(data, bytes):
        envelope["encoding"] = _BASE64
        packed = f'"{base64.b64encode(data).decode()}"'
    elif isinstance(data, str):
        packed = _json(data)
    else:
        packed = codecs.encode(data)[0].decode()
    return packed, _json(envelope)


def unpack(job: Job, source: str) -> Message:
    """The message of a job, with `source` as its source; raises DecodeError.

    A job without an envelope is somebody else's: its id and its name are the message's id and type, and the name is
    the subject too.
    """
    data = codecs.decode(job.data.encode(), "application/json", "json", max_depth=DEEPEST)
    if job.envelope is None:
        return _foreign(job, source, data)
    envelope = _read(job.envelope)
    if envelope.get("encoding") == _BASE64:
        try:
            data = base64.b64decode(data, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise DecodeError(f"the data of job {job.id} is not base64") from None
    id_, type_, time = envelope.get("id"), envelope.get("type"), envelope.get("time")
    headers, attributes = envelope.get("headers", _NOTHING), envelope.get("attributes", _NOTHING)
    if not (
        isinstance(id_, str)
        and isinstance(type_, str)
        and isinstance(time, int | float)
        and isinstance(headers, dict)
        and isinstance(attributes, dict)
    ):
        raise DecodeError(f"the envelope of job {job.id} is not one that a router made")
    return Message(id_, source, data, headers or NO_HEADERS, type_, time, attributes or NO_ATTRIBUTES)


def undecoded(job: Job, source: str) -> Message:
    """What can be said of a job that does not decode: its data is the text that it has."""
    return _foreign(job, source, job.data)


def job_id(message: Message, sender: str, actor: str) -> str:
    """The same for the same message from the same route to the same actor, so that adding it again adds nothing.

    BullMQ takes no colons and no numbers. What counts up in a message's id does so in that of its job.
    """
    stem, number = parted(message.id)
    # A NUL is in no name of a route or an actor, so no two triples are one text.
    text = f"{sender}\0{actor}\0{stem}"
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_HASH_BYTES).hexdigest()
    return f"pm-{digest}" if number is None else f"pm-{digest}-{number}"


def _foreign(job: Job, source: str, data: Any) -> Message:
    return Message(job.id, source, data, NO_HEADERS, job.name, job.timestamp_ms / 1000, {"subject": job.name})


def _json(value: Any) -> str:
    try:
        return to_json(value).decode()
    except (PydanticSerializationError, ValueError) as error:
        reason = str(error).removeprefix("Error serializing to JSON: ")
        raise DeliveryError(f"not JSON: {reason}", reason="invalid", retryable=False) from error


def _read(envelope: str) -> dict[str, Any]:
    try:
        read = from_json(envelope)
    except ValueError as error:
        raise DecodeError(f"the envelope of a job is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise DecodeError("the envelope of a job is no object")
    return read
