"""What the overview and the detail have in common: a line that says what is to be known, and pause and resume."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from router.cli.client import Json
from router.cli.failure import Failure
from router.cli.terminal import printable
from router.cli.top.entry import Entry
from router.cli.top.question import Question

if TYPE_CHECKING:
    from router.cli.top.app import Top

REMEMBERED_S: Final = 15.0
"""How long an answer stands there: long enough to read three names."""


class SteeringScreen(Screen[None]):
    """A screen with a row that the keys `p` and `r` mean."""

    DEFAULT_CSS = """
    SteeringScreen { overflow: hidden; }
    SteeringScreen #headline, SteeringScreen #status, SteeringScreen #keys {
        height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "steer('pause')", "Pause", show=False),
        Binding("r", "steer('resume')", "Resume", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.status = Static(id="status")
        self._answer: Text | None = None
        self._forgetting: Timer | None = None

    @property
    def top(self) -> Top:
        from router.cli.top.app import Top

        assert isinstance(self.app, Top), "no other app has these screens"
        return self.app

    @property
    def current(self) -> Entry | None:
        """The row that is meant."""
        raise NotImplementedError

    def take(self) -> None:
        """Show what the app has by now."""
        raise NotImplementedError

    def show_status(self) -> None:
        """An answer, as long as it is new, else what should be known of the row that is meant."""
        self.status.update(self._answer if self._answer is not None else self.note(), layout=False)

    def note(self) -> Text:
        """What should be known of the row that is meant; nothing where all is well."""
        if (entry := self.current) is not None:
            for text, style in entry.notes:
                return Text.assemble((printable(entry.name), "bold"), "  ", (printable(text), style or ""))
        return Text()

    def say(self, text: Text) -> None:
        """Show an answer for a while."""
        self._answer = text
        if self._forgetting is not None:
            self._forgetting.stop()
        self._forgetting = self.set_timer(REMEMBERED_S, self._forget)
        self.show_status()

    def _forget(self) -> None:
        self._answer = None
        self.show_status()

    def action_steer(self, verb: str) -> None:
        if (entry := self.current) is None:
            return

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._steer(verb, entry)

        self.app.push_screen(Question(f"{verb} {entry.meant}?"), answered)

    @work(name="steer")
    async def _steer(self, verb: str, entry: Entry) -> None:
        try:
            answer = await asyncio.to_thread(self.top.feed.steer, verb, *entry.asked_as)
        except Failure as failure:
            self.say(Text(printable(f"{failure}. {failure.hint}" if failure.hint else str(failure)), "red"))
            return
        self.say(told(verb, entry.name, answer))
        self.top.look_again()


def told(verb: str, name: str, answer: Json) -> Text:
    """What a pause holds back, or that it is over."""
    text = Text(printable(name), "bold")
    if "paused" in answer:  # a queue
        return Text.assemble(text, " is paused, for all that work it" if answer["paused"] else " goes on")
    if verb == "resume":
        return Text.assemble(text, " goes on" if answer.get("resumed", True) else " was not paused")
    held = answer.get("held_back")
    held = held if isinstance(held, dict) else {}
    parts = [
        f"{words} {', '.join(map(str, held[kind]))}"
        for kind, words in (
            ("sources", "refused at"),
            ("routes", "held back:"),
            ("fall_back", "on their fallback:"),
        )
        if held.get(kind)
    ]
    return Text.assemble(
        text, " is paused", printable(f": {'; '.join(parts)}" if parts else ", and holds nothing else back")
    )


def shown_keys(keys: Sequence[tuple[str, str]]) -> Text:
    """Keys and what they do, in a line."""
    return Text("  ").join(Text.assemble((key, "bold"), (f" {what}", "dim")) for key, what in keys)
