"""Whatever a file holds, the answer is a topology or problems: never a traceback, and never for long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.topology.check import check
from router.topology.problems import Problem, render
from tests.router.topology.sample_types import sample_catalog

CATALOG = sample_catalog()
ENVIRON = {"PORT": "8080", "SECRET": "hunter2-hunter2", "EMPTY": ""}
VALID = """\
router: 1
name: fuzz
settings: {http: {port: "${PORT}"}, log: {format: json}}
actors:
  in: {type: door, path: /in, respond: accepted, verify: {secret: "${SECRET}"}}
  out:
    type: post
    url: "http://127.0.0.1/{{ data.id }}"
    tags: &tags [a, b]
    timeout: 5s
    mailbox: {capacity: 10, overflow: reject}
  sink: {type: sink, supervise: {backoff: {min: 1s, max: 10s}}}
  relay: {type: relay}
groups:
  g: {strategy: one_for_all, actors: [out, sink]}
routes:
  r:
    from: [in, relay]
    when: data.kind == 'alarm'
    order_by: "{{ data.from }}"
    durable: true
    retry: {attempts: 3, delay: 500ms}
    steps:
      - filter: data.level > 3
      - list: {names: *tags}
    to:
      match:
        - {when: data.a, to: out}
        - {when: "data.b", to: [out, sink]}
      else: sink
    fallback: sink
"""
WORDS = ["actors", "routes", "to", "from", "match", "type", "sink", "post", "relay", "in", "when", "5", "true", "null"]
WORDS += [
    *"{}[]:-,#&*!|>'\"%@`?$ \t\n",
    "\r\n",
    "${",
    "${PORT}",
    "${file:/etc/passwd}",
    "{{",
    "}}",
    "&a ",
    "*a",
    "!!python/name:os.system ",
]
WORDS += [
    "<<: ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "0x",
    ".inf",
    "1e999",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "💥",
    "((((",
    "a.b.c",
    "9" * 400,
]


def outcome(text: str | bytes) -> list[Problem]:
    topology, problems = check(text, path=Path("f.yaml"), catalog=CATALOG, environ=ENVIRON)
    shown = "\n".join(render(problem) for problem in problems)
    assert "hunter2-hunter2" not in shown
    assert (topology is None) == any(problem.severity == "error" for problem in problems)
    return problems


def test_the_example_is_valid() -> None:
    assert outcome(VALID) == []


@given(st.text())
def test_any_text(text: str) -> None:
    outcome(text)


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    outcome(data)


@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
def test_text_that_looks_like_yaml(text: str) -> None:
    outcome(text)


@given(st.data())
@settings(max_examples=300)
def test_a_valid_file_with_a_part_replaced(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(VALID)))
    end = data.draw(st.integers(start, min(len(VALID), start + 30)))
    outcome(VALID[:start] + data.draw(st.sampled_from(WORDS) | st.text(max_size=5)) + VALID[end:])


@given(st.data())
@settings(max_examples=200)
def test_a_valid_file_with_its_lines_mixed(data: st.DataObject) -> None:
    lines = VALID.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        line = lines.pop(data.draw(st.integers(0, len(lines) - 1)))
        lines.insert(data.draw(st.integers(0, len(lines))), data.draw(st.sampled_from(["", " ", "  ", "    "])) + line)
    outcome("".join(lines))


SCALARS = ["null", "true", "5", "-1", "1.5", ".nan", ".inf", "''", "in", "out", "sink", "r", "5s", "yes"]
SCALARS += ["'{{ data.x }}'", "'{{'", "'${SECRET}'"]
KEYS = ["match", "when", "to", "else", "type", "min", "secret", "x"]


def flow_list(parts: list[str]) -> str:
    return f"[{', '.join(parts)}]"


def flow_mapping(parts: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {part}" for key, part in parts.items()) + "}"


VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(flow_list)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(flow_mapping)
    ),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=300)
def test_a_valid_file_with_any_value_behind_any_key(data: st.DataObject) -> None:
    """Each key of the language meets values of every shape."""
    lines = VALID.splitlines()
    number = data.draw(
        st.sampled_from([n for n, line in enumerate(lines) if line.rstrip().endswith(":") or ": " in line])
    )
    key = lines[number].split(":")[0]
    indent = len(key) - len(key.lstrip(" -"))
    rest = lines[number + 1 :]
    while rest and len(rest[0]) - len(rest[0].lstrip(" ")) > indent:
        rest.pop(0)
    outcome("\n".join([*lines[:number], f"{key}: {data.draw(VALUES)}", *rest]))


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: &a [" + "*a, " * 10_000 + "]",
        "router: 1\nname: t\nactors:\n" + "".join(f"  a{n}: {{type: sinc}}\n" for n in range(5_000)),
        "router: 1\nname: t\nroutes:\n" + "".join(f"  r{n}: {{from: a{n}, to: b{n}}}\n" for n in range(5_000)),
        "router: 1\nname: t\n" + "".join(f"key{n}: x\n" for n in range(20_000)),
        "router: 1\nname: t\nactors:\n" + "".join(f"  a{n}: {{type: post, url: x, token: t}}\n" for n in range(2_000)),
        "router: 1\nname: t\nactors: {x: {type: post, url: x, token: " + "s" * 1_000_000 + "}}",
        "a: 1\n" * 20_000,
        "a: '" + "${X}" * 100_000 + "'",
        "a: &a '" + "x" * 1_000_000 + "'\nb: [" + "*a, " * 100_000 + "]",
        "a: " + "'" * 1_000_000,
        "? " * 100_000,
    ],
    ids=[
        "brackets",
        "self",
        "types",
        "names",
        "keys",
        "secrets",
        "long",
        "duplicates",
        "variables",
        "long-aliases",
        "quotes",
        "questions",
    ],
)
def test_hostile_files_are_answered_in_bounded_time(text: str) -> None:
    started = time.perf_counter()
    assert outcome(text)
    assert time.perf_counter() - started < 15
