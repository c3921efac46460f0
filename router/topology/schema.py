"""The topology language as a JSON Schema (2020-12), for editors; made from the option models of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from router.catalog import Catalog
from router.topology.check import ROUTER_NAME
from router.topology.definitions import NAME
from router.topology.model import LANGUAGE, ActorOptions, GroupDefinition, RouteOptions
from router.topology.settings import Settings

Schema = dict[str, Any]

_VARIABLE: Final[Schema] = {
    "description": "Read from the environment or a file when the topology is loaded.",
    "type": "string",
    "pattern": r"\$\{[^}]+\}",
}
_NOTHING: Final[Schema] = {"type": "null"}


class _Generate(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # it would be the key once more


def json_schema(catalog: Catalog) -> Schema:
    """A schema of whole files; it knows every actor type and step of the catalog, all of which are imported.

    What a schema cannot say is left to `check`: names that must exist, roles, cycles, and expressions. Where a
    value has to be a number or the like, `${…}` is allowed too.
    """
    endpoints = {name: catalog.endpoint(name) for name in catalog.endpoint_names()}
    steps = {name: catalog.step(name) for name in catalog.step_names()}
    connections = {name: catalog.connection(name) for name in catalog.connection_names()}
    models: list[type[BaseModel]] = [Settings, ActorOptions, RouteOptions, GroupDefinition]
    models += [spec.options for spec in endpoints.values()]
    models += [spec.options for spec in steps.values()]
    models += [spec.options for spec in connections.values()]
    references, generated = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], schema_generator=_Generate
    )
    definitions: Schema = _with_variables(generated.get("$defs", {}), is_map=True)

    def of(model: type[BaseModel]) -> Schema:
        found: Schema = definitions[references[model, "validation"]["$ref"].rpartition("/")[2]]
        return found

    common = of(ActorOptions)["properties"]
    actors = {name: (spec.documentation, of(spec.options)) for name, spec in endpoints.items()}
    definitions["variable"] = _VARIABLE
    definitions["actor"] = _by_type("actor", actors, common, definitions)
    others = {name: (spec.documentation, of(spec.options)) for name, spec in connections.items()}
    definitions["connection"] = _by_type("connection", others, {}, definitions)
    definitions["step"] = _step({name: (spec.documentation, of(spec.options)) for name, spec in steps.items()})
    definitions["route"] = _route(of(RouteOptions))
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Pointsman topology, version {LANGUAGE}",
        "type": "object",
        "required": ["router", "name"],
        "additionalProperties": False,
        "properties": {
            "router": {"description": "The version of the language.", "const": LANGUAGE},
            "name": {
                "description": "What this router is called.",
                "type": "string",
                "pattern": f"^{ROUTER_NAME.pattern}$",
            },
            "settings": {
                "description": "What concerns the router as a whole.",
                "anyOf": [references[Settings, "validation"], _NOTHING],
            },
            "connections": _section("Transports that several actors share.", {"$ref": "#/$defs/connection"}),
            "actors": _section("The endpoints of the router, by their names.", {"$ref": "#/$defs/actor"}),
            "groups": _section("Actors that are supervised together.", references[GroupDefinition, "validation"]),
            "routes": _section("How messages go from actors to actors.", {"$ref": "#/$defs/route"}),
        },
    }
    schema["$defs"] = _reachable(schema, definitions)
    return schema


def _section(description: str, entry: Schema) -> Schema:
    return {
        "description": description,
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": entry,
    }


def _by_type(kind: str, types: Mapping[str, tuple[str, Schema]], common: Schema, definitions: Schema) -> Schema:
    """A mapping whose `type` says which other keys it has."""
    if not types:
        return {"description": f"There are no {kind} types.", "not": {}}
    for name, (documentation, options) in types.items():
        definitions[f"{kind}.{name}"] = {
            "description": cleandoc(documentation),
            "type": "object",
            "required": ["type", *options.get("required", ())],
            "additionalProperties": False,
            "properties": {"type": {"const": name}, **options.get("properties", {}), **common},
        }
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"description": f"What kind of {kind} it is.", "enum": list(types)}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{kind}.{name}"},
            }
            for name in types
        ],
    }


def _step(types: Mapping[str, tuple[str, Schema]]) -> Schema:
    """A mapping with one key, which says what the step does."""
    properties = {}
    for name, (documentation, options) in types.items():
        may_be_empty = options.get("type") == "object" and not options.get("required")
        described = {**options, "description": cleandoc(documentation)}
        properties[name] = {"anyOf": [described, _NOTHING]} if may_be_empty else described
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": properties,
    }


def _route(options: Schema) -> Schema:
    steps = {
        "description": "What happens to a message on its way, in this order.",
        "type": ["array", "null"],
        "items": {"$ref": "#/$defs/step"},
    }
    return {**options, "properties": {**options["properties"], "steps": steps}}


def _with_variables(schema: Any, *, is_map: bool = False) -> Any:
    """The schema with `${…}` allowed wherever a scalar may not be just any string; long defaults are left out."""
    if isinstance(schema, list):
        return [_with_variables(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if is_map:
        return {name: _with_variables(part) for name, part in schema.items()}
    if _is_narrow(schema):
        outside = {key: schema[key] for key in ("description", "default") if key in schema}
        inside = {key: value for key, value in schema.items() if key not in outside}
        return {**outside, "anyOf": [inside, {"$ref": "#/$defs/variable"}]}
    changed = {}
    for key, value in schema.items():
        if key in ("anyOf", "oneOf"):
            parts = [part if _is_narrow(part) else _with_variables(part) for part in value]
            narrow = any(_is_narrow(part) for part in value) and not any(part.get("type") == "string" for part in value)
            changed[key] = [*parts, {"$ref": "#/$defs/variable"}] if narrow else parts
        elif key in ("properties", "patternProperties"):
            changed[key] = _with_variables(value, is_map=True)
        elif key in ("items", "prefixItems", "additionalProperties", "allOf"):
            changed[key] = _with_variables(value)
        elif key != "default" or not isinstance(value, dict):
            changed[key] = value
    return changed


def _is_narrow(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if schema.get("type") == "string" or "enum" in schema or "const" in schema:
        return not {"enum", "const", "pattern"}.isdisjoint(schema)
    return schema.get("type") in ("integer", "number", "boolean")


def _reachable(schema: Schema, definitions: Schema) -> Schema:
    """The definitions that are referred to, by name."""
    found: Schema = {}
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
            name = str(part.get("$ref", "")).removeprefix("#/$defs/")
            if name in definitions and name not in found:
                found[name] = definitions[name]
                waiting.append(definitions[name])
    return {name: found[name] for name in sorted(found)}
