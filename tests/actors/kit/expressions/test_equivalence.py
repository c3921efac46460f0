"""The functions that plain expressions become mean what Jinja2 means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jinja2
import jinja2.sandbox
from hypothesis import assume, example, given, reject, settings
from hypothesis import strategies as st

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import Expression, MistakeError, Template, opaque
from actors.kit.expressions.mistake import MissingFieldError
from actors.kit.expressions.parser import parse_expression, parse_template

NOW_S = 1_700_000_000.0
KEYS = ["a", "b", "items", "get", "x-y"]
ABSENT = object()

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "", "a", "b", "1", "ab"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
mappings = st.dictionaries(st.sampled_from(KEYS), values, max_size=5)
messages = st.builds(
    lambda data, headers, attributes: Message("id-1", "door", data, headers, "kind", 1.0, attributes),
    mappings | mappings | mappings | values | st.binary(max_size=3),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["a", "b", "1"]), max_size=3),
    st.dictionaries(st.sampled_from(["subject", "tenant", "partitionkey"]), st.sampled_from(["a", "b"])),
)

constants = st.sampled_from(["1", "0", "-1", "0.5", "'a'", "'b'", "''", "true", "false", "none", "'a\\'b'"])
steps = st.sampled_from(
    [".a", ".b", ".items", ".get", "['a']", "['x-y']", "[0]", "[1]", "[-1]", "[headers.a]", "[subject]"]
)
paths = st.builds(
    lambda root, down: root + "".join(down),
    st.sampled_from(["data", "data", "data", "headers", "subject", "key", "tenant", "message.id", "message.data"]),
    st.lists(steps, max_size=3),
)
comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    listed = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.builds("({} {} {})".format, inner, comparisons, inner),
        st.builds("({} in [{}])".format, inner, listed),
        st.builds("({} not in ({}, {}))".format, inner, inner, inner),
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} is {})".format, paths, st.sampled_from(["defined", "undefined"])),
        st.builds("({} is {})".format, inner, st.sampled_from(["none", "string", "number", "boolean", "mapping"])),
        st.builds("({} is not {})".format, paths, st.sampled_from(["defined", "none"])),
        st.builds("({} | default({}))".format, paths, inner),
        st.builds("[{}]".format, listed),
        st.builds("{{'a': {}, {}: 2}}".format, inner, inner),
        st.builds("{{'a': 1, 'b': {}}}[{}]".format, inner, inner),
    )


expressions = st.recursive(paths | constants, larger, max_leaves=8)


def outcome(run: Callable[[Message, float], Any], message: Message) -> Any:
    """What `run` gives, told apart by type as well; or that it failed."""
    try:
        return repr(run(message, NOW_S))
    except ExpressionError:
        return ABSENT


def in_jinja2(source: str) -> Callable[[Message, float], Any]:
    parsed = parse_expression(source)
    run = opaque.opened(parsed.tree, parsed.names)

    def evaluate(message: Message, now_s: float) -> Any:
        try:
            return run(message, now_s)
        except Exception as error:
            raise ExpressionError(str(error), source=source) from error

    return evaluate


@given(expressions, st.lists(messages, min_size=1, max_size=4))
@example("data.items", [Message("id-1", "door", {})])
def test_an_expression_has_the_value_that_our_jinja2_gives(source: str, several: list[Message]) -> None:
    expression, reference = Expression(source), in_jinja2(source)
    for message in several:
        assert outcome(expression.evaluate, message) == outcome(reference, message)


@given(expressions, messages)
def test_an_expression_has_the_value_that_jinja2_as_it_comes_gives(source: str, message: Message) -> None:
    """Where stock Jinja2 has a value, no name means a method there, and we do not miss a field sooner."""
    assume("items" not in source and "get" not in source)
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    scope = {
        "data": message.data,
        "headers": dict(message.headers),
        "message": {"id": message.id, "data": message.data},
        **{name: value for name in ("subject", "key", "tenant") if (value := getattr(message, name)) is not None},
    }
    try:
        value = environment.compile_expression(source, undefined_to_none=False)(**scope)
    except Exception:
        value = jinja2.StrictUndefined()
    assume(not isinstance(value, jinja2.Undefined) and "Undefined" not in repr(value))
    try:
        found = Expression(source).evaluate(message, NOW_S)
    except ExpressionError as error:
        assume(not isinstance(error.__cause__, MissingFieldError))
        raise
    assert repr(found) == repr(value)


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["", "a ", "\n", "{", "}", "'", '"', "%", "\\", "é", "{# x #}"])
        | paths.map("{{{{ {} }}}}".format)
        | expressions.map("{{{{ {} }}}}".format),
        max_size=5,
    ).map("".join),
    messages,
)
def test_a_template_has_the_text_that_our_jinja2_gives(source: str, message: Message) -> None:
    assume("{{" in source)
    try:
        template = Template(source)
    except MistakeError:  # pieces that happen to open a tag
        reject()
    parsed = parse_template(source)
    reference = opaque.text(parsed.tree, parsed.names)

    def render(message: Message, now_s: float) -> str:
        try:
            return reference(message, now_s)
        except Exception as error:
            raise ExpressionError(str(error), source=source) from error

    assert outcome(template.render_text, message) == outcome(render, message)


@given(expressions, st.lists(messages, min_size=1, max_size=4))
def test_a_condition_holds_where_the_value_is_true(source: str, several: list[Message]) -> None:
    """What is missing aside, which a value does not survive."""
    expression, condition = Expression(source), Expression(source)
    for message in several:
        try:
            value = expression.evaluate(message, NOW_S)
        except ExpressionError:
            continue
        assert condition.holds(message, NOW_S) is bool(value)
    assert isinstance(condition.misses, int)


@dataclass(frozen=True)
class Condition:
    """A condition in source, and what it must mean, written down a second time."""

    source: str
    holds: Callable[[Any], bool]


def field(name: str) -> Callable[[Any], Any]:
    return lambda data: data.get(name, ABSENT)


def equals(name: str, value: int) -> Condition:
    return Condition(f"data.{name} == {value}", lambda data: data.get(name, ABSENT) == value)


def differs(name: str, value: int) -> Condition:
    return Condition(f"data.{name} != {value}", lambda data: name in data and data[name] != value)


def is_not_in(name: str, value: int) -> Condition:
    return Condition(f"data.{name} not in [{value}]", lambda data: name in data and data[name] != value)


def exceeds(name: str, value: int) -> Condition:
    """One that needs Jinja2."""
    return Condition(f"data.{name} + 0 > {value}", lambda data: name in data and data[name] > value)


def truth(name: str, value: int) -> Condition:
    return Condition(f"data.{name}", lambda data: bool(data.get(name, 0)))


def conjunction(one: Condition, other: Condition) -> Condition:
    return Condition(f"({one.source} and {other.source})", lambda data: one.holds(data) and other.holds(data))


def disjunction(one: Condition, other: Condition) -> Condition:
    return Condition(f"({one.source} or {other.source})", lambda data: one.holds(data) or other.holds(data))


def negation(one: Condition) -> Condition:
    return Condition(f"(not {one.source})", lambda data: not one.holds(data))


leaves = st.builds(
    lambda make, name, value: make(name, value),
    st.sampled_from([equals, differs, is_not_in, exceeds, truth]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 2),
)
conditions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(conjunction, inner, inner) | st.builds(disjunction, inner, inner) | st.builds(negation, inner)
    ),
    max_leaves=6,
)


@given(conditions, st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2)))
def test_in_a_condition_each_comparison_with_a_missing_field_is_false(
    condition: Condition, data: dict[str, int]
) -> None:
    expression = Expression(condition.source)
    assert expression.holds(Message("id-1", "door", data), NOW_S) is condition.holds(data)


@given(st.text(), st.text(), messages)
def test_no_text_in_a_topology_can_become_code(text: str, key: str, message: Message) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'").replace("\r\n", "\n").replace("\r", "\n")
    assume("\0" not in quoted)
    expression = Expression(f"'{quoted}'")
    assert expression.evaluate(message, NOW_S) == text.replace("\r\n", "\n").replace("\r", "\n")
    hostile = key.replace("\\", "").replace("'", "").replace("\r", "")
    found = Expression(f"data['{hostile}']").evaluate
    assert outcome(found, message.with_data({hostile: text})) == repr(text)
