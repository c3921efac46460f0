"""What is written in a topology and means more than its text: equal by its source, and shown as that."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema


class Sourced:
    """An immutable value with the source that it was made from; a field type of pydantic models."""

    __slots__ = ("source",)

    json_schema: ClassVar[dict[str, Any]]
    """What editors are told of it."""

    source: Any
    """As it was written; subclasses narrow the type."""

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and true are equal in Python, and three things in a file.
        return (
            isinstance(other, Sourced)
            and type(other) is type(self)
            and type(other.source) is type(self.source)
            and bool(other.source == self.source)
        )

    def __hash__(self) -> int:
        return hash((type(self), self.source))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    def __str__(self) -> str:
        return str(self.source)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @classmethod
    def _validated(cls, value: object) -> Self:
        """From what a file has; raises what pydantic makes a problem of."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(_source),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(cls.json_schema)


def _source(value: Sourced) -> Any:
    return value.source
