"""Many topic filters, and which of them get what is published to a topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FilterTree(Generic[T]):
    """Values by topic filter. Finding costs what the topic has of levels, and not what there is of filters."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._below: dict[str, FilterTree[T]] = {}

    def add(self, filter_: str, value: T) -> None:
        """A filter without `$share`; it may have several values."""
        tree = self
        for level in filter_.split("/"):
            tree = tree._below.setdefault(level, FilterTree())
        tree._values.append(value)

    def matching(self, topic: str) -> Iterator[T]:
        """The values of the filters that match a topic; a level `+` of it stands for any, and so matches `+` and `#`.

        Topics that begin with `$` are matched by name alone (MQTT 5, 4.7.2).
        """
        levels = topic.split("/")
        trees = [self]
        for number, level in enumerate(levels):
            wild = ("+", "#") if number or not topic.startswith("$") else ()
            following = []
            for tree in trees:
                if "#" in wild and "#" in tree._below:
                    yield from tree._below["#"]._values
                following += [tree._below[key] for key in dict.fromkeys((level, *wild[:1])) if key in tree._below]
            trees = following
        for tree in trees:
            yield from tree._values
            if "#" in tree._below:  # `a/#` matches `a` as well
                yield from tree._below["#"]._values
