"""A problem is shown with its line, carets under its place, and a suggestion."""

from __future__ import annotations

import json

import pytest

from router.topology.problems import Problem, TopologyError, by_place, did_you_mean, render


def problem(source: str, column: int, length: int, suggestion: str = "", line: int = 14) -> Problem:
    return Problem("topology.yaml", line, column, length, "wrong", suggestion, source=source)


def test_the_form_is_the_one_of_the_documentation() -> None:
    shown = render(
        Problem(
            file="topology.yaml",
            line=14,
            column=9,
            length=3,
            message="unknown option 'qso' for actor type 'mqtt'",
            suggestion="did you mean 'qos'?",
            source="        qso: 1",
        )
    )
    assert shown == (
        "topology.yaml:14:9: error: unknown option 'qso' for actor type 'mqtt'\n"
        "   14 |         qso: 1\n"
        "      |         ^^^ did you mean 'qos'?"
    )


def test_without_a_suggestion_the_carets_end_the_line() -> None:
    assert render(problem("a: 1", 4, 1)).endswith("\n      |    ^")


def test_carets_stand_under_their_place_after_tabs_and_wide_characters() -> None:
    """A tab is kept, a wide character counts twice, a combining one not at all."""
    assert render(problem("\ta: b", 5, 1)).splitlines()[2] == "      | \t   ^"
    assert render(problem("名: 値", 4, 1)).splitlines()[2] == "      |     ^^"
    assert render(problem("e\u0301: b", 5, 1)).splitlines()[2] == "      |    ^"


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert "\x1b" not in render(problem("a: \x1b[2J", 4, 4))


@pytest.mark.parametrize("column", [1, 5_000, 9_990])
def test_a_long_line_is_cut_around_the_place(column: int) -> None:
    source = "x" * (column - 1) + "HERE" + "y" * (10_000 - column)
    _, text, carets = render(problem(source, column, 4)).splitlines()
    assert len(text) < 250
    assert text[carets.index("^") : carets.rindex("^") + 1] == "HERE"


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    shown = render(Problem("topology.yaml", 0, 0, 0, "the file is empty", "write something"))
    assert shown == "topology.yaml: error: the file is empty\n      = write something"


def test_problems_are_sorted_by_their_place_and_errors_come_first() -> None:
    warning = Problem("f", 2, 1, 1, "b", severity="warning")
    error = Problem("f", 2, 1, 1, "c")
    earlier = Problem("f", 1, 9, 1, "d", severity="warning")
    assert by_place([warning, error, earlier]) == [earlier, error, warning]


def test_a_problem_for_machines_is_plain_json() -> None:
    assert json.loads(json.dumps(problem("a: 1", 4, 1, "b").as_dict())) == {
        "file": "topology.yaml",
        "line": 14,
        "column": 4,
        "length": 1,
        "severity": "error",
        "message": "wrong",
        "suggestion": "b",
        "source": "a: 1",
    }


def test_the_error_carries_its_problems_and_counts_errors_alone() -> None:
    error = TopologyError([problem("a: 1", 4, 1), Problem("f", 1, 1, 1, "w", severity="warning")])
    assert len(error.problems) == 2
    assert str(error).endswith("the topology has 1 problem")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("qso", "qos"), ("fallbak", "fallback"), ("Timeout", "timeout"), ("xyz", ""), ("", "")],
)
def test_the_closest_word_is_suggested_if_it_is_close(word: str, meant: str) -> None:
    expected = f"did you mean '{meant}'?" if meant else ""
    assert did_you_mean(word, ["qos", "fallback", "timeout", "retain"]) == expected
