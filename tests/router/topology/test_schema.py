"""The JSON Schema of the language says what an editor needs to know, and agrees with the checker."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from router.catalog import Catalog
from router.topology.schema import json_schema
from tests.router.topology.checking import problems_of
from tests.router.topology.sample_types import sample_catalog

WHOLE: dict[str, Any] = {
    "router": 1,
    "name": "test",
    "settings": {
        "state_dir": ".router",
        "http": {"host": "127.0.0.1", "port": "${PORT:-8080}", "tls": {"cert": "a.pem", "key": "b.pem"}},
        "control": {"listen": "unix"},
        "observe": {"listen": "127.0.0.1:9464"},
        "drain_timeout": "30s",
        "log": {"format": "console", "level": "info"},
        "redact": ["phone"],
        "retention": {"dead_letters": {"age": "30d", "size": "1GiB"}, "history": {"count": 1000}},
    },
    "connections": None,
    "actors": {
        "in": {"type": "door", "path": "/in", "verify": {"secret": "${SECRET}"}},
        "out": {"type": "post", "url": "http://a/{{ data.id }}", "qos": "${QOS}", "limit": {"max": 80, "per": "1s"}},
        "sink": {
            "type": "sink",
            "enabled": True,
            "mailbox": {"capacity": 1000, "overflow": "wait"},
            "supervise": {"restart": "permanent", "backoff": {"min": "100ms", "max": "30s", "jitter": 0.2}},
            "breaker": {"failures": "50%", "window": "30s", "min_requests": 20, "open": "30s"},
        },
    },
    "groups": {"g": {"strategy": "rest_for_one", "actors": ["out", "sink"]}},
    "routes": {
        "r": {
            "from": "in",
            "when": "data.kind == 'alarm'",
            "order_by": "{{ data.from }}",
            "concurrency": 4,
            "durable": True,
            "timeout": "10s",
            "retry": {"attempts": 5, "backoff": "exponential", "delay": "1s", "max_delay": "1m", "jitter": 0.2},
            "max_waiting": 1000,
            "on_unknown": "retry",
            "steps": [{"filter": "data.a"}, {"list": {"names": ["a"]}}],
            "to": {
                "match": [{"when": "data.a", "to": "out"}, {"when": "data.b", "to": ["out", "sink"]}],
                "else": "sink",
            },
            "fallback": ["sink"],
            "dead_letter": "sink",
        },
        "s": {"from": ["in"], "to": "sink"},
        "u": {"from": ["in"], "to": {"split": {"sink": 90, "out": "${OUT}", "relay": 0.5}, "by": "{{ data.from }}"}},
        "t": {"from": ["in"], "to": ["sink", "out"], "fallback": "relay"},
    },
}


SCHEMA = json_schema(sample_catalog())


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(SCHEMA)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The whole example with one value changed, added, or (where it is ...) removed."""
    document: dict[str, Any] = json.loads(json.dumps(WHOLE))
    *parents, last = path.split("/")
    part: Any = document
    for key in parents:
        part = part[int(key) if isinstance(part, list) else key]
    if value is ...:
        del part[last]
    else:
        part[int(last) if isinstance(part, list) else last] = value
    return document


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_an_example_with_every_key_of_the_language_is_valid(validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(WHOLE)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("router", 2),
        ("name", ...),
        ("name", "My Router"),
        ("setings", {}),
        ("settings/http/port", 65536),
        ("settings/http/port", "8080"),
        ("settings/drain_timeout", 30),
        ("settings/drain_timeout", "30 sec"),
        ("settings/log/level", "loud"),
        ("connections", {"b": {"type": "mqtt"}}),
        ("actors/in/type", "dor"),
        ("actors/in/type", ...),
        ("actors/in/path", ...),
        ("actors/in/path", "in"),
        ("actors/in/pth", "/in"),
        ("actors/in/verify", {"secrt": "x"}),
        ("actors/out/qos", 3),
        ("actors/out/qos", "one"),
        ("actors/sink/enabled", "yes"),
        ("actors/sink/mailbox/overflow", "explode"),
        ("actors/a b", {"type": "sink"}),
        ("groups/g/strategy", ...),
        ("routes/r/to", ...),
        ("routes/r/to", 5),
        ("routes/r/to/else", 5),
        ("routes/r/to/match/0/when", 5),
        ("routes/r/to/split", {}),
        ("routes/u/to/split", {}),
        ("routes/u/to/split/sink", -1),
        ("routes/u/to/split/sink", "90"),
        ("routes/u/to/split/sink", 1_000_001),
        ("routes/u/to/by", ["data.from"]),
        ("routes/u/to/else", "sink"),
        ("routes/r/sources", "in"),
        ("routes/r/timeout", 10),
        ("routes/r/steps/0", {"filtr": "x"}),
        ("routes/r/steps/0", {"filter": "data.a", "list": "x"}),
        ("routes/r/steps/0", "filter"),
        ("routes/r/steps/1/list/name", "x"),
    ],
)
def test_a_broken_example_is_not(validator: Draft202012Validator, path: str, value: Any) -> None:
    """And the checker, which reads JSON as YAML, finds it broken too."""
    document = changed(path, value)
    assert not validator.is_valid(document)
    text = json.dumps({key: part for key, part in document.items() if key not in ("router", "name")})
    if path not in ("router", "name"):
        found = problems_of(f"x: &x {text}\n")  # below a key, since the first two lines are there already
        assert found


@pytest.mark.parametrize(
    "path", ["settings/http/port", "actors/sink/enabled", "actors/out/timeout", "routes/r/concurrency"]
)
def test_a_variable_may_stand_where_a_number_or_the_like_is_wanted(validator: Draft202012Validator, path: str) -> None:
    assert validator.is_valid(changed(path, "${VALUE}"))
    assert validator.is_valid(changed(path, "${VALUE:-5}"))


def test_descriptions_are_there_for_types_and_options() -> None:
    definitions = SCHEMA["$defs"]
    assert definitions["actor.door"]["description"] == "Lets messages in."
    assert definitions["actor.door"]["properties"]["path"]["description"] == "Where it is."
    assert "description" in definitions["actor.door"]["properties"]["mailbox"]
    assert definitions["step"]["properties"]["filter"]["description"] == "Lets pass what an expression holds for."
    assert "started" in definitions["actor.sink"]["properties"]["enabled"]["description"]


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(SCHEMA)
    for name in {part.split('"')[0] for part in text.split("#/$defs/")[1:]}:
        assert name in SCHEMA["$defs"]


def test_the_installed_types_have_a_schema_too() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = json_schema(Catalog.installed())
    Draft202012Validator.check_schema(schema)
    example = {
        "router": 1,
        "name": "hello",
        "actors": {"in": {"type": "webhook", "path": "/hello"}, "out": {"type": "log"}},
        "routes": {"r": {"from": "in", "to": "out", "steps": [{"filter": "data.a"}]}},
    }
    assert Draft202012Validator(schema).is_valid(example)
    example["routes"]["r"]["too"] = "out"  # type: ignore[index]
    assert not Draft202012Validator(schema).is_valid(example)


def test_without_any_type_there_is_a_schema() -> None:
    validator = Draft202012Validator(json_schema(Catalog()))
    assert validator.is_valid({"router": 1, "name": "a"})
    assert not validator.is_valid({"router": 1, "name": "a", "actors": {"x": {"type": "y"}}})
