"""What several actors share: made when it is first asked for, closed when the router ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger("pointsman")


class Shared:
    """The `Resources` of running actors. What it makes has a coroutine method `close`."""

    def __init__(self, make: Mapping[type[Any], Callable[[str], Any]]) -> None:
        self._make = make
        self._made: dict[tuple[type[Any], str], Any] = {}

    def get(self, kind: type[T], name: str = "") -> T:
        made = self._made.get((kind, name))
        if made is None:
            made = self._made[kind, name] = self._make[kind](name)
        return made  # type: ignore[no-any-return]  # the table pairs a type with what makes it

    def find(self, kind: type[T]) -> T | None:
        """The one that was made already, if it was."""
        return self._made.get((kind, ""))

    def named(self) -> list[tuple[str, Any]]:
        """The connections among those that were made, by their names."""
        return [(name, made) for (_, name), made in self._made.items() if name]

    async def close(self) -> None:
        """Close all of them, the last one first; one that cannot be closed keeps no other open."""
        while self._made:
            (kind, name), made = self._made.popitem()
            try:
                await made.close()
            except Exception:
                logger.exception("%s %s could not be closed", kind.__name__, name)
