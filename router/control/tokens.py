"""Whose token a request bears. What is compared takes the same time for every wrong one."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from actors.kit.secrets import Secret
from router.control.problem import UnauthorizedError
from router.control.roles import Caller
from router.topology.settings import Role

_SCHEME: Final = "bearer"


class Tokens:
    """All tokens of one router, kept as keyed digests: all of one length, and of no use to whoever reads them."""

    def __init__(self, named: Iterable[tuple[str, Role, Secret]]) -> None:
        self._key = secrets.token_bytes(32)
        self._known = [(self._digest(secret.reveal_bytes()), name, role) for name, role, secret in named]

    def caller(self, authorization: str | None, *, address: str) -> Caller:
        """Who bears the token of this `Authorization` header; somebody without a role where there is none.

        Raises `UnauthorizedError` where it is no token of ours.
        """
        if authorization is None:
            return Caller("", None, address)
        scheme, _, token = authorization.partition(" ")
        given = self._digest(token.strip().encode("utf-8", "replace"))
        found = None
        # To the end, whichever it was.
        for digest, name, role in self._known:
            if hmac.compare_digest(digest, given):
                found = Caller(name, role, address)
        if found is None or scheme.lower() != _SCHEME:
            raise UnauthorizedError(wrong=True)
        return found

    def _digest(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, "sha256")
