"""Keeping secrets out of sight: an option type, masking by name, and URLs without their user part."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

MASK: Final = "***"
_DEEPEST: Final = 100


class Secret(SecretStr):
    """The option type of secrets: shown, logged and dumped as asterisks, read with `reveal`."""

    def reveal(self) -> str:
        """The secret itself."""
        return self.get_secret_value()

    def reveal_bytes(self) -> bytes:
        """The secret itself as UTF-8, for signatures."""
        return self.get_secret_value().encode()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "password", "writeOnly": True}


def redact(value: Any, names: frozenset[str]) -> Any:
    """`value` with what stands under any of `names` masked, at any depth and in any case.

    Nothing is changed in place; parts without such a name are shared with the original. What is nested more
    than 100 deep is masked whole.
    """
    folded = _folded(names)
    return _redacted(value, folded, _DEEPEST) if folded else value


@lru_cache(maxsize=64)
def _folded(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def _redacted(value: Any, names: frozenset[str], depth: int) -> Any:
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool or kind is float or kind is bytes:
        return value
    if kind is dict or isinstance(value, Mapping):
        if not depth:
            return MASK
        changed: dict[Any, Any] = {}
        for key, part in value.items():
            masked = MASK if type(key) is str and key.casefold() in names else _redacted(part, names, depth - 1)
            if masked is not part:
                changed[key] = masked
        return {**value, **changed} if changed else value
    if isinstance(value, list | tuple):
        if not depth:
            return MASK
        parts = [_redacted(part, names, depth - 1) for part in value]
        if all(map(operator.is_, parts, value)):
            return value
        return parts if isinstance(value, list) else tuple(parts)
    return value


# Schemes are bounded, or a long run of letters would take quadratic time.
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_URL: Final = re.compile(rf"(?P<scheme>{_SCHEME})(?P<rest>(?:(?!{_SCHEME})\S)*)")


def redact_url(text: str) -> str:
    """`text`, a URL or any text with URLs in it, with the user part of each masked.

    A password that should have been percent-encoded, and so ends the authority early, is masked as well.
    """
    return _URL.sub(_without_user, text)


def _without_user(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return f"{scheme}{MASK}@{authority.rpartition('@')[2]}{rest[len(authority) :]}"
    port = authority.rpartition("]")[2].partition(":")[2]
    if "@" in rest and port and not port.isdigit():
        return f"{scheme}{MASK}@{rest.rpartition('@')[2]}"
    return match[0]
