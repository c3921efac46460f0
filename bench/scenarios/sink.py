"""Where messages end in scenarios."""

from __future__ import annotations

from typing import Any

from actors.core.actor import AsyncioActor


class Sink(AsyncioActor):
    """Takes all, and does nothing."""

    def on_receive(self, message: Any) -> None: ...
