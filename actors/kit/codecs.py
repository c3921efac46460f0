"""Payloads: bytes into `data` as a source demands, and `data` into bytes with their content type."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from pydantic_core import PydanticSerializationError, from_json, to_json

from actors.core.errors import DecodeError, DeliveryError

Decode = Literal["auto", "json", "text", "bytes", "form"]
"""How a source turns its payload into `data`."""

MAX_DEPTH: Final = 64
MAX_FORM_FIELDS: Final = 1000
CONTENT_TYPES: Final = 256
"""So many are remembered with what they mean: mostly the same ones come again."""

_Kind = Literal["json", "text", "bytes", "form", "unknown"]
_PLACE: Final = re.compile(r"(?P<what>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_BOM: Final = codecs.BOM_UTF8
# To look for one byte costs next to nothing, and `b"NaN" in` twice as much as the encoding where there are many a's.
_N: Final = ord("N")
_I: Final = ord("I")
_NAN: Final = re.compile(rb"NaN")
_BRACKET: Final = ord("[")
# Python's own codecs beside the charsets: some take quadratic time.
_NOT_FOR_STRANGERS: Final = frozenset(
    {"punycode", "idna", "unicode-escape", "raw-unicode-escape", "utf-7", "undefined", "mbcs", "oem"}
)


def decode(payload: bytes, content_type: str | None = None, how: Decode = "auto", *, max_depth: int = MAX_DEPTH) -> Any:
    """`payload` as `data`, or a DecodeError that says what is wrong and where.

    `auto` goes by the content type: JSON (`application/json` and `+json`), text, forms and octet streams; of
    any other, and without one, it takes what parses as JSON, then what is UTF-8, then the bytes. Text is
    UTF-8 unless the content type has a charset. In JSON the last of duplicate keys wins, NaN and Infinity are
    refused, and so is what is nested deeper than `max_depth` (at most 200). A form gives a mapping of text,
    or of lists where a name repeats.
    """
    kind: _Kind = _kind(content_type) if how == "auto" else how
    if kind == "json":
        return _json(payload, content_type, max_depth)
    if kind == "text":
        return _text(payload, content_type, "text")
    if kind == "form":
        return _form(payload, content_type)
    if kind == "bytes":
        return payload
    return _whatever(payload, max_depth)


def encode(data: Any) -> tuple[bytes, str]:
    """`data` in bytes, and their content type: bytes as they are, text as UTF-8, all else as compact JSON.

    What JSON cannot express (NaN, objects of a program's own) is a DeliveryError that no retry can change.
    """
    if isinstance(data, bytes):
        return data, "application/octet-stream"
    if isinstance(data, str):
        try:
            return data.encode(), "text/plain; charset=utf-8"
        except UnicodeError as error:
            raise DeliveryError(f"not text: {error}", reason="invalid", retryable=False) from error
    try:
        encoded = to_json(data, fallback=_expressible)
        if (_N in encoded and _NAN.search(encoded)) or (_I in encoded and b"Infinity" in encoded):
            json.dumps(json.loads(encoded), allow_nan=False)  # the letters may stand in a text
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix("Error serializing to JSON: ").removeprefix("ValueError: ")
        raise DeliveryError(f"not JSON: {reason}", reason="invalid", retryable=False) from error
    return encoded, "application/json"


def _expressible(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{type(value).__name__} has no form in JSON")


@lru_cache(CONTENT_TYPES)
def _kind(content_type: str | None) -> _Kind:
    if content_type is None:
        return "unknown"
    media = content_type.partition(";")[0].strip().lower()
    if media == "application/json" or media.endswith("+json"):
        return "json"
    if media == "application/x-www-form-urlencoded":
        return "form"
    if media.startswith("text/"):
        return "text"
    if media == "application/octet-stream":
        return "bytes"
    return "unknown"


def _whatever(payload: bytes, max_depth: int) -> Any:
    payload = payload.removeprefix(_BOM)
    try:
        data = from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        if _too_deep(error):
            raise _depth_error(max_depth, None) from None
        try:
            return payload.decode()
        except UnicodeError:
            return payload
    _check_depth(payload, data, max_depth, None)
    return data


def _json(payload: bytes, content_type: str | None, max_depth: int) -> Any:
    source: bytes | str = payload.removeprefix(_BOM)
    if content_type is not None and _charset(content_type) != "utf-8":
        source = _text(payload, content_type, "JSON")
    try:
        data = from_json(source, allow_inf_nan=False)
    except ValueError as error:
        if _too_deep(error):
            raise _depth_error(max_depth, content_type) from None
        if isinstance(source, bytes):
            _text(source, content_type, "JSON")  # where the bytes are at fault, that says more
        match = _PLACE.fullmatch(str(error))
        reason = f"line {match['line']}, column {match['column']}: {match['what']}" if match else str(error)
        raise DecodeError(f"not JSON: {reason}", content_type=content_type) from None
    _check_depth(source, data, max_depth, content_type)
    return data


def _too_deep(error: ValueError) -> bool:
    return str(error).startswith("recursion limit exceeded")


def _depth_error(max_depth: int, content_type: str | None) -> DecodeError:
    return DecodeError(f"JSON nested deeper than {max_depth}", content_type=content_type)


def _check_depth(source: bytes | str, data: Any, max_depth: int, content_type: str | None) -> None:
    # Most payloads have too few brackets to be deep, and many none but the first.
    if isinstance(source, bytes):
        if _BRACKET not in source and source.find(b"{", 1) < 0:
            return
        brackets = source.count(b"[") + source.count(b"{")
    else:
        brackets = source.count("[") + source.count("{")
    if brackets <= max_depth:
        return
    level = [data] if isinstance(data, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise _depth_error(max_depth, content_type)
        level = [
            part
            for container in level
            for part in (container.values() if type(container) is dict else container)
            if type(part) is dict or type(part) is list
        ]


@lru_cache(CONTENT_TYPES)
def _charset(content_type: str | None) -> str:
    match = _CHARSET.search(content_type or "")
    if match is None:
        return "utf-8"
    try:
        found = codecs.lookup(match[1])
    except (LookupError, ValueError):
        found = None
    if found is None or not found._is_text_encoding or found.name in _NOT_FOR_STRANGERS:
        raise DecodeError(f"unknown charset {match[1]!r}", content_type=content_type)
    return found.name


def _text(payload: bytes, content_type: str | None, what: str) -> str:
    charset = _charset(content_type)
    try:
        return payload.removeprefix(_BOM).decode(charset) if charset == "utf-8" else payload.decode(charset)
    except UnicodeDecodeError as error:
        before = payload[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise DecodeError(
            f"not {what}: line {line}, byte {column}: 0x{payload[error.start]:02x} is not {charset}",
            content_type=content_type,
        ) from None
    except UnicodeError as error:
        raise DecodeError(f"not {what}: {error}", content_type=content_type) from None


def _form(payload: bytes, content_type: str | None) -> dict[str, str | list[str]]:
    charset = _charset(content_type)
    try:
        pairs = parse_qsl(
            payload.decode(charset),
            keep_blank_values=True,
            encoding=charset,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError as error:
        reason = str(error) if not isinstance(error, UnicodeError) else f"it is not {charset}"
        raise DecodeError(f"not a form: {reason}", content_type=content_type) from None
    form: dict[str, str | list[str]] = {}
    for name, value in pairs:
        earlier = form.get(name)
        if earlier is None:
            form[name] = value
        elif isinstance(earlier, list):
            earlier.append(value)
        else:
            form[name] = [earlier, value]
    return form
