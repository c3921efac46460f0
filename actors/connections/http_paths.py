"""Paths with parameters, `/ws/folder/{folder_id}`: which requests they take, and what their parameters are then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

PARAMETER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")

NO_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType({})

NO_NAMES: Final = frozenset({".", ".."})
"""Segments that mean another place in a path, and so no value of a parameter."""

Shape = tuple[str | None, ...]
"""The segments of a path; None where a parameter stands. Patterns of one shape take the same requests."""


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path of which some segments are parameters, each standing for one whole segment that is not empty."""

    shape: Shape
    names: tuple[str, ...]
    """Of the parameters, in their order; none where the path is an exact one."""

    @classmethod
    def parse(cls, path: str) -> PathPattern:
        """Of `/a/{b}`; raises `ValueError` where braces stand for anything else than one whole segment."""
        shape: list[str | None] = []
        names: list[str] = []
        for segment in path.split("/"):
            match = PARAMETER.fullmatch(segment)
            if match is not None:
                names.append(match[1])
            elif "{" in segment or "}" in segment:
                raise ValueError(f"a parameter is a whole segment such as {{name}}, not {segment!r}")
            shape.append(segment if match is None else None)
        if len(set(names)) < len(names):
            raise ValueError(f"a parameter is twice in {path}")
        return cls(tuple(shape), tuple(names))

    @property
    def anonymous(self) -> str:
        """The path without the parameters' names, `/a/{}`: the same for all patterns of one shape."""
        return "/".join("{}" if literal is None else literal for literal in self.shape)


def rank(shape: Shape) -> tuple[bool, ...]:
    """Of two shapes that take a request the one that ranks first has it: where they first differ, a literal wins."""
    return tuple(literal is None for literal in shape)


def values(shape: Shape, segments: Sequence[str]) -> list[str] | None:
    """What the parameters are in a path that was split at its slashes; None where it is another path.

    A value is percent-decoded. One that decodes to a slash, to a dot segment or to what cannot be printed is
    none, so that nobody gets to another place by it.
    """
    if len(segments) != len(shape):
        return None
    found: list[str] = []
    for literal, segment in zip(shape, segments, strict=True):
        if literal is not None:
            if literal != segment:
                return None
            continue
        try:
            value = unquote(segment, errors="strict") if "%" in segment else segment
        except UnicodeDecodeError:
            return None
        if not value or "/" in value or value in NO_NAMES or not value.isprintable():
            return None
        found.append(value)
    return found
