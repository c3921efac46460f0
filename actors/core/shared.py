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
        self._make = dict(make)
        self._made: dict[tuple[type[Any], str], Any] = {}

    def learn(self, kind: type[Any], make: Callable[[str], Any]) -> None:
        """Things of this kind are made like this from now on."""
        self._make[kind] = make

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

    def supersede(self, kind: type[Any], name: str) -> Any:
        """Let the next who asks for it have a new one; returns the old one, which is the caller's to close."""
        return self._made.pop((kind, name), None)

    def reinstate(self, kind: type[Any], name: str, made: Any) -> Any:
        """Undo that; returns the new one, if there is one by now."""
        newer = self._made.pop((kind, name), None)
        if made is not None:
            self._made[kind, name] = made
        return newer

    async def close(self) -> None:
        """Close all of them, the last one first; one that cannot be closed keeps no other open."""
        while self._made:
            (kind, name), made = self._made.popitem()
            try:
                await made.close()
            except Exception:
                logger.exception("%s %s could not be closed", kind.__name__, name)
