"""Proofs that a request comes from whom it says: HMAC signatures, bearer tokens and basic credentials.

Everything is compared in constant time, and whatever is malformed is simply not valid: nothing here raises on
what a stranger sent. Signatures are over the raw body, so verify before parsing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

Algorithm = Literal["sha256", "sha384", "sha512"]
"""SHA-1 is left out on purpose."""
Encoding = Literal["hex", "base64"]

_TIMESTAMP: Final = re.compile(r"[0-9]{1,13}", re.ASCII)


def sign_hmac(secret: bytes, body: bytes, algorithm: Algorithm = "sha256", *, encoding: Encoding = "hex") -> str:
    """The signature of `body`, without a prefix; lower case where it is hex."""
    digest = hmac.digest(secret, body, algorithm)
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode("ascii")


def verify_hmac(
    secrets: Sequence[bytes],
    body: bytes,
    given: str,
    *,
    prefix: str = "sha256=",
    encoding: Encoding = "hex",
    algorithm: Algorithm = "sha256",
) -> bool:
    """Whether `given`, a header's value, is the signature of `body` under one of `secrets`.

    Several secrets let one be exchanged for another without a gap. Hex may be in either case. Without secrets,
    and for an empty one, nothing is valid.
    """
    signature = given.strip()
    if not signature.startswith(prefix):
        return False
    signature = signature[len(prefix) :]
    if encoding == "hex":
        signature = signature.lower()
    candidate = signature.encode("utf-8", "replace")
    valid = False
    for secret in secrets:
        wanted = sign_hmac(secret, body, algorithm, encoding=encoding).encode("ascii")
        valid |= hmac.compare_digest(wanted, candidate) and bool(secret)
    return valid


def sign_timestamped_hmac(
    secret: bytes,
    body: bytes,
    timestamp: str,
    algorithm: Algorithm = "sha256",
    *,
    encoding: Encoding = "hex",
) -> str:
    """The signature of `timestamp.body`, as Chatwoot and others make it, without a prefix."""
    return sign_hmac(secret, _timestamped(body, timestamp), algorithm, encoding=encoding)


def verify_timestamped_hmac(
    secrets: Sequence[bytes],
    body: bytes,
    given: str,
    timestamp: str,
    *,
    now_s: float,
    tolerance_s: float = 300.0,
    prefix: str = "sha256=",
    encoding: Encoding = "hex",
    algorithm: Algorithm = "sha256",
) -> bool:
    """Whether `given` signs `timestamp.body`, with a timestamp (epoch seconds) within `tolerance_s` of now.

    A timestamp from the future is as stale as one from the past. It is signed as it was sent: plain digits.
    """
    if _TIMESTAMP.fullmatch(timestamp) is None or abs(now_s - int(timestamp)) > tolerance_s:
        return False
    return verify_hmac(
        secrets,
        _timestamped(body, timestamp),
        given,
        prefix=prefix,
        encoding=encoding,
        algorithm=algorithm,
    )


def _timestamped(body: bytes, timestamp: str) -> bytes:
    return timestamp.encode("ascii") + b"." + body


def verify_bearer(tokens: Sequence[str], header: str | None) -> bool:
    """Whether an `Authorization` header carries one of `tokens`; an empty token is never valid."""
    given = _credentials(header, "bearer")
    valid = False
    for token in tokens:
        valid |= same(token, given or "") and bool(token)
    return valid and given is not None


def verify_basic(users: Mapping[str, str], header: str | None) -> str | None:
    """The name of the user whose password an `Authorization` header carries, or None.

    Looking up an unknown user takes as long as a wrong password does.
    """
    given = _credentials(header, "basic")
    try:
        decoded = base64.b64decode(given or "", validate=True).decode("utf-8")
    except ValueError:
        return None
    name, colon, password = decoded.partition(":")
    valid: str | None = None
    for user, wanted in users.items():
        if same(user, name) & same(wanted, password) and wanted:
            valid = user
    return valid if colon else None


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing about either, their lengths included."""
    return hmac.compare_digest(_digest(one), _digest(other))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _credentials(header: str | None, scheme: str) -> str | None:
    given, _, credentials = (header or "").strip().partition(" ")
    return credentials.strip() if given.lower() == scheme and credentials else None
