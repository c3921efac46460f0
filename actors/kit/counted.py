"""Ids that count up: what stands in front of the number, and the number."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 15
"""Digits; a longer number belongs to the text."""


def parted(id: str) -> tuple[str, int | None]:
    """The text and the number that an id ends with, which together are that id and no other one.

    `("job-", 17)` of `job-17`, `("a0", 7)` of `a07`; None where it ends with no digit.
    """
    stem = id.rstrip("0123456789")
    digits = id[len(stem) :].lstrip("0")
    if not digits or len(digits) > LONGEST:
        return id, None
    return id[: -len(digits)], int(digits)
