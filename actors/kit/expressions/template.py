"""A template: text that a message completes, or a value that it holds."""

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

Scalar = str | int | float | bool


class Template(Sourced):
    """`alarms/{{ data.room }}`: parsed when it is made (a MistakeError says what is wrong), compiled at first use.

    `render(message, now_s)` gives its value, and `render_text(message, now_s)` its text; `now_s` is epoch seconds.
    What is exactly one `{{ … }}` keeps its native type; what holds neither `{{` nor `{%` is a constant. Both
    raise ExpressionError where the template fails on the message. They are attributes that are called, not
    methods, since the compiled function takes the place of the one that compiles it.
    """

    __slots__ = ("_parsed", "is_constant", "render", "render_text")

    json_schema: ClassVar[dict[str, Any]] = {
        "type": ["string", "number", "boolean"],
        "format": "jinja2-template",
        "examples": ["alarms/{{ data.room }}"],
    }

    source: Scalar
    """As the topology has it: text, or a number or boolean that stands for itself."""
    is_constant: bool
    """No message changes it: its value is `source`."""
    render: Callable[[Message, float], Any]
    render_text: Callable[[Message, float], str]

    def __init__(self, source: Scalar) -> None:
        self.source = source
        self.is_constant = not isinstance(source, str) or ("{{" not in source and "{%" not in source)
        self._parsed: Parsed[nodes.Template] | None = None
        if self.is_constant:
            text = str(source).lower() if isinstance(source, bool) else str(source)
            self.render = lambda message, now_s: source
            self.render_text = lambda message, now_s: text
        else:
            from actors.kit.expressions.parser import parse_template

            self._parsed = parse_template(str(source))
            self.render = self._first_render
            self.render_text = self._first_render_text

    def _first_render(self, message: Message, now_s: float) -> Any:
        from actors.kit.expressions.functions import native_node, text_function, value_function

        assert self._parsed is not None
        source = str(self.source)
        node = native_node(self._parsed.tree)
        if node is None:
            self.render = self.render_text = text_function(source, self._parsed)
        else:
            self.render = value_function(source, node, self._parsed.names)
        return self.render(message, now_s)

    def _first_render_text(self, message: Message, now_s: float) -> str:
        from actors.kit.expressions.functions import text_function

        assert self._parsed is not None
        self.render_text = text_function(str(self.source), self._parsed)
        return self.render_text(message, now_s)

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str | int | float):
            reason = "expected text, which may hold {{ … }}"
            raise PydanticCustomError("expression", "{reason}", {"reason": reason})
        try:
            return cls(value)
        except MistakeError as mistake:
            raise problem(mistake) from None


def pieces(source: str, refusal: Callable[[], Exception]) -> list[str | Template]:
    """Text and expressions in turn, as Jinja2's own lexer sees them; for blocks and comments it raises `refusal()`."""
    from jinja2 import Environment

    parts: list[str | Template] = []
    expression: list[str] | None = None
    for _, token, text in Environment(autoescape=False).lex(source):  # it lexes, and renders nothing
        if token == "variable_begin":
            expression = []
        elif token == "variable_end":
            parts.append(Template("{{ " + "".join(expression or ()) + " }}"))
            expression = None
        elif expression is not None:
            expression.append(text)
        elif token == "data":
            parts.append(text)
        else:
            raise refusal()
    return parts
