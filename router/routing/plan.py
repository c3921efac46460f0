"""What a route does, made from its definition: names resolved, expressions ready to be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.core.message import Message
from actors.core.step import Step
from router.routing.choose import Chooser, RetryPolicy


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route's definition in the form it runs in."""

    name: str
    sources: tuple[str, ...]
    choose: Chooser
    targets: tuple[str, ...]
    """Every actor it may deliver to, fallbacks and dead-letter actor included."""
    steps: tuple[Step, ...] = ()
    step_names: tuple[str, ...] = ()
    """As the topology calls their types."""
    repeatable: tuple[bool, ...] = ()
    """For each step: whether running it again for the same message does no harm."""
    when: Callable[[Message], bool] | None = None
    order_by: Callable[[Message], str] | None = None
    concurrency: int = 1
    durable: bool = False
    keeps: bool = False
    """Whether all actors that it leads to keep what they acknowledge: what has ended there survives kill -9."""
    replies: bool = False
    """Whether a source of it answers with what the target replied."""
    timeout_s: float = 10.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_waiting: int = 1000
    journals_while_paused: bool = False
    fallback: tuple[str, ...] = ()
    dead_letter: str | None = None
    only: str | None = None
    """The target where `to` names just one actor; `choose` gives it for every message."""
    capacity: int = 1000
    """Messages in the route's own mailbox."""

    @property
    def straight(self) -> str | None:
        """The one target of a route that looks at no message: nothing but an attempt lies between."""
        looks = self.when is not None or self.order_by is not None or self.steps
        return None if looks else self.only
