"""What an answer over HTTP means for the attempt that got it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from actors.core.errors import DeliveryError

OVERLOAD: Final = frozenset({408, 423, 425, 429, 503})
"""Not now: the class that waits for `Retry-After`."""

RETRYABLE: Final = OVERLOAD | {409}
"""Of the 4xx, those that say that the same request may succeed later. 409 is one, since a server that knows
`Idempotency-Key` answers it while an earlier attempt is still in work; 401 and 403 are not: a wrong credential
stays wrong for longer than any retry waits."""

FINAL_5XX: Final = frozenset({501, 505})
LONGEST_RETRY_AFTER_S: Final = 86_400.0
LONGEST_PREVIEW: Final = 200


def failure(
    status: int, headers: Mapping[str, str], body: bytes | None, *, where: str, now_s: float
) -> DeliveryError | None:
    """Why an attempt that was answered has failed; None for 2xx. `where` says who answered."""
    if 200 <= status <= 299:
        return None
    said = f"{where} answered {status}"
    if 300 <= status <= 399:
        location = headers.get("Location", "nowhere")
        return DeliveryError(f"{said}, a redirect to {location}, which is not followed", retryable=False)
    if body and (preview := _preview(body)):
        said = f"{said}: {preview}"
    retryable = status in RETRYABLE if status < 500 else status not in FINAL_5XX
    return DeliveryError(
        said,
        reason="overload" if status in OVERLOAD else "refused",
        retryable=retryable,
        retry_after_s=retry_after(headers.get("Retry-After"), now_s=now_s) if retryable else None,
    )


def retry_after(value: str | None, *, now_s: float) -> float | None:
    """Seconds to wait as `Retry-After` says, in seconds or as a date (RFC 9110, 10.2.3); a day at most.

    None where there is no such header, or none that can be read.
    """
    if value is None:
        return None
    value = value.strip()
    try:
        if value.isascii() and value.isdigit():
            seconds = float(value)
        else:
            moment = parsedate_to_datetime(value)
            seconds = moment.timestamp() - now_s
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else None


def _preview(body: bytes) -> str:
    text = " ".join(body[: 4 * LONGEST_PREVIEW].decode("utf-8", "replace").split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= LONGEST_PREVIEW else f"{text[: LONGEST_PREVIEW - 1]}…"
