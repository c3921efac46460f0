"""Text of any origin as a column takes it."""

from __future__ import annotations

from typing import Final

CHARACTERS: Final = 2_000


def storable(text: str, characters: int = CHARACTERS) -> str:
    """`text`, cut after so many characters, with lone surrogates written out: SQLite takes Unicode alone."""
    return text[:characters].encode("utf-8", "backslashreplace").decode()
