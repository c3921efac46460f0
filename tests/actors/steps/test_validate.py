"""`validate`: which messages pass, what is said of the others, and which schemas are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.core.step import Verdict
from actors.steps.validate import Validate, ValidateOptions
from tests.actors.steps.stepping import Way, build, message

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["to", "lines"],
    "additionalProperties": False,
    "properties": {
        "to": {"type": "string", "maxLength": 10},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}}},
}


def test_a_message_that_satisfies_the_schema_passes_unchanged() -> None:
    good = message({"to": "cota", "lines": [{"count": 2}]})

    assert build(Validate, {"schema": ORDER})(good, Way()) is good


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"to": "cota"}, "$: 'lines' is a required property"),
        ({"to": 5, "lines": []}, "$.to: is not of type 'string'"),
        ({"to": "much too long", "lines": []}, "$.to: is too long"),
        ({"to": "a", "lines": [{}, {"count": 0}]}, "$.lines[1].count: is less than the minimum of 1"),
        (
            {"to": "a", "lines": [], "x": 1},
            "$: Additional properties are not allowed ('x' was unexpected)",
        ),
        ("text", "$: is not of type 'object'"),
    ],
)
def test_any_other_is_dead_lettered_with_its_place_and_the_reason(data: object, why: str) -> None:
    """The value itself is not repeated: the reason goes to logs, and the value may be a secret."""
    result = build(Validate, {"schema": ORDER})(message(data), Way())

    assert result == Verdict("dead_lettered", f"invalid: {why}")


def test_it_is_dropped_where_the_file_asks_for_it() -> None:
    result = build(Validate, {"schema": {"type": "object"}, "on_invalid": "drop"})(message([]), Way())

    assert result == Verdict("dropped", "invalid: $: is not of type 'object'")


def test_a_long_reason_is_cut() -> None:
    step = build(Validate, {"schema": {"enum": ["x" * 50] * 1 + [str(n) for n in range(200)]}})

    result = step(message("y"), Way())
    assert isinstance(result, Verdict)
    assert result.reason is not None
    assert len(result.reason) < 250


def test_data_nested_too_deeply_is_invalid_and_no_crash() -> None:
    """A schema that refers to itself follows the data down."""
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    result = build(Validate, {"schema": {"type": "array", "items": {"$ref": "#"}}})(message(deep), Way())

    assert result == Verdict("dead_lettered", "invalid: $: nested too deeply")
    while deep:  # freeing it in one go would recur as deep in older Pythons
        deep = deep.pop()


def test_a_schema_names_the_draft_it_was_written_for() -> None:
    """`items` with a list means a tuple in draft 7, and nothing in 2020-12."""
    pair = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"type": "string"}, {"type": "integer"}],
    }
    step = build(Validate, {"schema": pair})

    assert not isinstance(step(message(["a", 1]), Way()), Verdict)
    assert isinstance(step(message(["a", "b"]), Way()), Verdict)


def test_a_schema_can_stand_in_a_file_beside_the_topology(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "order.json").write_text(json.dumps(ORDER))

    options = ValidateOptions.model_validate({"schema": "schemas/order.json"}, context={"directory": tmp_path})
    absolute = ValidateOptions.model_validate({"schema": str(tmp_path / "schemas" / "order.json")})

    assert options.schema_ == absolute.schema_ == ORDER


def test_editing_the_file_changes_the_options(tmp_path: Path) -> None:
    """So an apply sees that the route is another one."""
    file = tmp_path / "schema.json"
    file.write_text("true")
    before = ValidateOptions.model_validate({"schema": str(file)})
    file.write_text("false")

    assert ValidateOptions.model_validate({"schema": str(file)}) != before


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {"type": "objekt"},
            "not a JSON Schema: $.type: 'objekt' is not valid under any of the given schemas",
        ),
        ({"properties": {"a": 5}}, "not a JSON Schema: $.properties.a: 5 is not of type 'object', 'boolean'"),
        ({"$ref": "#/$defs/absent"}, "$ref #/$defs/absent leads nowhere"),
        (
            {"items": {"$ref": "http://127.0.0.1:1/x.json"}},
            "$ref http://127.0.0.1:1/x.json leads nowhere",
        ),
        ({"items": {"$ref": "file:///etc/passwd"}}, "$ref file:///etc/passwd leads nowhere"),
        ("absent.json", "absent.json cannot be read: No such file or directory"),
        (5, "expected a JSON Schema (a mapping) or the path of a file with one"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_problem_of_the_file(schema: object, said: str) -> None:
    """It is found when the file is validated, and nothing is fetched for it."""
    with pytest.raises(ValidationError) as caught:
        ValidateOptions.model_validate({"schema": schema})
    (error,) = caught.value.errors()
    assert said in error["msg"]
    assert error["loc"] == ("schema",)


def test_a_file_that_is_no_json_is_a_problem_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text("{")

    with pytest.raises(ValidationError, match="is not JSON"):
        ValidateOptions.model_validate({"schema": str(file)})


def test_references_within_the_schema_and_to_published_drafts_are_followed() -> None:
    schema = {
        "$id": "https://example.invalid/order",
        "properties": {
            "line": {"$ref": "line"},
            "schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        },
        "$defs": {"line": {"$id": "line", "$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}},
    }
    step = build(Validate, {"schema": schema})

    assert not isinstance(step(message({"line": 1, "schema": {"type": "string"}}), Way()), Verdict)
    assert isinstance(step(message({"line": "x"}), Way()), Verdict)
    assert isinstance(step(message({"schema": {"type": 7}}), Way()), Verdict)
