"""A router that kills itself with SIGKILL at a named place: `FAILPOINT=NAME:N`, at the N-th time it comes by.

The places are put around the running code from outside, so the router itself has no word of them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any

from actors.core.message import Receipt
from actors.kit.database_writer import Writer
from router.routing.attempts import Attempts
from router.routing.intake import Intake

PLACES: dict[str, tuple[type[Any], str, bool]] = {
    "before-commit": (Writer, "_commit", False),
    "after-commit": (Intake, "_committed", False),
    "after-acknowledge": (Receipt, "accept", True),
    "before-send": (Attempts, "begin", False),
    "after-send": (Attempts, "succeeded", False),
    "after-settle": (Attempts, "succeeded", True),
}
"""Name: the class and method, and whether the router dies behind it instead of before it."""


def arm(failpoint: str) -> None:
    """Make the process die at `NAME:N`."""
    name, _, number = failpoint.partition(":")
    owner, method, behind = PLACES[name]
    original = getattr(owner, method)
    left = int(number)

    def passing() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, method, _around(original, passing, behind=behind))


def _around(original: Callable[..., Any], passing: Callable[[], None], *, behind: bool) -> Callable[..., Any]:
    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not behind:
            passing()
        result = original(*args, **kwargs)
        if behind:
            passing()
        return result

    return call


if __name__ == "__main__":
    from router.cli.main import main

    if os.environ.get("FAILPOINT"):
        arm(os.environ["FAILPOINT"])
    main()
