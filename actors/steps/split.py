"""Makes one message into several, one for each element of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.core.spec import Options
from actors.core.step import Parts, Passage, StepContext, StepResult, step
from actors.kit.expressions import Template


class SplitOptions(Options):
    """A template alone stands for `by`: `split: "{{ data.items }}"`."""

    by: Template
    """The list to split; exactly one `{{ … }}`."""
    into: str | None = Field(default=None, alias="as", pattern=r"^[^.\s]{1,100}$")
    """The field of each part's data that holds its element, beside what else the data has.
    Without it the element is the data of its part."""
    max_parts: int = Field(default=10_000, ge=1, le=1_000_000)
    """A longer list fails the message."""

    @field_validator("by")
    @classmethod
    def _may_be_a_list(cls, by: Template) -> Template:
        if by.is_constant:
            reason = f"expected a template that gives a list, such as {{{{ data.items }}}}, not '{by.source}'"
            raise PydanticCustomError("list", "{reason}", {"reason": reason})
        return by

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


@step("split", options=SplitOptions, repeatable=True)
class Split:
    """Makes one message into several, one for each element of a list.

        steps:
          - split: "{{ data.entry }}"

        steps:
          - split: {by: "{{ data.items }}", as: item, max_parts: 500}

    Each part has the headers and attributes of the whole, and its id with the number of the part behind it:
    `id-1`, `id-2`. The whole ends when all its parts have ended. An empty list ends the message as filtered;
    what is no list, and a list of more than `max_parts`, fail it with reason `expression`. With `as` the data
    of a part is the data of the whole with the element in that field; name the list's own field to leave the
    other elements out.
    """

    __slots__ = ("_by", "_into", "_max_parts", "_time")

    def __init__(self, options: SplitOptions, context: StepContext) -> None:
        self._by = options.by
        self._into = options.into
        self._max_parts = options.max_parts
        self._time = context.clock.time

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        elements = self._by.render(message, self._time())
        if not isinstance(elements, list | tuple):
            raise self._error(f"split takes a list, not {type(elements).__name__}")
        if len(elements) > self._max_parts:
            raise self._error(f"a list of {len(elements)} is longer than max_parts, {self._max_parts}")
        if self._into is None:
            return Parts([message.child(number, element) for number, element in enumerate(elements, 1)])
        if not isinstance(message.data, Mapping):
            raise self._error(f"the data has no field '{self._into}': it is {type(message.data).__name__}")
        return Parts(
            [message.child(number, {**message.data, self._into: element}) for number, element in enumerate(elements, 1)]
        )

    def _error(self, what: str) -> ExpressionError:
        return ExpressionError(what, source=str(self._by))
