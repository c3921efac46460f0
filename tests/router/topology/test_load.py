"""YAML becomes a tree that knows its places; what is no YAML, or too much of it, becomes problems."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.topology import load as load_module
from router.topology.load import MAX_DEPTH, MAX_NODES, load
from router.topology.problems import Problem
from router.topology.report import Report
from router.topology.source import Source
from router.topology.tree import ListNode, MapNode, Node, ScalarNode, plain, scalars, within
from router.topology.variables import Variables

ENVIRON = {"PORT": "8080", "HOME_TOWN": "Quito", "FLAG": "true"}


def read(text: str) -> tuple[Node | None, list[Problem], Source]:
    source = Source("f.yaml", text)
    report = Report(source)
    node = load(source, Variables(ENVIRON, Path()), report)
    return node, report.problems(), source


def values(text: str) -> Any:
    node, problems, _ = read(text)
    assert not problems
    assert node is not None
    return plain(node)


def only_problem(text: str) -> Problem:
    _, problems, _ = read(text)
    assert len(problems) == 1
    return problems[0]


def test_mappings_lists_and_scalars_are_read() -> None:
    assert values("a: 1\nb: [x, {c: ~}]\nd:\n- 'true'\n- true\n- |\n  two\n  lines\n") == {
        "a": 1,
        "b": ["x", {"c": None}],
        "d": ["true", True, "two\nlines\n"],
    }


def test_keys_are_strings_as_they_are_written() -> None:
    """`on`, `1` and `null` are names like any other."""
    assert values("on: 1\n1: 2\nnull: 3\n'a b': 4\n$$x: 5\n$ref: 6") == {
        "on": 1,
        "1": 2,
        "null": 3,
        "a b": 4,
        "$x": 5,
        "$ref": 6,
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(alphabet=st.characters(exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="abc"), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(alphabet="abc-"), JSON))
def test_json_is_read_as_json(data: dict[str, Any]) -> None:
    """JSON is YAML 1.2, apart from our dollars."""
    assert values(json.dumps(data, ensure_ascii=False).replace("$", "$$")) == data


def test_every_key_and_value_knows_its_place() -> None:
    node, _, source = read("a: x\nünï: {b: [1, 'two']}\n")
    assert isinstance(node, MapNode)
    inner = node.get("ünï")
    assert isinstance(inner, MapNode)
    assert source.place(node.entries["ünï"].key) == (2, 1, 3)
    assert source.place(inner.entries["b"].key) == (2, 7, 1)
    assert [source.place(scalar.span) for scalar in scalars(node)] == [(1, 4, 1), (2, 11, 1), (2, 14, 5)]


def test_an_alias_is_what_its_anchor_is() -> None:
    assert values("a: &x {b: 1}\nc: *x\nd: [*x, &y 5, *y]") == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, 5, 5]}


def test_variables_are_put_in_and_plain_scalars_typed_again() -> None:
    assert values('port: ${PORT}\nquoted: "${PORT}"\npart: 1${PORT}\nflag: ${FLAG}\nblock: |\n  ${PORT}\n') == {
        "port": 8080,
        "quoted": "8080",
        "part": 18080,
        "flag": True,
        "block": "8080\n",
    }


def test_what_was_put_in_is_remembered_and_not_shown() -> None:
    node, _, _ = read("a: ${HOME_TOWN}\nb: Quito")
    assert node is not None
    put_in, written = scalars(node)
    assert (put_in.value, put_in.shown()) == ("Quito", "'${HOME_TOWN}'")
    assert written.shown() == "'Quito'"


def test_a_missing_variable_is_told_at_its_place_with_a_close_name() -> None:
    problem = only_problem('a: "x/${HOMETOWN}"')
    assert (problem.line, problem.column, problem.length) == (1, 7, 11)
    assert problem.suggestion == "did you mean 'HOME_TOWN'?"
    assert "Quito" not in str(problem.as_dict())


def test_the_c_parser_is_in_use() -> None:
    """The extra of ruamel.yaml that brings it is easily lost without a word."""
    assert type(load_module._parser("a: 1")).__name__ == "CParser"


def test_without_the_c_parser_the_same_tree_is_read_and_a_notice_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "a: &x ['q', '${PORT}']\nb: {c: *x, d: !!str 5}\ne: |\n  x\n"
    quick, _, _ = read(text)
    monkeypatch.setitem(sys.modules, "_ruamel_yaml", None)
    with caplog.at_level(logging.WARNING, logger="pointsman"):
        slow, problems, _ = read(text)
    assert "C extension is missing" in caplog.text
    assert not problems
    assert quick is not None
    assert slow is not None
    assert plain(slow) == plain(quick)
    assert [(s.start, s.end) for s in scalars(slow)] == [(s.start, s.end) for s in scalars(quick)]
    _, (problem,), _ = read("a: [1, 2\nb: 3\n")
    assert problem.message.startswith("not YAML: ")


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "suggestion"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "duplicate key 'a': it is already in line 1, column 1", ""),
        ("a: {b: 1, b: 2}", 1, 11, "duplicate key 'b': it is already in line 1, column 5", ""),
        ("a:\n\tb: 1", 2, 1, "not YAML: a tab cannot indent", "use spaces"),
        (
            "a: `x`",
            1,
            4,
            "not YAML: found character that cannot start any token",
            "put a value that begins with '`' in quotes",
        ),
        (
            "a: b: c",
            1,
            5,
            "not YAML: mapping values are not allowed in this context",
            "quote a value that holds ': ', or look at the indentation",
        ),
        ("a: 'x\nb: 1", 1, 4, "not YAML: found unexpected end of stream", ""),
        (
            "a: {b: ${PORT}}",
            1,
            9,
            "not YAML: did not find expected ',' or '}'",
            "put '${…}' in quotes within { } and [ ]",
        ),
        ("a: 1\n---\nb: 2", 2, 1, "a second document: a topology is one document", "remove the line '---'"),
        ("a: !!python/object:os.system x", 1, 4, "the tag '!!python/object:os.system' is not allowed", ""),
        ("a: !custom {b: 1}", 1, 4, "the tag '!custom' is not allowed", ""),
        ("a: !!set {b}", 1, 4, "the tag '!!set' is not allowed", ""),
        ("a: !!int x", 1, 4, "tagged '!!int', and is none", ""),
        ("a: *b", 1, 4, "'*b' repeats nothing: there is no '&b' before it", ""),
        ("a: &a [*a]", 1, 8, "'*a' stands within what it repeats", ""),
        ("<<: {a: 1}", 1, 1, "'<<' is no merge key: YAML 1.2 has none", "write the keys out"),
        ("? [a, b]\n: 1", 1, 3, "a key must be a string", ""),
        ("a: &x b\n? *x\n: 1", 2, 3, "an alias cannot be a key", ""),
        ("${PORT}: 1", 1, 1, "'${…}' cannot stand in a key", ""),
        ("a: \x07", 1, 4, "a character that YAML does not allow: U+0007", ""),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, line: int, column: int, message: str, suggestion: str) -> None:
    problem = only_problem(text)
    told = problem.message.partition(" while ")[0]
    assert (problem.line, problem.column, told, problem.suggestion) == (line, column, message, suggestion)


def test_every_duplicate_and_every_tag_is_told() -> None:
    _, problems, _ = read("a: 1\na: !x 2\nb: !y 3\nb: 4")
    assert [problem.line for problem in problems] == [2, 2, 3, 4]


def test_nothing_is_read_from_an_empty_file() -> None:
    assert read("")[:2] == (None, [])
    assert read("# only a comment\n")[:2] == (None, [])


def test_standard_tags_say_what_a_scalar_is() -> None:
    assert values("a: !!str 5\nb: ! true\nc: !!int '7'\nd: !!float 1\ne: !!map {x: !!seq [1]}\nf: !!null ''") == {
        "a": "5",
        "b": "true",
        "c": 7,
        "d": 1,
        "e": {"x": [1]},
        "f": None,
    }


def test_an_alias_bomb_is_refused_at_once() -> None:
    """A billion laughs: each level repeats the one below nine times."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    started = time.perf_counter()
    problem = only_problem("\n".join(levels))
    assert problem.message == f"more than {MAX_NODES:,} keys and values, aliases unfolded"
    assert problem.line > 1
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert only_problem(opening * 20_000).message == f"nested deeper than {MAX_DEPTH} levels"


@given(st.text())
def test_any_text_is_a_tree_or_a_problem(text: str) -> None:
    node, problems, _ = read(text)
    assert node is None or isinstance(node, ScalarNode | ListNode | MapNode)
    assert all(problem.line >= 1 for problem in problems)


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("a: abc def", 4, (1, 8, 3)),
        ("a: 'abc def'", 4, (1, 9, 3)),
        ('a: "abc def"', 4, (1, 9, 3)),
        ('a: "abc\\tdef"', 4, (1, 4, 10)),
        ("a: 'it''s def'", 5, (1, 4, 11)),
        ("a: |\n  one\n  abc def\n", 8, (3, 7, 3)),
        ("a: >\n  one\n  abc def\n", 8, (1, 4, 1)),
        ("a: abc\n  def", 4, (1, 4, 3)),
        ("a: abc", 3, (1, 6, 1)),
    ],
)
def test_a_part_of_a_string_is_found_where_it_can_be_told(text: str, offset: int, place: tuple[int, int, int]) -> None:
    node, _, source = read(text)
    assert node is not None
    (scalar,) = scalars(node)
    assert source.place(within(source, scalar, offset, 3)) == place
