"""How an actor takes the place of another one of its name while the router runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

Succession = Literal["beside", "handed_over", "break"]
"""`beside`: the new one starts beside the old one, which ends what it has in hand. `handed_over`: so too, and what
only one can hold (a path, a session, a timer) goes over in one turn of the loop. `break`: the old one has to end
before the new one starts, and what is sent to it meanwhile waits."""

Successions = Callable[[Any, Any], Succession]
"""Of the options before and after."""


@runtime_checkable
class Successor(Protocol):
    """An actor that can be handed over to."""

    def take_over(self, predecessor: Any) -> None:
        """Take what only one can hold from `predecessor`, an actor of the same type: None where it has ended.

        Called once, on an actor that was made with `context.succeeds` set and is ready; until then it takes
        nothing in. It must not raise, and not wait.
        """
        ...


@runtime_checkable
class Owing(Protocol):
    """A source that others wait for: it ends only when they have their answers, or at the end of a drain."""

    @property
    def owed(self) -> int:
        """How many answers it has still to give."""
        ...
