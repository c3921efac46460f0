"""The API's description of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any

import pytest
from pydantic import Field

from router.control.documents import Document
from router.control.openapi import openapi, statuses_of
from router.control.operation import Answer, Call, Change, Operation
from router.control.requests import MomentField, Query, Request
from tests.loop import Run
from tests.router.control.sample_router import running


class Which(Query):
    """How many."""

    limit: Annotated[int, Field(ge=1, le=10)] = 5
    """At most."""
    since: MomentField | None = None
    """Since then."""


class Wanted(Request):
    """What is wanted."""

    count: int
    """How many."""


class Made(Document):
    """What was made."""

    count: int


async def make(call: Call) -> Answer:
    """Make some, e.g. three. They are made at once,
    and stay.
    """
    return Answer.json({"count": call.body.count})


OPERATION = Operation(
    "POST",
    "/v1/things/{name}/parts",
    make,
    Which,
    Wanted,
    role="operator",
    answers={200: Made},
    change=Change("make", "{name}"),
    problems=(409,),
)


@cache
def described() -> dict[str, Any]:
    return openapi([OPERATION])


def test_an_operation_is_described_by_its_row_and_its_models() -> None:
    """Path, parameters, body, answers, problems, role; its words are those of its docstring."""
    made = described()["paths"]["/v1/things/{name}/parts"]["post"]
    assert made["operationId"] == "post-things-name-parts"
    assert made["tags"] == ["things"]
    assert (made["summary"], made["description"]) == ("Make some, e.g. three", "They are made at once, and stay.")
    assert (made["x-role"], made["x-audit"], made["security"]) == ("operator", "make", [{"token": []}])
    assert made["parameters"] == [
        {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 10, "default": 5},
            "description": "At most.",
        },
        {
            "name": "since",
            "in": "query",
            "required": False,
            "schema": {"anyOf": [{"type": "string"}, {"type": "number"}]},
            "description": "Since then.",
        },
    ]
    assert made["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Wanted"}
    assert list(made["responses"]) == [*map(str, (200, 400, 401, 403, 404, 408, 409, 413, 415, 500))]
    assert made["responses"]["200"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/Made"}}
    }
    assert list(made["responses"]["409"]["content"]) == ["application/problem+json"]


def test_queries_are_parameters_and_no_schemas() -> None:
    """All that is left over is referred to."""
    assert set(described()["components"]["schemas"]) == {"Wanted", "Made", "ProblemDocument", "MistakeDocument"}


def test_who_needs_no_role_may_still_bring_a_wrong_token() -> None:
    """Which is a 401 wherever it comes."""
    free = Operation("GET", "/healthz", make, role=None, answers={200: Made})
    assert statuses_of(free) == [401, 500]
    made = openapi([free])["paths"]["/healthz"]["get"]
    assert (made["security"], made["tags"], made["x-role"]) == ([], ["monitoring"], None)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.fixture(scope="module")
def served(run: Run) -> tuple[tuple[Operation, ...], dict[str, Any]]:
    """The operations of a router, and the document that it serves."""

    async def scenario() -> tuple[tuple[Operation, ...], dict[str, Any]]:
        async with running("actors: {door: {type: door}}") as client:
            return client.control.operations, (await client.get("/v1/openapi.json")).document

    return run(scenario())


def test_every_operation_is_in_the_document_that_is_served(
    served: tuple[tuple[Operation, ...], dict[str, Any]],
) -> None:
    """With its own identifier, and with words for it and for each of its parameters."""
    operations, document = served
    assert document["openapi"].startswith("3.1.")
    assert {(operation.path, operation.method.lower()) for operation in operations} == {
        (path, method) for path, methods in document["paths"].items() for method in methods
    }
    all_described = [described for methods in document["paths"].values() for described in methods.values()]
    identifiers = [each["operationId"] for each in all_described]
    assert len(set(identifiers)) == len(identifiers)
    for each in all_described:
        assert each["summary"], each["operationId"]
        assert not each["summary"].endswith("."), each["operationId"]
        queried = [parameter for parameter in each["parameters"] if parameter["in"] == "query"]
        assert all(parameter.get("description") for parameter in queried), each["operationId"]


def test_references_lead_somewhere(served: tuple[tuple[Operation, ...], dict[str, Any]]) -> None:
    """And nothing is there that nobody refers to."""
    _, document = served
    found = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert found == set(document["components"]["schemas"])


def test_what_changes_something_is_written_down_and_not_for_viewers(
    served: tuple[tuple[Operation, ...], dict[str, Any]],
) -> None:
    """What only shows something is neither."""
    operations, _ = served
    for operation in operations:
        assert operation.method != "GET" or operation.change is None, operation.path
        if operation.change is not None:
            assert operation.role in ("operator", "admin"), operation.path
            variable = set(re.findall(r"{(\w+)}", operation.path))
            assert set(re.findall(r"{(\w+)}", operation.change.object)) <= variable, operation.path
