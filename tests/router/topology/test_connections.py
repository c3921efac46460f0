"""Connections, and the options of actors that name them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest

from actors.core.actor import AsyncioActor
from actors.core.connection import ConnectionContext, ConnectionTo, connection
from actors.core.spec import Context, Options, endpoint
from router.catalog import Catalog
from router.topology.check import check
from router.topology.fields import connections_of
from router.topology.schema import json_schema
from tests.router.topology.checking import HEAD, brief


class LineOptions(Options):
    """What a line can be told."""

    url: str
    """Where to."""


@connection("line", options=LineOptions)
class Line:
    """A transport."""

    def __init__(self, options: LineOptions, context: ConnectionContext) -> None:
        self.options = options

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""


@connection("pipe", options=LineOptions)
class Pipe(Line):
    """Another transport."""


class CallOptions(Options):
    """What a call can be told."""

    line: Annotated[str, ConnectionTo("line", words=frozenset({"shouting"}))]
    """The line."""


@endpoint("call", options=CallOptions, source=True, target=True)
class Call(AsyncioActor):
    """Uses a line."""

    def __init__(self, options: CallOptions, context: Context) -> None:
        super().__init__()


CATALOG = Catalog(endpoints=[Call], connections=[Line, Pipe])
REST = "routes:\n  r: {from: a, to: b}\n"


def told(text: str, environ: dict[str, str] | None = None) -> list[str]:
    _, problems = check(HEAD + text + REST, path=Path("t.yaml"), catalog=CATALOG, environ=environ or {})
    return [brief(problem) for problem in problems]


def actors(line: str) -> str:
    return f"actors:\n  a: {{type: call, line: {line}}}\n  b: {{type: call, line: one}}\n"


def test_a_connection_that_is_there_and_fits_is_no_problem() -> None:
    """It is in the topology with its type's class, which the engine makes it with."""
    text = "connections:\n  one: {type: line, url: x}\n" + actors("one")
    topology, problems = check(HEAD + text + REST, path=Path("t.yaml"), catalog=CATALOG, environ={})
    assert problems == []
    assert topology is not None
    assert topology.connections["one"].spec.kind is Line
    assert topology.connections["one"].options == LineOptions(url="x")


@pytest.mark.parametrize(
    ("connections", "line", "expected"),
    [
        ("{one: {type: line, url: x}}", "on", "on | unknown connection 'on' (did you mean 'one'?)"),
        ("{one: {type: line, url: x}}", "shout", "shout | unknown connection 'shout' (did you mean 'shouting'?)"),
        ("{one: {type: line, url: x}}", "zzz", "zzz | unknown connection 'zzz' (there are: one)"),
        (
            "{one: {type: line, url: x}, two: {type: pipe, url: x}}",
            "two",
            "two | connection 'two' is of type 'pipe', and 'line' is wanted here",
        ),
        ("{one: {type: line}}", "one", "one | missing option 'url' for connection type 'line'"),
        ("{one: {type: lin, url: x}}", "one", "lin | unknown connection type 'lin' (did you mean 'line'?)"),
    ],
)
def test_mistakes(connections: str, line: str, expected: str) -> None:
    """Each is told once, at its place; of a connection with problems nothing more is known."""
    assert told(f"connections: {connections}\n{actors(line)}") == [expected]


def test_a_word_may_stand_in_place_of_a_connection() -> None:
    """Though a connection has that name: the word is what is meant, and needs none."""
    assert told("connections:\n  one: {type: line, url: x}\n" + actors("shouting")) == []
    topology, _ = check(
        HEAD + "actors: {a: {type: call, line: shouting}, b: {type: call, line: shouting}}\n" + REST,
        path=Path("t.yaml"),
        catalog=CATALOG,
        environ={},
    )
    assert topology is not None
    assert [*connections_of(topology.actors["a"].options)] == []


def test_without_any_connection_it_says_so() -> None:
    """There is nothing to choose from."""
    assert "one | unknown connection 'one' ('connections' has none of type 'line')" in told(actors("one"))


def test_what_a_variable_stands_for_is_not_told() -> None:
    """It may be anything."""
    text = "connections:\n  one: {type: line, url: x}\n" + actors('"${LINE}"')
    assert told(text, {"LINE": "hunter2"}) == ["\"${LINE}\" | unknown connection '${LINE}' (there are: one)"]


def test_the_schema_knows_connections() -> None:
    """By their type, with their documentation."""
    found = json_schema(CATALOG)["$defs"]["connection.line"]
    assert found["description"] == "A transport."
    assert found["required"] == ["type", "url"]


def test_mqtt_is_an_installed_connection() -> None:
    """A package of `actors.connections`; its files are none."""
    catalog = Catalog.installed()
    assert "mqtt" in catalog.connection_names()
    assert "tcp-probe" not in catalog.connection_names()
    assert catalog.connection("mqtt").documentation
