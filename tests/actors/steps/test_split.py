"""`split`: the parts of a list, their ids and their data."""

from typing import Any

import pytest
from pydantic import ValidationError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.core.step import Parts
from actors.steps.split import Split, SplitOptions
from tests.actors.steps.stepping import Way, build, message


def parts(options: object, original: Message) -> Parts:
    result = build(Split, options)(original, Way())
    assert isinstance(result, Parts)
    return result


def test_each_element_becomes_the_data_of_a_part() -> None:
    whole = message({"items": [1, {"a": 2}, None]}, id="m-7", tenant="cota")

    split = parts("{{ data.items }}", whole)

    assert [part.data for part in split] == [1, {"a": 2}, None]
    assert [part.id for part in split] == ["m-7-1", "m-7-2", "m-7-3"]
    assert all(part.headers == whole.headers and part.tenant == "cota" for part in split)


def test_a_part_can_keep_the_rest_of_the_data() -> None:
    whole = message({"from": "x", "lines": ["a", "b"]})

    split = parts({"by": "{{ data.lines }}", "as": "lines"}, whole)

    assert [part.data for part in split] == [{"from": "x", "lines": "a"}, {"from": "x", "lines": "b"}]
    assert whole.data == {"from": "x", "lines": ["a", "b"]}


def test_an_empty_list_has_no_parts() -> None:
    """Which the route takes as filtered."""
    assert parts("{{ data.lines }}", message({"lines": []})) == Parts()


@pytest.mark.parametrize("value", [None, "text", 5, {"a": 1}])
def test_what_is_no_list_fails(value: object) -> None:
    with pytest.raises(ExpressionError, match="split takes a list"):
        build(Split, "{{ data.lines }}")(message({"lines": value}), Way())


def test_a_list_longer_than_allowed_fails() -> None:
    step = build(Split, {"by": "{{ data }}", "max_parts": 2})

    assert isinstance(step(message([1, 2]), Way()), Parts)
    with pytest.raises(ExpressionError, match="a list of 3 is longer than max_parts, 2"):
        step(message([1, 2, 3]), Way())


def test_a_named_field_needs_data_with_fields() -> None:
    with pytest.raises(ExpressionError, match="the data has no field 'line'"):
        build(Split, {"by": "{{ data }}", "as": "line"})(message([1]), Way())


def test_a_template_alone_stands_for_by() -> None:
    assert SplitOptions.model_validate("{{ data }}") == SplitOptions.model_validate({"by": "{{ data }}"})


@pytest.mark.parametrize(
    "options", [5, {}, "items", {"by": "{{ data }}", "max_parts": 0}, {"by": "{{ data }}", "as": "a.b"}]
)
def test_options_that_make_no_sense_are_problems(options: object) -> None:
    with pytest.raises(ValidationError):
        SplitOptions.model_validate(options)


def test_its_schema_takes_text_and_a_mapping() -> None:
    schema: dict[str, Any] = SplitOptions.model_json_schema()

    assert {"type": "string"} in schema["anyOf"]
    assert any("max_parts" in part.get("properties", {}) for part in schema["anyOf"])
