"""A tree of templates: the body of a request, or the fields that a step sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from actors.kit.expressions.failure import problem
from actors.kit.expressions.mistake import MistakeError
from actors.kit.expressions.template import Template

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    from actors.core.message import Message

    Node = Template | dict[str, "Node"] | list["Node"] | None

_DEEPEST: Final = 32


class TemplateTree:
    """Mappings and lists of templates and constants, rendered into the same structure.

    Keys are plain: one that holds `{{` is a mistake. `render(message, now_s)` builds mappings and lists anew each
    time, and raises ExpressionError where one of the templates fails on the message. Made with mistakes in it, it
    raises pydantic's ValidationError with each of them and its place in the tree.
    """

    __slots__ = ("_root", "is_constant", "source")

    source: Any
    """As the topology has it."""
    is_constant: bool
    """No message changes it."""

    def __init__(self, source: Any) -> None:
        mistakes: list[InitErrorDetails] = []
        self.source = source
        self._root = _grown(source, (), mistakes)
        if mistakes:
            raise ValidationError.from_exception_data(type(self).__name__, mistakes)
        self.is_constant = all(template.is_constant for template in _leaves(self._root))

    def render(self, message: Message, now_s: float) -> Any:
        """The tree with a value for each template."""
        return _rendered(self._root, message, now_s)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TemplateTree) and self._root == other._root

    def __hash__(self) -> int:
        return hash((TemplateTree, frozenset(_leaves(self._root))))

    def __repr__(self) -> str:
        return f"TemplateTree({self.source!r})"

    def __deepcopy__(self, memo: object) -> TemplateTree:
        return self

    @classmethod
    def _validated(cls, value: object) -> TemplateTree:
        return value if isinstance(value, cls) else cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated,
            json_schema_input_schema=core_schema.any_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(_source),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"description": "A value of any structure, in which each text may hold {{ … }}."}


def _source(tree: TemplateTree) -> Any:
    return tree.source


def _grown(source: Any, place: tuple[str | int, ...], mistakes: list[InitErrorDetails]) -> Node:
    def refuse(error: PydanticCustomError) -> None:
        mistakes.append(InitErrorDetails(type=error, loc=place, input=source))

    if len(place) > _DEEPEST:
        refuse(PydanticCustomError("expression", "nested too deeply"))
        return None
    if isinstance(source, Mapping):
        for key in source:
            if not isinstance(key, str) or "{{" in key:
                refuse(PydanticCustomError("expression", "keys are plain text, and no templates"))
        return {str(key): _grown(part, (*place, str(key)), mistakes) for key, part in source.items()}
    if isinstance(source, list | tuple):
        return [_grown(part, (*place, number), mistakes) for number, part in enumerate(source)]
    if isinstance(source, str | int | float):
        try:
            return Template(source)
        except MistakeError as mistake:
            refuse(problem(mistake))
            return None
    if source is not None:
        refuse(PydanticCustomError("expression", "expected text, numbers, mappings and lists"))
    return None


def _rendered(node: Node, message: Message, now_s: float) -> Any:
    if isinstance(node, Template):
        return node.render(message, now_s)
    if isinstance(node, dict):
        return {key: _rendered(part, message, now_s) for key, part in node.items()}
    if isinstance(node, list):
        return [_rendered(part, message, now_s) for part in node]
    return None


def _leaves(node: Node) -> Iterator[Template]:
    if isinstance(node, Template):
        yield node
    elif isinstance(node, dict):
        for part in node.values():
            yield from _leaves(part)
    elif isinstance(node, list):
        for part in node:
            yield from _leaves(part)
