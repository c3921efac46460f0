"""An option model as rows for people: each option with its type, its bounds, its default and what it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

Schema = Mapping[str, Any]

DEEPEST: Final = 6
_FORMATS: Final[Mapping[str, str]] = {
    "password": "secret",
    "jinja2-expression": "expression",
    "jinja2-template": "template",
    "path": "path",
}
_TYPES: Final[Mapping[Any, str]] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
}
_UNITS: Final = (("|KiB|", "size"), ("(ms|", "duration"), ("(%)", "percentage"))


@dataclass(frozen=True, slots=True)
class Row:
    """One option; those of a mapping below another bear its name in front: `retry.delay`."""

    name: str
    type: str
    default: str
    description: str
    required: bool


def rows_of(model: type[BaseModel]) -> list[Row]:
    """The options of a model, and of the models in it, in their order; none where it is no mapping."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [row for below, _ in _below(schema, definitions) for row in _rows(below, definitions, "", 0)]


def value_of(model: type[BaseModel]) -> str:
    """What the model takes instead of a mapping with its options: `expression`; empty where it takes nothing else."""
    schema = model.model_json_schema()
    if schema.get("properties"):
        return ""
    return _words(schema, schema.get("$defs", {})).removesuffix(" or mapping")


def _rows(schema: Schema, definitions: Schema, prefix: str, depth: int, *, is_one_of: bool = False) -> Iterator[Row]:
    """`is_one_of`: it stands beside others with keys of their own, and what it requires is required of it alone."""
    required = () if is_one_of else schema.get("required", ())
    for name, option in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        below = _below(option, definitions)
        yield Row(
            path,
            _words(option, definitions),
            _default(option, has_rows=bool(below)),
            _description(option, definitions),
            name in required,
        )
        if depth < DEEPEST:
            for inner, mark in below:
                yield from _rows(inner, definitions, f"{path}{mark}.", depth + 1, is_one_of=len(below) > 1)


def _below(option: Schema, definitions: Schema) -> list[tuple[Schema, str]]:
    """The models of an option that is a mapping with known keys, or a list or mapping of such: mostly one."""
    below = []
    for part in _alternatives(option):
        resolved = _resolved(part, definitions)
        if resolved.get("properties"):
            below.append((resolved, ""))
            continue
        for key, mark in (("items", "[]"), ("additionalProperties", ".NAME")):
            inner = resolved.get(key)
            if isinstance(inner, Mapping):
                below.extend((schema, mark + more) for schema, more in _below(inner, definitions))
    return below


def _description(option: Schema, definitions: Schema) -> str:
    """The option's; pydantic leaves it out where its model says the same of itself."""
    text = option.get("description") or _resolved(option, definitions).get("description", "")
    return " ".join(str(text).split())


def _alternatives(option: Schema) -> list[Schema]:
    return list(option.get("anyOf") or option.get("oneOf") or option.get("allOf") or [option])


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = definitions[str(reference).rpartition("/")[2]]
    return found


def _words(option: Schema, definitions: Schema) -> str:
    """The type in words: `duration, 1ms to 1d`."""
    schema = _resolved(option, definitions)
    parts = _alternatives(schema)
    if parts != [schema]:
        words = dict.fromkeys(_words(part, definitions) for part in parts if part.get("type") != "null")
        return " or ".join(words)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        *first, last = (f"`{value}`" for value in schema["enum"])
        return f"{', '.join(first)} or {last}" if first else last
    if schema.get("type") == "array":
        return f"list of {_words(schema.get('items', {}), definitions)}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping of {_words(inner, definitions)}" if isinstance(inner, Mapping) and inner else "mapping"
    return _scalar(schema) + _bounds(schema)


def _scalar(schema: Schema) -> str:
    if (named := _FORMATS.get(str(schema.get("format")))) is not None:
        return named
    pattern = str(schema.get("pattern", ""))
    for mark, unit in _UNITS:
        if mark in pattern:
            return unit
    kind = schema.get("type")
    return _TYPES.get(kind, "any value") if isinstance(kind, str) else "any value"


def _bounds(schema: Schema) -> str:
    least = schema.get("x-minimum", schema.get("minimum"))
    most = schema.get("x-maximum", schema.get("maximum"))
    if least is not None and most is not None:
        return f", {_number(least)} to {_number(most)}"
    if least is not None:
        return f", at least {_number(least)}"
    return f", at most {_number(most)}" if most is not None else ""


def _number(bound: Any) -> str:
    return f"{bound:,}" if isinstance(bound, int) else str(bound)


def _default(option: Schema, *, has_rows: bool) -> str:
    value = option.get("default")
    if value is None or value == "" or (has_rows and isinstance(value, Mapping)):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"
