"""A request to try: what a webhook's routes look at, as the body of a curl line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from router.topology.model import ActorDefinition, RouteDefinition, Topology
from router.topology.target import All, Match, One, Split

_FIELD: Final = re.compile(
    r"""(?x) \b data (?P<path> (?: \. [A-Za-z_]\w* )+ ) (?P<call> \( )?
        (?: \s* (?P<operator> == | >= | <= | > | < | in \s+ [(\[] ) \s*
            (?P<literal> '[^']*' | "[^"]*" | -?\d+(?:\.\d+)? | true ) )?"""
)
_VALUES: Final[tuple[tuple[str, Any], ...]] = (
    (r"phone|mobile|tel|to|from|recipient|number|wa_id", "+593991234567"),
    (r"e?mail", "ada@example.com"),
    (r"(.*_)?id|key|uuid", "1"),
    (r"text|message|body|content|title|note", "hello"),
    (r"amount|count|level|total|price|quantity|size|age|priority", 5),
    (r"name|user|customer", "Ada"),
    (r"url|link", "https://example.com"),
)
"""What a field of such a name probably holds."""
_UNIQUE: Final = "\x00"
"""Stands for what must be new each time."""


@dataclass(frozen=True, slots=True)
class Example:
    """A line for a shell, and what a reader has to know first."""

    words: tuple[str, ...]
    """The command, and its options with their values, each quoted."""
    note: str = ""

    @property
    def line(self) -> str:
        return " ".join(self.words)

    def lines(self, room: int) -> list[str]:
        """The same on several lines, a shell's, where one of `room` columns is not enough."""
        if len(self.line) <= room:
            return [self.line]
        return [
            f"{'  ' if place else ''}{word}" + " \\" * (word is not self.words[-1])
            for place, word in enumerate(self.words)
        ]


@dataclass(slots=True)
class Body:
    """Fields of `data`, as they are found; the first value of a field stays."""

    fields: dict[str, Any] = field(default_factory=dict)

    def put(self, path: str, value: Any) -> None:
        *parents, last = path.split(".")
        place = self.fields
        for name in parents:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                return
            place = inner
        place.setdefault(last, value)


def examples(topology: Topology, url: str) -> list[Example]:
    """A curl line for each webhook that a route begins at; `url` is where the HTTP listener is."""
    found = []
    for actor in topology.actors.values():
        path = getattr(actor.options, "path", None)
        routes = [route for route in topology.routes.values() if actor.name in route.sources]
        if actor.enabled and isinstance(path, str) and hasattr(actor.options, "methods") and routes:
            found.append(_curl(actor, url + path, body(topology, routes)))
    return found


def body(topology: Topology, routes: Sequence[RouteDefinition]) -> dict[str, Any]:
    """Data with the fields that these routes, their steps and their targets look at."""
    found = Body()
    for route in routes:
        for step in route.steps:
            options = step.options.model_dump(mode="json", by_alias=True)
            if step.name == "dedup":  # the same line again would be a copy, and end here
                _read(found, options, unique=True)
            elif step.name == "phone":
                found.put(str(options.get("field", "")).removeprefix("data."), _phone(options.get("regions")))
            elif step.name == "validate":
                _required(found, options.get("schema"))
            _read(found, options)
        _read(found, route.model_dump(mode="json", by_alias=True, exclude={"steps"}))
        for target in _targets(route):
            if (actor := topology.actors.get(target)) is not None:
                _read(found, actor.options.model_dump(mode="json", by_alias=True))
    if not any(step.name == "validate" for route in routes for step in route.steps):
        found.fields.setdefault("text", "hello")  # a line of the log that holds nothing else is hard to find
    return found.fields


def _targets(route: RouteDefinition) -> tuple[str, ...]:
    """Where the example goes: the first case of a match is the one that it is made to hold for."""
    match route.to:
        case One(actor=name):
            return (name,)
        case All(actors=names):
            return names
        case Match(cases=cases):
            return cases[0].to
        case Split(weights=weights):
            return tuple(weights)


def _read(found: Body, options: Any, *, unique: bool = False) -> None:
    for text in _texts(options):
        for match in _FIELD.finditer(text):
            path = match["path"][1:]
            if match["call"]:
                path = path.rpartition(".")[0]
            if path:
                compared = match["literal"] is not None
                value = _satisfying(match["operator"], match["literal"]) if compared else _value(path)
                found.put(path, _UNIQUE if unique else value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _required(found: Body, schema: Any) -> None:
    """The top level of a JSON Schema: what must be there."""
    if not isinstance(schema, Mapping):
        return
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        wanted = properties.get(name, {}) if isinstance(properties, Mapping) else {}
        found.put(str(name), _of_schema(str(name), wanted if isinstance(wanted, Mapping) else {}))


def _of_schema(name: str, schema: Mapping[str, Any]) -> Any:
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    of_type: dict[Any, Any] = {
        "integer": schema.get("minimum", 5),
        "number": schema.get("minimum", 5),
        "boolean": True,
        "array": [],
        "object": {},
    }
    value = _value(name)
    return of_type.get(schema.get("type"), value if isinstance(value, str) else "example")


def _phone(regions: Any) -> str:
    """A number as people of the first region write it, so that one sees what becomes of it."""
    from phonenumbers import PhoneNumberFormat, PhoneNumberType, example_number_for_type, format_number

    if isinstance(regions, list | tuple) and regions:
        number = example_number_for_type(regions[0], PhoneNumberType.MOBILE)
        if number is not None:
            return format_number(number, PhoneNumberFormat.NATIONAL)
    return "+593991234567"


def _satisfying(operator: str, literal: str) -> Any:
    """A value for which the comparison with a literal holds."""
    if literal[0] in "'\"":
        return literal[1:-1]
    value = json.loads(literal)
    return value + {">": 1, "<": -1}.get(operator, 0) if value is not True else True


def _value(path: str) -> Any:
    name = path.rpartition(".")[2].lower()
    for pattern, value in _VALUES:
        if re.fullmatch(pattern, name):
            return value
    return "example"


def _curl(actor: ActorDefinition, url: str, data: dict[str, Any]) -> Example:
    options = actor.options
    methods: tuple[str, ...] = getattr(options, "methods", ("POST",))
    words = [f"curl -i {shlex.quote(url)}"]
    if "POST" not in methods:
        words.append(f"-X {methods[0]}")
    proof, note = _proof(getattr(options, "verify", None))
    if proof:
        words.append(proof)
    if methods != ("GET",):
        words += ["-H 'Content-Type: application/json'", f"-d {_quoted(data)}"]
    return Example(tuple(words), note)


def _proof(verify: Any) -> tuple[str, str]:
    """What shows who sends, as far as a line can hold it; secrets are never printed."""
    if verify is None:
        return "", ""
    if getattr(verify, "bearer", None) is not None:
        return '-H "Authorization: Bearer $TOKEN"', "set TOKEN to the token first"
    if users := getattr(verify, "basic", None):
        return f"-u {shlex.quote(next(iter(users)))}", "curl asks for the password"
    header = getattr(getattr(verify, "hmac", None), "header", None)
    return "", f"it wants a signature in {header}: without, it answers 401" if header else ""


def _quoted(data: dict[str, Any]) -> str:
    """JSON in single quotes; what must be new each time is a time of the shell's."""
    text = json.dumps(data, ensure_ascii=False)
    quoted = "'" + text.replace("'", "'\\''") + "'"
    return quoted.replace(json.dumps(_UNIQUE)[1:-1], "'$(date +%s)'")
