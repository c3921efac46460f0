"""What can be wrong with an expression: a mistake in its source, with its place, and a field that is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_TOKEN: Final = re.compile(r"\w+|[^\w\s]+")


class MistakeError(ValueError):
    """A mistake in an expression: `offset` and `length` are its place in the source, in characters."""

    def __init__(self, reason: str, *, offset: int, length: int, suggestion: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.length = length
        self.suggestion = suggestion
        """What to write instead, as "did you mean 'data'?"; None where there is no good guess."""


class MissingFieldError(LookupError):
    """A message lacks a field that an expression needs; the argument says so in words."""


def mistake(source: str, reason: str, offset: int, suggestion: str | None = None) -> MistakeError:
    """A mistake at the word that stands at `offset`."""
    offset = min(offset, len(source))
    token = _TOKEN.match(source, offset)
    length = token.end() - offset if token else 1
    return MistakeError(reason, offset=offset, length=length, suggestion=suggestion)


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """A suggestion, where one of `known` looks like `wrong`."""
    from difflib import get_close_matches

    close = get_close_matches(wrong, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else None
