"""An expression: a value or a condition that a message decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic_core import PydanticCustomError

from actors.kit.expressions.failure import problem
from actors.kit.expressions.mistake import MistakeError
from actors.kit.expressions.sourced import Sourced

if TYPE_CHECKING:
    from jinja2 import nodes

    from actors.core.message import Message
    from actors.kit.expressions.parser import Parsed


class Expression(Sourced):
    """`data.kind == 'alarm'`: parsed when it is made (a MistakeError says what is wrong), compiled at first use.

    `evaluate(message, now_s)` gives its value, and `holds(message, now_s)` its truth; `now_s` is epoch seconds. Both
    raise ExpressionError where the expression fails on the message. For `holds` alone a comparison with a missing
    field is false, and `misses` counts it. They are attributes that are called, not methods, since the compiled
    function takes the place of the one that compiles it.
    """

    __slots__ = ("_parsed", "evaluate", "holds", "misses")

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "format": "jinja2-expression",
        "examples": ["data.kind == 'alarm'"],
    }

    source: str
    """As the topology has it."""
    evaluate: Callable[[Message, float], Any]
    holds: Callable[[Message, float], bool]
    misses: int
    """How often `holds` met a missing field."""

    def __init__(self, source: str) -> None:
        from actors.kit.expressions.parser import parse_expression

        self._parsed: Parsed[nodes.Expr] = parse_expression(source)
        self.source = source
        self.misses = 0
        self.evaluate = self._first_evaluate
        self.holds = self._first_holds

    def _first_evaluate(self, message: Message, now_s: float) -> Any:
        from actors.kit.expressions.functions import value_function

        self.evaluate = value_function(self.source, self._parsed.tree, self._parsed.names)
        return self.evaluate(message, now_s)

    def _first_holds(self, message: Message, now_s: float) -> bool:
        from actors.kit.expressions.functions import condition_function

        self.holds = condition_function(self.source, self._parsed.tree, self._parsed.names, self._missed)
        return self.holds(message, now_s)

    def _missed(self) -> None:
        self.misses += 1

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            reason = f"an expression is text: write it in quotes, as '{str(value).lower()}'"
            raise PydanticCustomError("expression", "{reason}", {"reason": reason})
        try:
            return cls(value)
        except MistakeError as mistake:
            raise problem(mistake) from None
