"""The API's description of itself: an OpenAPI 3.1 document, made from its operations and their models."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from router import __version__
from router.control.message_documents import ProblemDocument
from router.control.operation import JSON, Answer, Call, Operation
from router.control.problem import CONTENT_TYPE as PROBLEM

Schema = dict[str, Any]

SCHEMAS: Final = "#/components/schemas/"
_VARIABLE: Final = re.compile(r"{(\w+)}")
_ABOUT: Final = (
    "The control API of a running router, on a Unix socket in its state directory, where whoever can open it is an "
    "admin, and by TCP where `settings.control` says so. What a role may, those behind it may too: viewer, operator, "
    "admin; `x-role` is the one that an operation needs."
)


class OpenApiDocument(RootModel[dict[str, Any]]):
    """A document of the OpenAPI Specification, version 3.1."""


class OpenApi:
    """Describes operations, and itself among them."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operation = Operation("GET", "/v1/openapi.json", self.show, role="viewer", answers={200: OpenApiDocument})
        self._operations = (*operations, self.operation)
        self._made: bytes | None = None

    async def show(self, call: Call) -> Answer:
        """This document."""
        if self._made is None:
            self._made = (json.dumps(openapi(self._operations)) + "\n").encode("ascii")
        return Answer(self._made)


def openapi(operations: Iterable[Operation]) -> Schema:
    """The document, with the operations in their order."""
    described = tuple(operations)
    schemas = _Schemas(described)
    paths: dict[str, Schema] = {}
    for operation in described:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    components = {name: schemas.components[name] for name in _reached(paths, schemas.components)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pointsman control API", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of `settings.control.tokens`; the Unix socket asks for none.",
                }
            },
        },
    }


def statuses_of(operation: Operation) -> list[int]:
    """The statuses of the problem details that an operation may answer with."""
    found = {401, 500, *operation.problems}
    if operation.role is not None:
        found.add(403)
    if operation.query is not None or operation.body is not None:
        found.add(400)
    if operation.body is not None:
        found.update((408, 413, 415))
    if _VARIABLE.search(operation.path):
        found.add(404)
    return sorted(found - operation.answers.keys())


def _described(operation: Operation, schemas: _Schemas) -> Schema:
    described: Schema = {
        "operationId": _identifier(operation),
        "tags": [_tag(operation)],
        "summary": operation.summary,
        "security": [] if operation.role is None else [{"token": []}],
        "x-role": operation.role,
        "parameters": [*_path_parameters(operation), *schemas.query_parameters(operation)],
    }
    if operation.description:
        described["description"] = operation.description
    if operation.change is not None:
        described["x-audit"] = operation.change.action
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas.of(operation.body)}}}
    described["responses"] = {
        **{str(status): schemas.answer(answer) for status, answer in operation.answers.items()},
        **{str(status): _problem(status) for status in statuses_of(operation)},
    }
    return described


def _identifier(operation: Operation) -> str:
    """`get-actors-name-mailbox`: stays the same as long as method and path do."""
    return "-".join([operation.method.lower(), *re.findall(r"\w+", operation.path.removeprefix("/v1/"))])


def _tag(operation: Operation) -> str:
    below = operation.path.removeprefix("/v1/")
    return "monitoring" if below == operation.path else below.partition("/")[0].removesuffix(".json")


def _path_parameters(operation: Operation) -> Iterator[Schema]:
    for name in _VARIABLE.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _problem(status: int) -> Schema:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": {"$ref": SCHEMAS + ProblemDocument.__name__}}},
    }


def _reached(paths: Any, components: Mapping[str, Any]) -> list[str]:
    """The schemas that paths refer to, themselves or by others, in the order of their names."""
    found: set[str] = set()
    pending = list(_references(paths))
    while pending:
        name = pending.pop().removeprefix(SCHEMAS)
        if name not in found:
            found.add(name)
            pending += _references(components[name])
    return sorted(found)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(reference := part.get("$ref"), str):
            yield reference
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


class _Plain(GenerateJsonSchema):
    """Without titles that only repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Schemas:
    """The schemas of all models that operations name, each once."""

    def __init__(self, operations: Collection[Operation]) -> None:
        models: dict[type[BaseModel], None] = {ProblemDocument: None}
        for operation in operations:
            answers = (answer for answer in operation.answers.values() if not isinstance(answer, str))
            models.update(dict.fromkeys(model for model in (operation.query, operation.body, *answers) if model))
        self._references, made = models_json_schema(
            [(model, "validation") for model in models], ref_template=SCHEMAS + "{model}", schema_generator=_Plain
        )
        self.components: dict[str, Schema] = dict(made.get("$defs", {}))
        queries = {operation.query for operation in operations if operation.query is not None}
        self._queries = {query: self.components.pop(self._name(query)) for query in queries}
        """Their fields are parameters, and they are no documents themselves."""

    def of(self, model: type[BaseModel]) -> Mapping[str, Any]:
        return self._references[model, "validation"]

    def answer(self, answer: type[BaseModel] | str) -> Schema:
        if isinstance(answer, str):
            return {"description": "Text", "content": {answer: {"schema": {"type": "string"}}}}
        about = " ".join((answer.__doc__ or "").split())
        return {"description": about, "content": {JSON: {"schema": self.of(answer)}}}

    def query_parameters(self, operation: Operation) -> Iterator[Schema]:
        if operation.query is None:
            return
        schema = self._queries[operation.query]
        for name, field in schema.get("properties", {}).items():
            plain = _without_null(field)
            parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": plain}
            if about := plain.pop("description", ""):
                parameter["description"] = about
            yield parameter

    def _name(self, model: type[BaseModel]) -> str:
        return str(self.of(model)["$ref"]).removeprefix(SCHEMAS)


def _without_null(field: Schema) -> Schema:
    """A parameter is absent, and never null."""
    others = [part for part in field.get("anyOf", ()) if part.get("type") != "null"]
    plain = {name: value for name, value in field.items() if name not in ("anyOf", "default") or value is not None}
    if "anyOf" in field:
        del plain["anyOf"]
        plain |= others[0] if len(others) == 1 else {"anyOf": others}
    return plain
