"""Who asks, and what they may."""

from __future__ import annotations

import pwd
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from router.control.problem import ForbiddenError, UnauthorizedError
from router.topology.settings import ROLES, Role

_CREDENTIALS: Final = struct.Struct("3i")
"""Of Linux: process, user, group."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    who: str
    """`uid 1000 (name)` over the Unix socket, the token's name over TCP."""
    role: Role | None
    """None for somebody who has shown no token."""
    origin: str
    """`socket`, or the peer's address over TCP."""

    @property
    def is_local(self) -> bool:
        """Whether it came over the Unix socket, by somebody who may open the router's files anyhow."""
        return self.origin == SOCKET

    def must_be(self, role: Role | None) -> None:
        """Raise `UnauthorizedError` or `ForbiddenError` where what needs `role` is not allowed."""
        if role is None:
            return
        if self.role is None:
            raise UnauthorizedError(wrong=False)
        if ROLES.index(self.role) < ROLES.index(role):
            raise ForbiddenError(needed=role, has=self.role)


SOCKET: Final = "socket"
STRANGER: Final = Caller("", None, "")


def local_caller(connected: Any) -> Caller:
    """Who is at the other end of a Unix socket. Only its owner and root can open it, so they may do everything."""
    uid = _uid_of(connected)
    return Caller("an unknown local user" if uid is None else _shown(uid), "admin", SOCKET)


def _uid_of(connected: Any) -> int | None:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connected is None:
        return None
    try:
        _, uid, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    except OSError:
        return None
    return int(uid)


@lru_cache(maxsize=16)
def _shown(uid: int) -> str:
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"
