"""The beginning of a payload in its own structure, so that what stands under a name can still be masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MORE: Final = "…"
_DEEPEST: Final = 20
_SHORTEST: Final = 8


def excerpt(value: Any, room: int) -> Any:
    """`value`, or as much of it as has about `room` characters when written out.

    Mappings and lists are cut between their parts, texts and bytes within; each cut shows as `…`. What costs
    is what is kept, however large the rest is.
    """
    return _cut(value, [room], _DEEPEST)


def _cut(value: Any, room: list[int], depth: int) -> Any:
    if isinstance(value, str | bytes):
        length = max(room[0], _SHORTEST)
        room[0] -= min(len(value), length)
        if len(value) <= length:
            return value
        return value[:length] + MORE if isinstance(value, str) else value[:length] + MORE.encode()
    if isinstance(value, Mapping):
        kept: dict[Any, Any] = {}
        for number, (key, part) in enumerate(value.items()):
            if room[0] <= 0 or not depth:
                kept[MORE] = f"{len(value) - number} more"
                break
            room[0] -= len(key) if isinstance(key, str) else _SHORTEST
            kept[key] = _cut(part, room, depth - 1)
        return kept
    if isinstance(value, list | tuple):
        parts: list[Any] = []
        for number, part in enumerate(value):
            if room[0] <= 0 or not depth:
                parts.append(f"{MORE} {len(value) - number} more")
                break
            room[0] -= 1
            parts.append(_cut(part, room, depth - 1))
        return parts
    room[0] -= _SHORTEST
    return value
