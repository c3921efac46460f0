"""Lets a message pass where an expression holds."""

from __future__ import annotations

from pydantic import ConfigDict, RootModel

from actors.core.message import Message
from actors.core.step import FILTERED, Passage, StepContext, StepResult, step
from actors.kit.expressions import Expression


class FilterOptions(RootModel[Expression]):
    """What must hold for a message to go on: `filter: "data.kind == 'alarm'"`."""

    model_config = ConfigDict(frozen=True)


@step("filter", options=FilterOptions, repeatable=True)
class Filter:
    """Lets a message pass where an expression holds, and ends it as filtered where not.

        steps:
          - filter: "data.kind == 'alarm' and data.level > 3"

    Filtered messages are counted and acknowledged. A field that is not there fails the message with reason
    `expression`, unlike in a route's `when`: write `data.level | default(0) > 3` where it may be absent.
    """

    __slots__ = ("_expression", "_time")

    def __init__(self, options: FilterOptions, context: StepContext) -> None:
        self._expression = options.root
        self._time = context.clock.time

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        return message if self._expression.evaluate(message, self._time()) else FILTERED
