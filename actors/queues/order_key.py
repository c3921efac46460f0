"""What orders a job among others: a key, behind the signature of what made it."""

from __future__ import annotations

import hashlib
from typing import Final

SIGNATURE_BYTES: Final = 6
SIGNATURE_LENGTH: Final = 2 * SIGNATURE_BYTES
"""Characters, of every signature: by that a key is found behind it, also behind one that nobody has any more."""


def signature_of(template: str) -> str:
    """The signature of the keys that this template makes."""
    return hashlib.blake2b(template.encode(), digest_size=SIGNATURE_BYTES).hexdigest()


def shown_key(key: str | None) -> str | None:
    """The key of `Job.key` as people know it; None where nothing orders the job."""
    return None if key is None else key[SIGNATURE_LENGTH:] or None
