"""Values as PostgreSQL reads them: each as text, in the form of its column's type."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from actors.core.errors import DeliveryError

REPLACEMENT: Final = "\ufffd"
"""What stands for a NUL and for half a surrogate pair, neither of which PostgreSQL can keep."""

NAMESPACE: Final = uuid.UUID("6f6a4a52-3f0e-5c0a-9a55-6d2d4d8f2b10")
"""Of the UUIDs that are made of other text (version 5)."""

_UNKEPT: Final = re.compile("[\x00\ud800-\udfff]")
_WHOLE: Final = frozenset(("smallint", "integer", "bigint"))
_TIMES: Final = frozenset(("timestamp with time zone", "timestamp without time zone"))
_JSON: Final = frozenset(("json", "jsonb"))


def parameter(value: Any, kind: str) -> str | None:
    """`value` as the text that a column of the type `kind` (as format_type calls it) reads; None is NULL.

    Text is sent as it is, and the server says what it makes of it. What cannot be expressed is a DeliveryError
    that no retry can change.
    """
    if value is None:
        return None
    if kind in _JSON:
        return _json(value)
    if kind.endswith("[]") and isinstance(value, list | tuple):
        return _array(value, kind[:-2])
    if kind == "bytea":
        return "\\x" + (value if isinstance(value, bytes) else _text(value).encode()).hex()
    if kind == "uuid":
        return _uuid(_text(value))
    if kind in _TIMES or kind == "date":
        return _time(value, kind)
    if kind in _WHOLE:
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
    return _text(value)


def clean(text: str) -> str:
    """Text that can be kept: with � for what cannot."""
    return _UNKEPT.sub(REPLACEMENT, text)


def uuid_of(text: str) -> str:
    """The UUID that is made of a text: the same for the same text."""
    return str(uuid.uuid5(NAMESPACE, clean(text)))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return clean(value.decode("utf-8", "replace"))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return _json(value)
    return clean(str(value))


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return uuid_of(text)


def _time(value: Any, kind: str) -> str:
    """A number is epoch seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            moment = datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise _invalid(f"{value} is no time: {error}") from error
        return moment.date().isoformat() if kind == "date" else moment.isoformat()
    return _text(value)


def _json(value: Any) -> str:
    """Bytes become text where they are UTF-8, and `{"base64": …}` otherwise; NaN and Infinity become text."""
    try:
        encoded = _encoded(value)
        if b"\\u0000" in encoded:
            encoded = _encoded(_cleaned(value))
    except (PydanticSerializationError, UnicodeError):
        # Half a surrogate pair, or bytes: what the encoder does not take as it is.
        try:
            encoded = _encoded(_cleaned(value))
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise _invalid(f"not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _invalid(f"not JSON: {error}") from error
    return encoded.decode()


def _encoded(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="strings", bytes_mode="utf8", fallback=_expressible)


def _expressible(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes):
        try:
            return clean(value.decode())
        except UnicodeError:
            from base64 import b64encode

            return {"base64": b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(part) for part in value]
    return value


def _array(values: list[Any] | tuple[Any, ...], kind: str) -> str:
    """PostgreSQL's own notation, every element in quotes (documentation, 8.15.6)."""
    parts = []
    for each in values:
        if isinstance(each, list | tuple) and kind not in _JSON:
            parts.append(_array(each, kind))
            continue
        text = parameter(each, kind)
        parts.append("NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "{" + ",".join(parts) + "}"


def _invalid(text: str) -> DeliveryError:
    return DeliveryError(text, reason="invalid", retryable=False)
