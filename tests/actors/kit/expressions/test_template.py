"""What a template makes of a message."""

import copy
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import Template

NOW_S = 1_700_000_000.0
MESSAGE = Message(
    "id-1",
    "door",
    {"room": "hall", "level": 3, "on": True, "ratio": 0.5, "nothing": None, "raw": b"\x01", "tags": ["a", "b"]},
    {"priority": "high"},
)


class Options(BaseModel):
    topic: Template = Template("alarms/{{ data.room }}")


def rendered(source: Any) -> Any:
    return Template(source).render(MESSAGE, NOW_S)


def text_of(source: Any) -> str:
    return Template(source).render_text(MESSAGE, NOW_S)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("alarms/{{ data.room }}/{{ data.level }}", "alarms/hall/3"),
        ("{{ data.room }}{{ data.level }}", "hall3"),
        ("{{ data.on }} {{ data.ratio }}", "True 0.5"),
        ("{{ data.room | upper }}!", "HALL!"),
        ("tags: {{ data.tags | join(', ') }}", "tags: a, b"),
        ("{{ data.tags }}.", "['a', 'b']."),
        ("{% if data.level > 2 %}loud{% else %}quiet{% endif %}", "loud"),
        ("{% for tag in data.tags %}{{ loop.index }}{{ tag }}{% if not loop.last %},{% endif %}{% endfor %}", "1a,2b"),
        ("{% for k, v in {'a': 1} | items %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{% for tag in data.tags if tag == 'b' %}{{ tag }}{% endfor %}", "b"),
        ("{% for g in [{'k': 1}, {'k': 1}] | groupby('k') %}{{ g.grouper }}x{{ g.list | length }}{% endfor %}", "1x2"),
        ("{% set level = data.level + 1 %}{{ level }}", "4"),
        ("{# a note #}{{ data.room }}.", "hall."),
        ("{% raw %}{{ data.room }}{% endraw %}", "{{ data.room }}"),
        ("at {{ now }}", "at 2023-11-14T22:13:20+00:00"),
    ],
)
def test_text_around_a_value_makes_text(source: str, value: str) -> None:
    assert rendered(source) == value
    assert text_of(source) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ data.level }}", 3),
        ("{{data.level}}", 3),
        ("{{ data.on }}", True),
        ("{{ data.nothing }}", None),
        ("{{ data.raw }}", b"\x01"),
        ("{{ data.tags }}", ["a", "b"]),
        ("{{ data.level * 2 }}", 6),
        ("{{ data.tags | map('upper') }}", ["A", "B"]),
        ("{{ {'room': data.room, 'levels': [data.level]} }}", {"room": "hall", "levels": [3]}),
        ("{{ {'high': 1, 'low': 10}[headers.priority] }}", 1),
    ],
)
def test_exactly_one_value_keeps_its_type(source: str, value: Any) -> None:
    found = rendered(source)
    assert found == value
    assert type(found) is type(value)


def test_the_text_of_one_value_can_be_asked_for() -> None:
    assert text_of("{{ data.level }}") == "3"
    assert text_of("{{ data.tags | map('upper') }}") == "['A', 'B']"


@pytest.mark.parametrize("source", ["plain", "", "a { b } %", "{# note", 5, 0.5, "{ {data} }"])
def test_what_holds_no_braces_is_a_constant(source: Any) -> None:
    template = Template(source)
    assert template.is_constant
    assert template.render(MESSAGE, NOW_S) == source
    assert template.render_text(MESSAGE, NOW_S) == str(source)


def test_a_boolean_constant_is_written_as_yaml_has_it() -> None:
    assert rendered(True) is True
    assert text_of(True) == "true"


def test_what_holds_braces_is_no_constant() -> None:
    assert not Template("{{ 1 }}").is_constant
    assert not Template("{% if true %}x{% endif %}").is_constant


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a/{{ data.missing }}", "data.missing is missing"),
        ("{{ data.missing }}", "data.missing is missing"),
        ("a/{{ data.missing | upper }}", "there is no 'missing'"),
        ("a/{{ data.nothing }}", "null has no text"),
        ("a/{{ data.raw }}", "bytes have no text"),
        ("a/{{ data.tags | map(attribute='x') }}", "there is no 'x'"),
        ("{% for tag in data.missing %}{{ tag }}{% endfor %}", "there is no 'missing'"),
        ("{% if data.missing %}a{% endif %}", "there is no 'missing'"),
    ],
)
def test_what_cannot_be_rendered_is_an_error_and_never_an_empty_text(source: str, words: str) -> None:
    for render in (Template(source).render, Template(source).render_text):
        with pytest.raises(ExpressionError) as caught:
            render(MESSAGE, NOW_S)
        assert words in str(caught.value)
        assert caught.value.source == source


def test_templates_are_values() -> None:
    one, other = Template("a/{{ data.room }}"), Template("a/{{ data.room }}")
    other.render(MESSAGE, NOW_S)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Template("b/{{ data.room }}")
    assert Template(1) != Template("1")
    assert Template(1) != Template(True)
    assert copy.deepcopy(one) is one
    assert repr(one) == "Template('a/{{ data.room }}')"
    assert str(Template(5)) == "5"


def test_a_template_is_an_option() -> None:
    options = Options.model_validate({"topic": "a/{{ data.level }}"})
    assert options.topic.render_text(MESSAGE, NOW_S) == "a/3"
    assert options.model_dump() == {"topic": "a/{{ data.level }}"}
    assert Options.model_validate({"topic": 5}).model_dump() == {"topic": 5}
    schema = Options.model_json_schema()["properties"]["topic"]
    assert (schema["type"], schema["format"]) == (["string", "number", "boolean"], "jinja2-template")
    assert schema["default"] == "alarms/{{ data.room }}"


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}])
def test_what_is_no_text_or_number_is_no_template(value: object) -> None:
    with pytest.raises(ValidationError, match="expected text"):
        TypeAdapter(Template).validate_python(value)


def test_a_mistake_is_a_problem_with_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({"topic": "alarms/{{ data.room | uper }}"})
    (error,) = caught.value.errors()
    assert error["msg"] == "unknown filter 'uper'"
    assert (error["ctx"]["offset"], error["ctx"]["length"]) == (22, 4)
    assert error["ctx"]["suggestion"] == "did you mean 'upper'?"
