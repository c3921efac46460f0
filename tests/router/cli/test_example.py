"""The request that `router start` proposes to try."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from router.catalog import Catalog
from router.cli.example import Example, examples
from router.topology.check import check

URL = "http://127.0.0.1:8080"
DEADLINE_S = 10.0


def proposed(text: str) -> list[Example]:
    """For a topology of this text."""
    full = f"router: 1\nname: test\n{text}"
    topology, problems = check(full, path=Path("t.yaml"), catalog=Catalog.installed(), environ={})
    assert topology is not None, problems
    return examples(topology, URL)


def words(example: Example) -> list[str]:
    """As a shell hands them to curl."""
    program = f"set -- {example.line.removeprefix('curl ')}; for word; do printf '%s\\0' \"$word\"; done"
    done = subprocess.run(
        ["sh", "-c", program], capture_output=True, text=True, timeout=DEADLINE_S, check=True, env=os.environ
    )
    return done.stdout.split("\0")[:-1]


def body(example: Example) -> Any:
    arguments = words(example)
    return json.loads(arguments[arguments.index("-d") + 1])


def route(*lines: str, to: str = "log", actor: str = "hook: {type: webhook, path: /hook}") -> str:
    every = ["actors:", f"  {actor}", "  log: {type: log}", "routes:", "  r:", "    from: hook", f"    to: {to}"]
    return "\n".join([*every, *(f"    {line}" for line in lines)]) + "\n"


def test_the_line_is_a_whole_command() -> None:
    """It can be pasted as it is."""
    (example,) = proposed(route())
    assert words(example)[:4] == ["-i", f"{URL}/hook", "-H", "Content-Type: application/json"]
    assert body(example) == {"text": "hello"}


def test_its_body_has_the_fields_that_the_route_looks_at() -> None:
    """With values that its conditions hold for."""
    (example,) = proposed(
        route(
            "when: \"data.kind == 'sale' and data.order.total > 5 and data.open == true and data.code in ['b', 'c']\"",
            'order_by: "{{ data.customer.id }}"',
            "steps:",
            "  - filter: data.lines <= 3 and data.note.upper() != ''",
            "  - map: {set: {data.greeting: 'hola {{ data.name }}'}}",
        )
    )
    assert body(example) == {
        "lines": 3,
        "note": "hello",
        "name": "Ada",
        "kind": "sale",
        "order": {"total": 6},
        "open": True,
        "code": "b",
        "customer": {"id": "1"},
        "text": "hello",
    }


def test_a_phone_number_is_written_as_people_write_it() -> None:
    """So that one sees what the step makes of it."""
    (example,) = proposed(route("steps: [{phone: {field: data.to, regions: [EC, CO]}}]"))
    assert body(example)["to"] == "099 123 4567"
    (example,) = proposed(route("steps: [{phone: {field: data.to}}]"))
    assert body(example)["to"] == "+593991234567"


def test_what_dedup_looks_at_is_new_each_time() -> None:
    """The same line a second later would be a copy otherwise, and nothing would arrive."""
    (example,) = proposed(route('steps: [{dedup: {key: "{{ data.message_id }}"}}]'))
    assert "'$(date +%s)'" in example.line
    assert int(body(example)["message_id"]) > 1_000_000_000


def test_what_a_schema_requires_is_there_and_nothing_else() -> None:
    """The message shall pass it."""
    schema = (
        "{type: object, additionalProperties: false, required: [kind, count, to, tags],"
        " properties: {kind: {enum: [a, b]}, count: {type: integer, minimum: 7}, to: {type: string},"
        " tags: {type: array}, other: {}}}"
    )
    (example,) = proposed(route(f"steps: [{{validate: {{schema: {schema}}}}}]"))
    assert body(example) == {"kind": "a", "count": 7, "to": "+593991234567", "tags": []}


def test_the_first_case_of_a_match_is_taken() -> None:
    """Its condition holds for the example."""
    to = "{match: [{when: \"data.kind == 'x'\", to: log}], else: log}"
    assert body(proposed(route(to=to))[0])["kind"] == "x"


@pytest.mark.parametrize(
    ("verify", "argument", "note"),
    [
        ('{bearer: "${T:-secret}"}', "Authorization: Bearer t0ken", "set TOKEN to the token first"),
        ('{basic: {ada: "${T:-secret}"}}', "ada", "curl asks for the password"),
        ('{hmac: {secret: "${T:-secret}", header: X-Sig}}', None, "it wants a signature in X-Sig"),
    ],
)
def test_no_secret_is_printed(verify: str, argument: str | None, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sender has to prove is left to the reader."""
    monkeypatch.setenv("TOKEN", "t0ken")
    (example,) = proposed(route(actor=f"hook: {{type: webhook, path: /hook, verify: {verify}}}"))
    assert "secret" not in example.line
    assert example.note.startswith(note)
    assert argument is None or argument in words(example)


def test_other_methods_are_named() -> None:
    """POST is what curl does by itself, and a GET has no body."""
    (example,) = proposed(route(actor="hook: {type: webhook, path: /hook, methods: [PUT]}"))
    assert words(example)[2:4] == ["-X", "PUT"]
    (example,) = proposed(route(actor="hook: {type: webhook, path: /hook, methods: [GET]}"))
    assert words(example) == ["-i", f"{URL}/hook", "-X", "GET"]


def test_only_webhooks_that_lead_somewhere_are_proposed() -> None:
    """A disabled one, and one without a route, would answer 404 or do nothing."""
    text = (
        "actors:\n  a: {type: webhook, path: /a}\n  b: {type: webhook, path: /b, enabled: false}\n"
        "  c: {type: timer, every: 1h}\n  log: {type: log}\nroutes:\n  r: {from: [b, c], to: log}\n"
    )
    assert proposed(text) == []


def test_values_with_quotes_survive_the_shell() -> None:
    """They come from the file, which may hold anything."""
    (example,) = proposed(route("""when: 'data.kind == "it''s"'"""))
    assert body(example)["kind"] == "it's"


def test_a_long_line_is_broken_where_a_shell_goes_on() -> None:
    """In a terminal that is too narrow for it; the command stays the same."""
    (example,) = proposed(route("steps: [{phone: {field: data.to}}]"))
    lines = example.lines(60)
    assert len(lines) == 3
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert words(Example(("\n".join(lines),))) == words(example)
    assert example.lines(1000) == [example.line]
