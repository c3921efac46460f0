"""A Lua script that runs in Redis, under the name that Redis gives it."""

from __future__ import annotations

import hashlib
from typing import Final


class Script:
    """Its text, and the SHA-1 by which Redis knows it once it has run."""

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name: Final = name
        self.text: Final = text
        # Not for security: EVALSHA is by this digest.
        self.sha: Final = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
