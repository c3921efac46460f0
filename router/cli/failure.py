"""How a command says that it could not do what it was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from actors.core.errors import RouterError
from router.cli.terminal import printable, styled

FAILED: Final = 1
WRONG_USAGE: Final = 2
NOT_RUNNING: Final = 3
TOPOLOGY_PROBLEMS: Final = 78
"""EX_CONFIG of sysexits.h."""
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""


class Failure(RouterError):
    """The command ends with `code`; the message is for people, and needs no traceback."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: int = FAILED,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        """What to do about it; may have several lines."""
        self.code = code
        self.problem = problem
        """The problem document (RFC 9457) of the control API, where it came from there."""

    def show(self, *, as_json: bool) -> None:
        """On standard error: for people, or as one object a line."""
        if as_json:
            print(json.dumps(self.problem or {"detail": str(self), "suggestion": self.hint}), file=sys.stderr)
        else:
            show_error(str(self), self.hint)


def show_error(message: str, hint: str = "") -> None:
    """Print an error for people, and what to do about it under it."""
    lines = [f"{styled('error:', 'red', sys.stderr)} {printable(message)}"]
    lines += [f"       {printable(line)}" for line in hint.splitlines()]
    print(*lines, sep="\n", file=sys.stderr)
