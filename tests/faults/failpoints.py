"""A router that kills itself with SIGKILL at a named place: `FAILPOINT=NAME:N`, at the N-th time it comes by.

With `FAILPOINT_WHEN=FILE` only the times count at which that file is there. The places are put around the running
code from outside, so the router itself has no word of them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any

from actors.connections.mqtt.driver5 import Driver5
from actors.core.message import Receipt
from actors.kit.database_writer import Writer
from router.change.swap import Swap
from router.routing.attempts import Attempts
from router.routing.intake import Intake
from router.store.revisions import Revisions

PLACES: dict[str, tuple[type[Any], str, bool]] = {
    "before-commit": (Writer, "_commit", False),
    "after-commit": (Intake, "_committed", False),
    "after-acknowledge": (Receipt, "accept", True),
    "before-send": (Attempts, "begin", False),
    "after-send": (Attempts, "succeeded", False),
    "after-settle": (Attempts, "succeeded", True),
}
"""Name: the class and method, and whether the router dies behind it instead of before it."""

MQTT_PLACES: dict[str, tuple[type[Any], str, bool]] = {
    "before-publish": (Driver5, "publish", False),
    "before-puback": (Driver5, "acknowledge", False),
    "before-write": (Driver5, "_flush", False),
    "after-write": (Driver5, "_flush", True),
}
"""Those of the MQTT 5 driver: what it sends in one turn of the loop is one write."""

SWAP_PLACES: dict[str, tuple[type[Any], str, bool]] = {
    "before-prepare": (Swap, "prepare", False),
    "before-record": (Revisions, "record_pending", False),
    "before-switch": (Swap, "switch", False),
    "after-switch": (Swap, "switch", True),
    "before-retire": (Swap, "retire", False),
    "before-report": (Revisions, "note_report", False),
}
"""Those of a change of the running topology; behind `before-retire` it is confirmed."""


def arm(failpoint: str, *, when: str = "") -> None:
    """Make the process die at `NAME:N`, counted while the file `when` is there, if one is named."""
    name, _, number = failpoint.partition(":")
    owner, method, behind = {**PLACES, **MQTT_PLACES, **SWAP_PLACES}[name]
    original = getattr(owner, method)
    left = int(number)

    def passing() -> None:
        nonlocal left
        if when and not os.path.exists(when):
            return
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
        arm(os.environ["FAILPOINT"], when=os.environ.get("FAILPOINT_WHEN", ""))
    main()
