"""What an expression is worth on a message."""

import copy
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import Expression

NOW_S = 1_700_000_000.0
MESSAGE = Message(
    "id-1",
    "door",
    {
        "kind": "alarm",
        "level": 3,
        "items": ["a", "b"],
        "get": "got",
        "nothing": None,
        "user": {"name": "Ana", "tags": ["x", "y"]},
        "spaced key": 1,
        "_private": 2,
    },
    {"priority": "high", "x-tenant": "acme"},
    "sensor",
    1_600_000_000.0,
    {"subject": "hall", "partitionkey": "k1", "expirytime": 1_800_000_000.0},
)


class Options(BaseModel):
    when: Expression = Expression("data.kind == 'alarm'")


def value_of(source: str, message: Message = MESSAGE) -> Any:
    return Expression(source).evaluate(message, NOW_S)


def failure_of(source: str, message: Message = MESSAGE) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(source, message)
    return caught.value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("data.kind", "alarm"),
        ("data['kind']", "alarm"),
        ("data.user.tags[1]", "y"),
        ("data.user['tags'][-1]", "y"),
        ("data['spaced key']", 1),
        ("data['_private']", 2),
        ("data.kind == 'alarm' and data.level > 2", True),
        ("data.kind in ['alarm', 'fire']", True),
        ("data.kind not in ('alarm', 'fire')", False),
        ("data.level if data.kind == 'alarm' else 0", 3),
        ("not data.items", False),
        ("{'high': 1, 'normal': 5}[headers.priority]", 1),
        ("headers['x-tenant']", "acme"),
        ("subject ~ '/' ~ key", "hall/k1"),
        ("message.id", "id-1"),
        ("message.type", "sensor"),
        ("message.key", "k1"),
        ("message.partitionkey", "k1"),
        ("message.data.level", 3),
        ("message.headers.priority", "high"),
        ("data.level + 1", 4),
        ("1 < data.level < 5", True),
        ("data.items | length", 2),
        ("data.items | join('-')", "a-b"),
        ("data.kind.upper()", "ALARM"),
        ("data.user.tags | map('upper') | list", ["X", "Y"]),
        ("data.user | json", '{"name":"Ana","tags":["x","y"]}'),
        ("'ñ<' | tojson", '"ñ<"'),
        ("'abc' | sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("'abc' | b64", "YWJj"),
        ("'%05.1f' | format(3.14159)", "003.1"),
        ("'{:>5}|{name}'.format(data.level, name=data.kind)", "    3|alarm"),
        ("'42' | int", 42),
        ("'x' | int(7)", 7),
        ("'1.5' | float", 1.5),
        ("range(3) | list", [0, 1, 2]),
        ("(1, 2)", [1, 2]),
        ("data.user | items | list", [["name", "Ana"], ["tags", ["x", "y"]]]),
        ("headers", {"priority": "high", "x-tenant": "acme"}),
    ],
)
def test_expressions_are_jinja2(source: str, value: Any) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize(("source", "value"), [("data.items", ["a", "b"]), ("data.get", "got")])
def test_the_keys_of_a_mapping_win_over_its_methods(source: str, value: Any) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize("source", ["data.user.get", "data.user.keys", "data.user.items", "data.user.pop | list"])
def test_a_mapping_has_no_methods(source: str) -> None:
    assert "missing" in str(failure_of(source)) or "there is no" in str(failure_of(source))


def test_times_are_aware_and_compare_with_now() -> None:
    assert value_of("message.time < now < message.expirytime") is True
    assert value_of("now.year") == 2023
    assert value_of("(now - message.time).total_seconds()") == 100_000_000.0


def test_a_time_that_is_the_value_is_iso_8601() -> None:
    """Message data holds no objects."""
    assert value_of("now") == "2023-11-14T22:13:20+00:00"
    assert value_of("[message.time]") == ["2020-09-13T12:26:40+00:00"]


def test_the_whole_message_is_a_mapping_of_its_attributes() -> None:
    whole = value_of("message")
    assert whole["id"] == "id-1"
    assert whole["subject"] == "hall"
    assert whole["data"]["kind"] == "alarm"
    assert "tenant" not in whole


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("data.missing", "data.missing is missing"),
        ("data.missing.deeper", "data.missing.deeper is missing"),
        ("data.kind.deeper", "data.kind.deeper is missing"),
        ("data.items[7]", "data.items[7] is missing"),
        ("data.missing == 1", "data.missing is missing"),
        ("data.missing in []", "data.missing is missing"),
        ("data.kind == 'alarm' and data.missing", "data.missing is missing"),
        ("[data.missing]", "data.missing is missing"),
        ("{'a': data.missing | default(data.other)}", "is missing"),
        ("tenant", "tenant is missing"),
        ("headers['x-other']", "headers['x-other'] is missing"),
        ("data.missing | length", "there is no 'missing'"),
        ("data.missing | items | list", "there is no 'missing'"),
        ("[1, data.missing | lower]", "there is no 'missing'"),
        ("data.user.tags | map(attribute='x') | list", "there is no 'x'"),
        ("data.kind > 3", "TypeError"),
        ("data.level // 0", "ZeroDivisionError"),
        ("data.kind | int", "int of what is no number"),
        ("data.nothing | upper", "null has no text"),
        ("data.nothing ~ 'x'", "null has no text"),
    ],
)
def test_what_fails_is_an_error_with_its_reason_and_source(source: str, words: str) -> None:
    """Never false, never an empty text."""
    error = failure_of(source)
    assert words in str(error)
    assert error.source == source


