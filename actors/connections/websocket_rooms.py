"""The rooms that a client is in, as templates name them when it connects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import Template

MOST_ROOMS: Final = 100
"""Of one client."""


def rooms_of(opening: Message, templates: Iterable[Template], now_s: float) -> tuple[str, ...]:
    """Each once, in their order; raises `ExpressionError` where they cannot be told, or are too many."""
    rooms = tuple(dict.fromkeys(_names(template.render(opening, now_s) for template in templates)))
    if len(rooms) > MOST_ROOMS:
        raise ExpressionError(f"a client is in {MOST_ROOMS} rooms at most", source="rooms")
    return rooms


def _names(rendered: Iterable[Any]) -> Iterator[str]:
    for value in rendered:
        for name in value if isinstance(value, list | tuple) else (value,):
            if name is not None and name != "":
                yield str(name)
