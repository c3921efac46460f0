"""What the server's error codes mean for a delivery: pure, from SQLSTATE (PostgreSQL's appendix A)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from actors.core.errors import DeliveryError, Reason

if TYPE_CHECKING:
    from psycopg import Error

Blame = Literal["row", "server", "table", "connection"]
"""Whose fault it is: of one row, which its neighbours have nothing to do with; of the server; of the table, which is
not as it was; of the connection, which is of no use any more."""

LONGEST_TEXT: Final = 500

_CONNECTING: Final = re.compile(
    r'connection failed: (?:connection to server at "[^"]*"(?: \([^)]*\))?, port \d+ failed: )?(?:FATAL: +)?'
)
"""What libpq says before the reason: where, which is known."""


class Meaning(NamedTuple):
    """Of an error code."""

    blame: Blame
    reason: Reason
    retryable: bool = True


_ROW: Final = Meaning("row", "refused", retryable=False)
_AWAY: Final = Meaning("connection", "connect")
_BUSY: Final = Meaning("server", "overload")
_TABLE: Final = Meaning("table", "refused")

_CLASSES: Final = {
    "08": _AWAY,
    "21": _ROW,
    "22": _ROW,
    "23": _ROW,  # a foreign key's other row may still come: see below
    "25": Meaning("server", "refused"),  # a standby, which takes no rows until it is promoted
    "28": _AWAY,
    "3D": _AWAY,
    "3F": _TABLE,
    "40": Meaning("server", "refused"),  # deadlock, serialization: the same again may succeed
    "42": _TABLE,
    "44": _ROW,
    "53": _BUSY,
    "54": _ROW,
    "55": _BUSY,
    "57": _BUSY,
    "58": _BUSY,
    "P0": _ROW,  # what a trigger raises
}
_CODES: Final = {
    "23503": Meaning("row", "refused"),
    "22P05": _ROW,
    "25P03": _AWAY,
    "42804": _ROW,
    "53300": Meaning("connection", "overload"),
    "57P01": _AWAY,
    "57P02": _AWAY,
    "57P03": _AWAY,
    "57P05": _AWAY,
}


def meaning(sqlstate: str | None) -> Meaning:
    """What an error of this code says; one without a code is the driver's own, and about the connection."""
    if sqlstate is None:
        return _AWAY
    return _CODES.get(sqlstate) or _CLASSES.get(sqlstate[:2]) or Meaning("server", "refused")


def delivery_error(error: Error, *, maybe_committed: bool = False) -> DeliveryError:
    """The failed attempt that this was; `maybe_committed` where a lost connection may have taken the answer along."""
    found = meaning(error.sqlstate)
    if maybe_committed and found.blame == "connection":
        return DeliveryError(f"no answer to COMMIT: {told(error)}", reason="unknown")
    return DeliveryError(told(error), reason=found.reason, retryable=found.retryable)


def told(error: Error) -> str:
    """In one line: what the server said, without its details, which hold values of the row."""
    text = error.diag.message_primary or str(error).strip() or type(error).__name__
    if connecting := _CONNECTING.match(text):
        text = text[connecting.end() :].partition("\n")[0]
    code = f" ({error.sqlstate})" if error.sqlstate else ""
    return " ".join(text.split())[:LONGEST_TEXT] + code
