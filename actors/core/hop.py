"""What lies between an actor and its other end, as far as validation compares it with what a route promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from actors.core.option_problem import OptionProblem


@dataclass(frozen=True, slots=True)
class Hop:
    """The way between the router and the other end of one actor."""

    acknowledges: Literal["no", "each", "in_order"] = "no"
    """As a source: whether its sender hears that a message is safe; `in_order`: not before those ahead of it are."""
    loses: OptionProblem | None = None
    """The option by which messages may get lost on the way, with nobody noticing; None: none does."""
    drops_id: OptionProblem | None = None
    """As a target: the option by which a message's id, its idempotency key, does not travel; None: it does."""
    conflicts: tuple[OptionProblem, ...] = ()
    """Options that cannot be kept on this way."""


Hops = Callable[[Any, Mapping[str, Any]], Hop]
"""From an actor's options, and the options of the connections that they name, by the option that names each."""

Echoes = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[tuple[str, str]]]
"""From the options of targets and of sources of one type, each by its actor's name: the pairs (target, source) where
whatever is sent to the target comes out of the source."""
