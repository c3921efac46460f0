"""What is wrong with a value is told in words, at its place, once, and without what must not be shown."""

from __future__ import annotations

import pytest

from tests.router.topology.checking import problems_of, told


def actor(options: str) -> str:
    return f"actors: {{x: {{{options}}}}}\nroutes: {{r: {{from: y, to: x}}, s: {{from: x, to: y}}}}\n"


def errors(text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Of the actors alone; the routes are there so that each is used."""
    return [line for line in told(text, environ) if not line.startswith(("x |", "y |"))]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("type: post, url: a, qso: 1", "qso | unknown option 'qso' for actor type 'post' (did you mean 'qos'?)"),
        (
            "type: post, url: a, mailboks: {}",
            "mailboks | unknown option 'mailboks' for actor type 'post' (did you mean 'mailbox'?)",
        ),
        ("type: post, url: a, qos: 3", "3 | 'qos' should be less than or equal to 2"),
        ("type: post, url: a, qos: '1'", "'1' | 'qos' should be a whole number, not a string (without quotes: 1)"),
        ("type: post, url: a, qos: 1.5", "1.5 | 'qos' should be a whole number, not a decimal number"),
        ("type: post, url: a, qos: .inf", ".inf | 'qos' should be a whole number, not a decimal number"),
        ("type: post, url: a, qos: true", "true | 'qos' should be a whole number, not true or false"),
        ("type: post, url: a, qos: [1]", "qos | 'qos' should be a whole number, not a list"),
        ("type: post, url: a, qos: ", "qos | 'qos' should be a whole number, not nothing"),
        ("type: post, url: a, tags: word", "word | 'tags' should be a list, not a string"),
        (
            "type: post, url: a, tags: [a, 5]",
            "5 | entry 2 of 'tags' should be a string, not a number (put it in quotes)",
        ),
        ("type: post, url: a, timeout: 5", "5 | 'timeout': expected a duration with its unit: write 5s or 5ms, not 5"),
        ("type: post, url: a, timeout: 5 sec", "5 sec | 'timeout': expected a duration: write 5s, not 5 sec"),
        ("type: post, url: a, enabled: yes", "yes | 'enabled' should be true or false, not a string (write true)"),
        ("type: post, url: a, enabled: off", "off | 'enabled' should be true or false, not a string (write false)"),
        ("type: post, url: a, enabled: 1", "1 | 'enabled' should be true or false, not a number"),
        (
            "type: post, url: a, mailbox: {overflow: rejct}",
            "rejct | 'overflow' should be 'wait', 'reject', 'drop_oldest' or 'drop_newest' (did you mean 'reject'?)",
        ),
        ("type: post, url: a, mailbox: 5", "5 | 'mailbox' should be a mapping, not a number"),
        ("type: post, url: a, supervise: {backoff: {min: 1m}}", "backoff | 'backoff': 'min' is longer than 'max'"),
        ("type: post, url: a, limit: {max: 5}", "limit | missing key 'per' in 'limit'"),
        ("type: post, url: a, limit: {max: 5, pre: 1s}", "pre | unknown key 'pre' in 'limit' (did you mean 'per'?)"),
        ("type: post, url: a, extra: {b: 1}", "extra | 'extra' should be a string or a list, not a mapping"),
        ("type: post, url: a, extra: [1, word]", "word | entry 2 of 'extra' should be a whole number, not a string"),
        ('type: post, url: "a{{ data. }}"', "}} | 'url': expected name or number"),
        ("type: post, url: '{{ dta.x }}'", "dta | 'url': unknown name 'dta' (did you mean 'data'?)"),
        ("type: door, path: in", "in | 'path' should match pattern '^/'"),
        ("type: door, path: /, users: {ann: 5}", "* | 'ann' should be a string, not a number (put it in quotes)"),
        ("type: door, path: /, methods: [PUSH]", "PUSH | entry 1 of 'methods' should be 'POST' or 'PUT'"),
    ],
)
def test_a_wrong_option_is_told_in_words(options: str, expected: str) -> None:
    assert errors(actor(options)) == [expected]


def test_what_is_missing_is_told_at_the_name() -> None:
    assert told("actors:\n  x: {type: post}\nroutes: {r: {from: x, to: x}}") == [
        "x | missing option 'url' for actor type 'post'",
    ]


def test_nothing_behind_a_key_is_an_empty_mapping() -> None:
    assert told("settings:\nconnections:\nactors:\nroutes:\ngroups:\n") == []
    assert told("settings:\n  http:\n") == ["http | 'http' should be a mapping, not nothing"]


def test_everything_wrong_with_an_actor_is_told_at_once() -> None:
    assert len(errors(actor("type: post, qso: 1, timeout: 5, enabled: yes, mailbox: {capacity: 0}"))) == 4


def test_behind_a_validator_that_sees_the_value_first_types_are_as_strict() -> None:
    """Pydantic's own strict mode would take no list for a tuple there."""
    steps = (
        "routes: {r: {from: x, to: x, steps: [{list: a}, {list: {names: [a, b]}}, {list: {names: [a], times: '2'}}]}}"
    )
    assert errors("actors: {x: {type: relay}}\n" + steps) == [
        "'2' | 'times' should be a whole number, not a string (without quotes: 2)"
    ]


def test_a_type_whose_validator_fails_is_a_problem_and_no_traceback() -> None:
    assert told("actors: {x: {type: moody, word: hunter2}}\nroutes: {r: {from: x, to: x}}") == [
        "x | actor type 'moody' cannot check its options: RuntimeError"
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('timeout: "${V}"', """"${V}" | 'timeout': what '${V}' stands for is no valid duration"""),
        ('tags: "${V}"', """"${V}" | 'tags' should be a list, not a string"""),
        ('qos: "${V}"', """"${V}" | 'qos' should be a whole number, not a string"""),
        ("type: ${V}", "${V} | unknown actor type '${V}' (there are: door, moody, post, relay, sink)"),
        ('url: "{{ ${V} }}"', """"{{ ${V} }}" | 'url': what '{{ ${V} }}' stands for is no valid expression"""),
        (
            "mailbox: {overflow: '${V}'}",
            "'${V}' | 'overflow' should be 'wait', 'reject', 'drop_oldest' or 'drop_newest'",
        ),
    ],
)
@pytest.mark.parametrize("value", ["hunter2", "hunter2 || hunter3", "77hunter2s"])
def test_what_a_variable_stands_for_is_never_printed(options: str, expected: str, value: str) -> None:
    given = {"type": "post", "url": "a"}
    text = [
        "actors:",
        "  x:",
        *(f"    {k}: {v}" for k, v in given.items() if not options.startswith(k)),
        f"    {options}",
    ]
    problems = problems_of("\n".join([*text, "routes: {r: {from: x, to: x}}"]), {"V": value})
    assert "hunter" not in str(problems)
    assert expected in told("\n".join(text), {"V": value})