def test_an_error_does_not_show_a_key_that_the_message_brought() -> None:
    message = MESSAGE.with_data({"phone": "+593999"})
    for source in ("{'a': 1}[data.phone]", "data[data.phone]", "(data | items | list)[data.phone]"):
        assert "+593999" not in str(failure_of(source, message))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("data.missing is defined", False),
        ("data.missing.deeper is defined", False),
        ("data.kind is defined", True),
        ("data.missing is undefined", True),
        ("data.missing.deeper | default('none')", "none"),
        ("data.nothing | default('none')", None),
        ("data.nothing | default('none', true)", "none"),
        ("data.items[7] | default(0)", 0),
        ("tenant | default('public')", "public"),
        ("tenant is defined", False),
        ("subject is defined", True),
        ("data.nothing is none", True),
        ("data.missing is none", False),
        ("data.level is number and data.kind is string", True),
    ],
)
def test_a_missing_field_can_be_asked_for_and_given_a_default(source: str, value: Any) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize(
    ("source", "holds", "misses"),
    [
        ("data.kind == 'alarm'", True, 0),
        ("data.level", True, 0),
        ("data.nothing", False, 0),
        ("data.missing", False, 1),
        ("data.missing == 1", False, 1),
        ("data.missing != 1", False, 1),
        ("data.missing == data.other", False, 1),
        ("1 not in data.missing", False, 1),
        ("data.missing.deeper > 1", False, 1),
        ("not data.missing", True, 1),
        ("data.missing == 1 or data.kind == 'alarm'", True, 1),
        ("data.missing == 1 and data.kind == 'alarm'", False, 1),
        ("data.kind == 'alarm' or data.missing == 1", True, 0),
        ("data.missing == 1 or data.other == 2", False, 2),
        ("data.missing | length > 3 or data.kind == 'alarm'", True, 1),
        ("data.missing | length > 3", False, 1),
        ("1 < data.missing < 3", False, 1),
        ("{'low': 1}[headers.priority] == 1", False, 1),
        ("data.other if data.missing else data.kind", True, 1),
        ("data.missing is defined", False, 0),
        ("data.missing | default(5) > 3", True, 0),
    ],
)
def test_where_a_condition_meets_a_missing_field_that_comparison_is_false_and_counted(
    source: str, holds: bool, misses: int
) -> None:
    """Each comparison by itself: the rest of the condition still counts."""
    expression = Expression(source)
    assert expression.holds(MESSAGE, NOW_S) is holds
    assert expression.misses == misses
    assert expression.holds(MESSAGE, NOW_S) is holds
    assert expression.misses == 2 * misses


def test_all_that_fails_in_a_condition_for_another_reason_is_an_error() -> None:
    for source in ("data.kind > 3", "data.level // 0 == 1", "data.kind | int > 3"):
        with pytest.raises(ExpressionError):
            Expression(source).holds(MESSAGE, NOW_S)


def test_a_message_of_any_kind_is_met() -> None:
    """Payloads are what strangers send: text, bytes, numbers and lists as well as mappings."""
    payloads: list[Any] = ["text", b"bytes", 5, None, [], [1], True, {}]
    for data in payloads:
        expression = Expression("data.kind == 'alarm' and data[0] != 1")
        assert expression.holds(MESSAGE.with_data(data), NOW_S) is False
        assert "missing" in str(failure_of("data.kind", MESSAGE.with_data(data)))


def test_expressions_are_values() -> None:
    one, other = Expression("data.a == 1"), Expression("data.a == 1")
    other.holds(MESSAGE, NOW_S)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Expression("data.a == 2")
    assert copy.deepcopy(one) is one
    assert repr(one) == "Expression('data.a == 1')"
    assert str(one) == "data.a == 1"


def test_an_expression_is_an_option() -> None:
    options = Options.model_validate({"when": "data.level > 2"})
    assert options.when.holds(MESSAGE, NOW_S)
    assert options.model_dump() == {"when": "data.level > 2"}
    schema = Options.model_json_schema()["properties"]["when"]
    assert (schema["type"], schema["format"]) == ("string", "jinja2-expression")
    assert schema["default"] == "data.kind == 'alarm'"
    assert Options(when=options.when).when is options.when


@pytest.mark.parametrize("value", [True, 1, None, ["data"]])
def test_what_is_no_text_is_no_expression(value: object) -> None:
    with pytest.raises(ValidationError, match="an expression is text"):
        TypeAdapter(Expression).validate_python(value)


def test_a_mistake_is_a_problem_with_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({"when": "data.kind == 'a' and daat.level > 2"})
    (error,) = caught.value.errors()
    assert error["loc"] == ("when",)
    assert error["msg"] == "unknown name 'daat'"
    assert error["ctx"]["offset"] == 21
    assert error["ctx"]["length"] == 4
    assert error["ctx"]["suggestion"] == "did you mean 'data'?"
