"""Checks the data of a message against a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from actors.core.message import Message, Outcome
from actors.core.spec import Options
from actors.core.step import Passage, StepContext, StepResult, Verdict, step

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from referencing import Resource
    from referencing._core import Resolver

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_ERRORS: Final = 100
"""Of these the most telling is reported; a hostile payload shall not make us look at all."""
MAX_WHY: Final = 200


def read_schema(value: Any, info: ValidationInfo) -> Any:
    """The schema itself, where a file is named; either way checked, so that no message meets a broken one.

    A relative path begins at the `directory` of the validation's context, which is the topology's, else at
    the working directory. What is kept is the schema and not the path: an edited file is an edited topology.
    """
    if isinstance(value, str):
        directory = info.context.get("directory", "") if isinstance(info.context, Mapping) else ""
        value = _read(Path(directory, value))
    if not isinstance(value, Mapping | bool):
        raise _refused("expected a JSON Schema (a mapping) or the path of a file with one")
    _compile(value)
    return value


class ValidateOptions(Options):
    """What the data must look like, and what becomes of it otherwise."""

    schema_: Annotated[Any, BeforeValidator(read_schema, json_schema_input_type=str | bool | dict[str, Any])] = Field(
        alias="schema"
    )
    """A JSON Schema (draft 2020-12, unless its `$schema` names another), or the path of a JSON file with one."""
    on_invalid: Literal["dead_letter", "drop"] = "dead_letter"
    """What becomes of a message that does not satisfy it."""


@step("validate", options=ValidateOptions, repeatable=True)
class Validate:
    """Checks the data of a message against a JSON Schema.

        steps:
          - validate:
              schema:
                type: object
                required: [to, text]
                properties: {to: {type: string}, text: {type: string, maxLength: 4096}}

        steps:
          - validate: {schema: schemas/order.json, on_invalid: drop}

    A message that does not satisfy it is dead-lettered with the reason `invalid: <place>: <why>`, which does
    not repeat the value. The path of a file begins at the topology's folder. References lead into the schema
    itself or to a published draft: nothing is fetched.
    """

    __slots__ = ("_outcome", "_validator")

    def __init__(self, options: ValidateOptions, context: StepContext) -> None:
        self._validator = _compile(options.schema_)
        self._outcome: Outcome = "dropped" if options.on_invalid == "drop" else "dead_lettered"

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        try:
            errors = self._validator.iter_errors(message.data)
            first = next(errors, None)
            if first is None:
                return message
            from jsonschema.exceptions import best_match

            error = best_match(chain((first,), islice(errors, MAX_ERRORS))) or first
        except RecursionError:
            return Verdict(self._outcome, "invalid: $: nested too deeply")
        # jsonschema begins most of its sentences with the value, which is nobody's business in a log.
        why = error.message.removeprefix(repr(error.instance)).strip()
        if len(why) > MAX_WHY:
            why = why[:MAX_WHY] + "…"
        return Verdict(self._outcome, f"invalid: {error.json_path}: {why}")


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(f"{path} is larger than 1 MiB")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise _refused(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _refused(f"{path} is not JSON: {error}") from None


def _compile(schema: Any) -> Validator:
    """A validator that fetches nothing; raises PydanticCustomError where the schema cannot be used."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it has no stubs
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012

    draft = validator_for(schema, default=Draft202012Validator)
    try:
        draft.check_schema(schema)
    except SchemaError as error:
        raise _refused(f"not a JSON Schema: {error.json_path}: {error.message[:MAX_WHY]}") from None
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    for reference in _loose_references(resource, REGISTRY.resolver_with_root(resource)):
        raise _refused(f"$ref {reference} leads nowhere; other files and addresses are not looked at")
    # The registry is given because the library's default one fetches over HTTP.
    return draft(schema, registry=REGISTRY)


def _loose_references(resource: Resource[Any], resolver: Resolver[Any]) -> Iterator[str]:
    """The references of a schema, and of the schemas in it, that name nothing known."""
    from referencing.exceptions import Unresolvable

    resolver = resolver.in_subresource(resource)
    if isinstance(resource.contents, Mapping):
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            reference = resource.contents.get(keyword)
            if isinstance(reference, str):
                try:
                    resolver.lookup(reference)
                except Unresolvable:
                    yield reference
    for inner in resource.subresources():
        yield from _loose_references(inner, resolver)


def _refused(reason: str) -> PydanticCustomError:
    return PydanticCustomError("schema", "{reason}", {"reason": reason})
