"""A file is checked as a whole: its first lines, its sections, its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.topology.check import MAX_BYTES, check, check_file, load_topology
from router.topology.problems import TopologyError
from tests.router.topology.checking import HEAD, brief, told
from tests.router.topology.sample_types import sample_catalog

CATALOG = sample_catalog()


def briefly(text: str | bytes) -> list[str]:
    _, problems = check(text, path=Path("t.yaml"), catalog=CATALOG, environ={})
    return [brief(problem) for problem in problems]


def test_a_file_with_nothing_but_its_first_lines_is_a_topology() -> None:
    topology, problems = check(HEAD, path=Path("t.yaml"), catalog=CATALOG, environ={})
    assert topology is not None
    assert (topology.name, problems) == ("test", [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a", ["n | missing key 'router' (write 'router: 1')"]),
        ("router: 1", ["r | missing key 'name' (write 'name: …')"]),
        ("router: 2\nname: a", ["2 | version '2' of the language is unknown (this router reads version 1)"]),
        ("router: '1'\nname: a", ["'1' | version '1' of the language is unknown (this router reads version 1)"]),
        ("router: true\nname: a", ["true | version 'True' of the language is unknown (this router reads version 1)"]),
        (
            "router:\nname: [a]",
            [
                "router | 'router' should not be nothing (write 'router: 1')",
                "name | 'name' should not be a list (write 'name: …')",
            ],
        ),
        (
            "router: 1\nname: My_Router",
            ["My_Router | 'My_Router' cannot be a router's name (a-z, 0-9 and -; 63 at most)"],
        ),
        ("router: 1\nname: 5", ["5 | '5' cannot be a router's name (a-z, 0-9 and -; 63 at most)"]),
        ("router: 1\nname: a\nactor: {}", ["actor | unknown key 'actor' in a topology (did you mean 'actors'?)"]),
        (
            "router: 1\nname: a\nrollouts: {}",
            ["rollouts | unknown key 'rollouts' in a topology (did you mean 'routes'?)"],
        ),
        ("router: 1\nname: a\nactors: []", ["[] | 'actors' should be a mapping of names, not a list"]),
        (
            "router: 1\nname: a\nactors: {a b: {type: sink}}",
            [
                "a b | 'a b' cannot be a name in 'actors' (a letter, then letters, digits, - and _; 63 at most)",
                "a b | warning: no route uses actor 'a b'",
            ],
        ),
        (
            "router: 1\nname: a\nconnections: {b: {type: mqtt}}",
            ["mqtt | unknown connection type 'mqtt' (there are none yet)"],
        ),
        ("[a]", ["[a] | a topology is a mapping, not a list (it begins with 'router: 1')"]),
        ("a", ["a | a topology is a mapping, not a string (it begins with 'router: 1')"]),
        (b"name: \xff", ["\N{REPLACEMENT CHARACTER} | not UTF-8: byte 0xff"]),
        ("router: 1\nname: b".encode("utf-16"), ["\N{REPLACEMENT CHARACTER} | not UTF-8: byte 0xff"]),
    ],
)
def test_what_is_wrong_at_the_top_is_told(text: str | bytes, expected: list[str]) -> None:
    assert briefly(text) == expected


@pytest.mark.parametrize("text", ["", "# nothing", "---", "~"])
def test_an_empty_file_is_a_problem_without_a_place(text: str) -> None:
    _, (problem,) = check(text, path=Path("t.yaml"), catalog=CATALOG, environ={})
    assert (problem.line, problem.message) == (0, "the file is empty")


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert briefly(b"\xef\xbb\xbf" + HEAD.encode()) == []
    assert briefly("\ufeff" + HEAD) == []


def test_a_file_that_is_too_large_is_not_read() -> None:
    _, (problem,) = check("#" * (MAX_BYTES + 1), path=Path("t.yaml"), catalog=CATALOG, environ={})
    assert problem.message == "the file is larger than 8 MiB"


def test_three_mistakes_in_three_parts_are_told_at_once() -> None:
    """In the order of the file."""
    _, problems = check(
        HEAD + "settings: {drain_timeout: 30}\nactors: {in: {type: door, pth: /}}\nroutes: {r: {from: in, to: ot}}",
        path=Path("t.yaml"),
        catalog=CATALOG,
        environ={},
    )
    assert [problem.line for problem in problems] == [3, 4, 5]


def test_a_broken_scalar_is_told_once() -> None:
    """A variable that is missing makes no second problem of the option that it should have filled."""
    assert told("actors: {x: {type: post, url: \"${URL}\", qos: '${QOS}'}}\nroutes: {r: {from: '${A}', to: x}}") == [
        "${URL} | the environment variable 'URL' is not set, and has no default",
        "${QOS} | the environment variable 'QOS' is not set, and has no default",
        "${A} | the environment variable 'A' is not set, and has no default",
    ]


def test_warnings_do_not_keep_a_topology_from_being_made(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(HEAD + "actors: {x: {type: sink}}")
    assert load_topology(file, catalog=CATALOG, environ={}).actors["x"].type == "sink"
    topology, problems = check_file(file, catalog=CATALOG, environ={})
    assert topology is not None
    assert [problem.severity for problem in problems] == ["warning"]


def test_errors_are_raised_together(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("router: 2\nname: X\n")
    with pytest.raises(TopologyError) as raised:
        load_topology(file, catalog=CATALOG, environ={})
    assert [(problem.file, problem.line) for problem in raised.value.problems] == [(str(file), 1), (str(file), 2)]


@pytest.mark.parametrize(("name", "why"), [("missing.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str, why: str) -> None:
    _, (problem,) = check_file(tmp_path / name, catalog=CATALOG, environ={})
    assert problem.message == f"the file cannot be read: {why}"


def test_files_are_named_from_the_folder_of_the_topology(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("from-a-file\n")
    topology, _ = check("router: 1\nname: ${file:name}", path=tmp_path / "t.yaml", catalog=CATALOG, environ={})
    assert topology is not None
    assert topology.name == "from-a-file"


def test_a_thousand_problems_are_told_and_the_others_counted() -> None:
    _, problems = check(HEAD + "".join(f"x{n}: 1\n" for n in range(1200)), path=Path("t"), catalog=CATALOG, environ={})
    assert len(problems) == 1001
    assert problems[-1].message == "200 more problems are not shown"
