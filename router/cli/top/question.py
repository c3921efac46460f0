"""A question in the last lines of the screen, which one key answers."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from router.cli.terminal import printable


class Question(ModalScreen[bool]):
    """`y` agrees, every other key does not."""

    DEFAULT_CSS = """
    Question { background: transparent; align: left bottom; }
    Question Static { height: 1; margin-bottom: 1; padding: 0 1; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        yield Static(Text.assemble((printable(self._question), "bold"), "  y yes · any other key no"))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self._answer(event.key in ("y", "Y"))

    def on_click(self) -> None:
        self._answer(False)

    def _answer(self, agreed: bool) -> None:
        if self.is_current:  # a second key may have come with the first
            self.dismiss(agreed)
