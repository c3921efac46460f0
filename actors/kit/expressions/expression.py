"""An expression: a value or a condition that a message decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError, core_schema

from actors.kit.expressions.failure import problem
from actors.kit.expressions.mistake import MistakeError

if TYPE_CHECKING:
    from jinja2 import nodes
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    from actors.core.message import Message
    from actors.kit.expressions.parser import Parsed


class Expression:
    """`data.kind == 'alarm'`: parsed when it is made (a MistakeError says what is wrong), compiled at first use.

    `evaluate(message, now_s)` gives its value, and `holds(message, now_s)` its truth; `now_s` is epoch seconds. Both
    raise ExpressionError where the expression fails on the message. For `holds` alone a comparison with a missing
    field is false, and `misses` counts it. They are attributes that are called, not methods, since the compiled
    function takes the place of the one that compiles it.
    """

    __slots__ = ("_parsed", "evaluate", "holds", "misses", "source")

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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source

    def __hash__(self) -> int:
        return hash((Expression, self.source))

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __str__(self) -> str:
        return self.source

    def __deepcopy__(self, memo: object) -> Expression:
        return self

    @classmethod
    def _validated(cls, value: object) -> Expression:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            reason = f"an expression is text: write it in quotes, as '{str(value).lower()}'"
            raise PydanticCustomError("expression", "{reason}", {"reason": reason})
        try:
            return cls(value)
        except MistakeError as mistake:
            raise problem(mistake) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.to_string_ser_schema(when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "jinja2-expression", "examples": ["data.kind == 'alarm'"]}
