"""Mistakes in expressions are found before anything runs, and shown in their place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kit.expressions import Expression, MistakeError, Template

SNIPPETS = [
    *("data", ".", "kind", "==", "=", "'a'", '"', "[", "]", "(", ")", "{", "}", "{{", "}}", "{%", "%}", "|", " "),
    *("if", "else", "for", "in", "not", "and", "is", "set", "endif", "endfor", "length", "1", "*", "**", "~", ","),
    *("é", "\n", "\r\n", "-", "#", "{#", "#}", "raw", "endraw", "message", "now", "_", "include", "\\", ":"),
]


def mistake_of(source: str, kind: type[Expression] | type[Template] = Expression) -> MistakeError:
    with pytest.raises(MistakeError) as caught:
        kind(source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "place", "reason", "suggestion"),
    [
        ("data.kind = 'x'", "=", "something follows", "did you mean '=='?"),
        ("data.kind === 'x'", "= ", "unexpected '='", "did you mean '=='?"),
        ("data.a && data.b", "&&", "unexpected char '&'", "did you mean 'and'?"),
        ("data.a || data.b", "||", "", "did you mean 'or'?"),
        ("daat.kind", "daat", "unknown name 'daat'", "did you mean 'data'?"),
        ("kind == 'x'", "kind", "unknown name 'kind'", "did you mean 'data.kind'?"),
        ("data.x and\n  datta.y", "datta", "unknown name 'datta'", "did you mean 'data'?"),
        ("data.ñ == 'ñ' and dato.x", "dato", "unknown name 'dato'", "did you mean 'data'?"),
        ("message.tenat", "tenat", "a message has no attribute 'tenat'", "did you mean 'tenant'?"),
        ("message['tenat']", "tenat", "a message has no attribute 'tenat'", "did you mean 'tenant'?"),
        ("data.x | lenght > 1", "lenght", "unknown filter 'lenght'", "did you mean 'length'?"),
        ("data.x is definde", "definde", "unknown test 'definde'", "did you mean 'defined'?"),
        ("data.x.items()", "items", "unknown method 'items'", "did you mean '| items'?"),
        ("data.x.uper()", "uper", "unknown method 'uper'", "did you mean 'upper'?"),
        ("length(data.x)", "length", "unknown function 'length'", "did you mean '| length'?"),
        ("now() > 1", "now", "'now' is a value", None),
        ("data.x ** 9", "**", "** is refused", None),
        ("2 * 'ab'", "*", "repeating a text or a list", None),
        ("[0] * data.n", "*", "repeating a text or a list", None),
        ("data.__class__", "__class__", "'__class__' is private", None),
        ("data.x if data.y", "data", "an 'if' without 'else'", "add else …"),
        ("{{ data.x }}", "{{", "this is an expression already", "write data.x"),
        ("data.x == {{ 1 }}", "}}", "", "an expression stands without {{ }}"),
        ("data.kind == 'x", "'", "the text that starts here does not end", None),
        ("(data.kind", "", "unexpected end, expected ')'", None),
        ("data.kind ==", "", "unexpected end", None),
        ("", "", "unexpected end", None),
        ("range(3)()", "()", "only functions and methods can be called", None),
    ],
)
def test_a_mistake_in_an_expression_has_a_reason_a_place_and_a_suggestion(
    source: str, place: str, reason: str, suggestion: str | None
) -> None:
    mistake = mistake_of(source)
    assert reason in mistake.reason
    assert mistake.suggestion == suggestion
    assert source[mistake.offset :].startswith(place)
    if place.strip():
        assert mistake.length == len(place.strip()) or reason.startswith("unexpected")


@pytest.mark.parametrize(
    ("source", "place", "reason"),
    [
        ("room {{ data.x | foo }} {{ oops }}", "foo", "unknown filter 'foo'"),
        ("room {{ data.x }} {{ oops }}", "oops", "unknown name 'oops'"),
        ("a\nb\n  {{ oops }}", "oops", "unknown name 'oops'"),
        ("{%- if oops -%} a {%- endif -%}", "oops", "unknown name 'oops'"),
        ("{{ data.x", "", "unexpected end"),
        ("{{ data.x }", "}", "unexpected '}'"),
        ("{{ }}", "}}", "expected an expression"),
        ("{% if data.x %}a", "", "unexpected end"),
        ("{{ 1 }}{% endif %}", "endif", "unknown tag 'endif'"),
        ("{% include 'x' %}", "include", "'include' is not available here"),
        ("{% import 'x' as y %}", "import", "'import' is not available here"),
        ("{% from 'x' import y %}", "from", "'from' is not available here"),
        ("{% extends 'x' %}", "extends", "'extends' is not available here"),
        ("{% block x %}{% endblock %}", "block", "'block' is not available here"),
        ("{% macro x() %}{% endmacro %}", "macro", "'macro' is not available here"),
        ("{% call x() %}{% endcall %}", "call", "'call' is not available here"),
        ("{% filter upper %}x{% endfilter %}", "filter", "'filter' is not available here"),
        ("{% with a = 1 %}{% endwith %}", "with", "'with' is not available here"),
        ("{% autoescape true %}{% endautoescape %}", "", "not available here"),
        ("{% set x %}a{% endset %}", "set", "'set' is not available here"),
        ("{% set x.y = 1 %}", "set", "only a plain name can be set"),
        ("{% set data = 1 %}", "data", "'data' is taken"),
        ("{% for data in [1] %}{% endfor %}", "data", "'data' is taken"),
        ("{% for x in [1] recursive %}{% endfor %}", "recursive", "'recursive' is not available here"),
        ("{% for a in data %}" * 6 + "{% endfor %}" * 6, "for", "more than 5 loops in each other"),
        ("{{ loop.index }}", "loop", "unknown name 'loop'"),
        ("{{ self }}", "self", "unknown name 'self'"),
        ("{{ namespace() }}", "namespace", "unknown function 'namespace'"),
        ("{{ lipsum() }}", "lipsum", "unknown function 'lipsum'"),
        ("{{ cycler(1) }}", "cycler", "unknown function 'cycler'"),
    ],
)
def test_a_mistake_in_a_template_has_a_reason_and_a_place(source: str, place: str, reason: str) -> None:
    mistake = mistake_of(source, Template)
    assert reason in mistake.reason
    assert source[mistake.offset :].startswith(place)


@pytest.mark.parametrize(
    "source",
    [
        *("(" * 5000, "[" * 5000, "not " * 5000 + "1", "-" * 5000 + "1", "1+" * 5000 + "1", "data" + ".a" * 5000),
        *("x" * 100_000, "1" * 5000, "data.a and " * 5000 + "1", "1 if 1 else " * 2000 + "1"),
    ],
)
def test_a_source_without_measure_is_a_mistake(source: str) -> None:
    mistake_of(source)


@given(st.lists(st.sampled_from(SNIPPETS), max_size=25).map("".join))
def test_any_source_is_an_expression_or_a_mistake_inside_it(source: str) -> None:
    for kind in (Expression, Template):
        try:
            kind(source)
        except MistakeError as mistake:
            place = mistake.offset
        else:
            place = 0
        assert 0 <= place <= len(source)


@given(st.text())
def test_any_text_is_a_template_or_a_mistake(text: str) -> None:
    for source in (text, "{{" + text, "{{ " + text + " }}", "{%" + text):
        try:
            Template(source)
        except MistakeError as mistake:
            found = mistake.reason
        else:
            found = "fine"
        assert found