@pytest.mark.parametrize("options", ["token: hunter2", "token: {a: hunter2}", "token: [hunter2, hunter3]"])
def test_a_secret_in_the_file_is_warned_of_and_never_shown(options: str) -> None:
    problems = problems_of(
        f"actors: {{x: {{type: post, url: a, {options}, qso: 1}}}}\nroutes: {{r: {{from: x, to: x}}}}\n"
    )
    assert "hunter" not in str(problems)
    assert any(problem.message == "a secret is written into the file" for problem in problems)


def test_a_secret_is_found_wherever_the_model_has_one() -> None:
    nested = "actors:\n  x: {type: door, path: /,\n    verify: {secret: a},\n    users: {ann: b,\n      bob: '${V}'}}\n"
    found = [problem for problem in problems_of(nested, {"V": "c"}) if "secret" in problem.message]
    assert [(problem.line, problem.severity) for problem in found] == [(5, "warning"), (6, "warning")]


def test_the_default_of_a_secret_variable_is_not_shown() -> None:
    problems = problems_of('actors: {x: {type: post, url: a, token: "${V:-hunter2}", qso: 1}}')
    assert "hunter" not in str(problems)


def test_a_password_in_a_url_is_warned_of_and_never_shown() -> None:
    problems = problems_of('actors: {x: {type: post, url: "https://ann:hunter2@host/", qso: 1}}')
    assert "hunter" not in str(problems)
    assert "a password is written into the file" in [problem.message for problem in problems]
    assert not any(
        "password" in line for line in told('actors: {x: {type: post, url: "https://a:${V}@h/"}}', {"V": "b"})
    )
