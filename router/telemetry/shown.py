"""Values as they may be shown: redacted, expressible in JSON, free of what a terminal would obey."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final

from actors.kit.excerpt import MORE, excerpt
from actors.kit.secrets import MASK, redact_url

PREVIEW_WIDTH: Final = 80
DEEPEST: Final = 100
LONGEST_REPR: Final = 500
MOST_BITS: Final = 1024
"""Of an integer that is written out; turning a longer one into digits takes quadratic time."""


class Redaction:
    """Masks what stands under certain names, in any case and at any depth."""

    __slots__ = ("_names",)

    def __init__(self, names: tuple[str, ...] | frozenset[str] = ()) -> None:
        self._names = frozenset(name.casefold() for name in names)

    def hides(self, name: object) -> bool:
        return isinstance(name, str) and name.casefold() in self._names

    def plain(self, value: Any) -> Any:
        """`value` in the types of JSON, masked; nothing is changed in place.

        Bytes become text where they are UTF-8, else `base64:…`; NaN and the infinities become text; what is
        nested deeper than 100 is masked whole; what JSON has no form for is shown as Python would.
        """
        return self._plain(value, DEEPEST)

    def preview(self, value: Any, width: int = PREVIEW_WIDTH) -> str:
        """The beginning of `value` in one line of at most `width` characters, masked.

        The cost depends on `width` and not on how large the value is.
        """
        cut = excerpt(value, width)
        if isinstance(cut, bytes):
            cut = plain_scalar(cut)
        text = cut if isinstance(cut, str) else json.dumps(self.plain(cut), ensure_ascii=False)
        text = printable(text[: width + 1])
        return text if len(text) <= width else text[: width - 1] + MORE

    def _plain(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            if not depth:
                return MASK
            return {
                str(plain_key(key)): MASK if self.hides(key) else self._plain(part, depth - 1)
                for key, part in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(part, depth - 1) for part in value] if depth else MASK
        return plain_scalar(value)


def plain_scalar(value: Any) -> Any:
    """What holds no other values, in the types of JSON."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= MOST_BITS else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return f"base64:{b64encode(raw).decode('ascii')}"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    try:
        return repr(value)[:LONGEST_REPR]
    except Exception:
        return f"<{type(value).__name__}>"


def plain_key(key: Any) -> Any:
    """A mapping's key as text, or as a scalar that becomes text."""
    return key if isinstance(key, str) else plain_scalar(key)


def printable(text: str, keep: str = "") -> str:
    """`text` with what a terminal would obey or could hide behind replaced, apart from `keep`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else " " if char in "\n\r\t" else "�" for char in text)


def without_credentials(text: str) -> str:
    """`text` with the user part of every URL in it masked."""
    return redact_url(text) if "://" in text else text
