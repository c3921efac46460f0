"""What the hot-swap run asks for: topologies that differ a little from what runs, and some that nobody can run."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
"""A topology, as YAML has it."""

TARGETS = ("http-a", "http-b", "mqtt-a", "mqtt-b")
ROUTES = ("web", "broker")

NEVER_READY = """
from actors.core.actor import AsyncioActor


class Never(AsyncioActor):
    def on_start(self) -> None:
        raise RuntimeError("it cannot start")
"""
"""A module beside the topology."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One change to ask for."""

    name: str
    path: str
    """Of the control API."""
    body: Mapping[str, Any]
    after: Document | None
    """What runs behind it; None where it is to be refused, and what runs goes on."""
    refused: int = 0
    """With which status."""


def first(*, port: int, sink: str, broker: str, front: str) -> Document:
    """Two durable routes, from HTTP and from MQTT; their targets reach the broker by `front`."""

    def route(source: str, target: str) -> Document:
        return {
            "from": source,
            "durable": True,
            "order_by": "{{ data.key }}",
            "concurrency": 100,
            "retry": {"attempts": 10, "delay": "50ms", "max_delay": "500ms"},
            "steps": [{"map": {"set": {"data.version": 1}}}],
            "to": target,
        }

    return {
        "router": 1,
        "name": "hot-swap",
        "settings": {"http": {"port": port}, "log": {"level": "warning"}},
        "connections": {
            "inside": {"type": "mqtt", "url": broker, "keepalive": "10s"},
            "outside": {"type": "mqtt", "url": front, "keepalive": "10s"},
        },
        "actors": {
            "web-in": {"type": "webhook", "path": "/in", "decode": "json"},
            "broker-in": {"type": "mqtt", "connection": "inside", "subscribe": ["in/#"], "decode": "json"},
            "http-a": {"type": "http", "url": f"{sink}/a", "timeout": "5s"},
            "http-b": {"type": "http", "url": f"{sink}/b", "timeout": "5s"},
            "mqtt-a": {"type": "mqtt", "connection": "outside", "publish": "out/a"},
            "mqtt-b": {"type": "mqtt", "connection": "outside", "publish": "out/b"},
        },
        "routes": {"web": route("web-in", "http-a"), "broker": route("broker-in", "mqtt-a")},
    }


@dataclass(slots=True)
class Rewriter:
    """Makes one after the other, each from what runs by then."""

    running: Document
    chance: random.Random
    version: int = 1
    """The highest that was asked for. Each topology that is applied whole has its own, and writes it into messages."""
    revisions: dict[int, Document] = field(default_factory=dict)
    """What ran as which revision."""

    def next(self) -> Rewrite:
        return self.chance.choice(_KINDS)(self)

    def thorough(self) -> Rewrite:
        """One that certainly changes something."""
        return _all(self)

    def applied(self, name: str, *edits: Callable[[Rewriter, Document], None]) -> Rewrite:
        """The whole topology, edited, under a version of its own."""
        after = deepcopy(self.running)
        for edit in edits:
            edit(self, after)
        self.version += 1
        for route in ROUTES:
            after["routes"][route]["steps"][0] = {"map": {"set": {"data.version": self.version}}}
        return Rewrite(name, "/v1/apply", {"text": written(after)}, after)


def written(document: Document) -> str:
    """The text of a topology. Lists and mappings of one line are YAML as well."""
    parts = []
    for key, value in document.items():
        if isinstance(value, dict) and key in ("connections", "actors", "routes"):
            parts.append(f"{key}:\n" + "".join(f"  {name}: {json.dumps(each)}\n" for name, each in value.items()))
        else:
            parts.append(f"{key}: {json.dumps(value)}\n")
    return "".join(parts)


def version_of(document: Document) -> int:
    """What its routes write into messages."""
    version: int = document["routes"]["web"]["steps"][0]["map"]["set"]["data.version"]
    return version


# Another target


def _redirected(rewriter: Rewriter) -> Rewrite:
    route, target = rewriter.chance.choice(ROUTES), rewriter.chance.choice(TARGETS)
    after = deepcopy(rewriter.running)
    after["routes"][route]["to"] = target
    return Rewrite(f"{route} to {target}", f"/v1/routes/{route}/swap", {"to": [target]}, after)


def _split(rewriter: Rewriter) -> Rewrite:
    route, (one, other) = rewriter.chance.choice(ROUTES), rewriter.chance.sample(TARGETS, 2)
    weight = rewriter.chance.randint(1, 99)
    after = deepcopy(rewriter.running)
    after["routes"][route]["to"] = {"split": {one: weight, other: 100 - weight}}
    to = [f"{one}={weight}", f"{other}={100 - weight}"]
    return Rewrite(f"{route} to {' '.join(to)}", f"/v1/routes/{route}/swap", {"to": to}, after)


def _rolled_back(rewriter: Rewriter) -> Rewrite:
    if not rewriter.revisions:
        return _redirected(rewriter)
    number = rewriter.chance.choice(list(rewriter.revisions)[-5:])
    return Rewrite(f"back to revision {number}", "/v1/rollback", {"to": number}, deepcopy(rewriter.revisions[number]))


# Another topology


def _cross(rewriter: Rewriter, after: Document) -> None:
    for route in ROUTES:
        after["routes"][route]["to"] = rewriter.chance.choice(TARGETS)


def _steps(rewriter: Rewriter, after: Document) -> None:
    for route in ROUTES:
        more = [{"filter": "data.sequence >= 0"}] if len(after["routes"][route]["steps"]) == 1 else []
        after["routes"][route]["steps"][1:] = more


def _http_options(rewriter: Rewriter, after: Document) -> None:
    for name in ("http-a", "http-b"):
        after["actors"][name]["timeout"] = f"{rewriter.chance.randint(3, 30)}s"


def _mqtt_options(rewriter: Rewriter, after: Document) -> None:
    for name in ("mqtt-a", "mqtt-b"):
        after["actors"][name]["in_flight"] = rewriter.chance.randint(200, 1000)


def _webhook_options(rewriter: Rewriter, after: Document) -> None:
    after["actors"]["web-in"]["max_body"] = f"{rewriter.chance.randint(10, 999)}KiB"


def _subscription(rewriter: Rewriter, after: Document) -> None:
    more = [f"more/{rewriter.chance.randint(1, 99)}"] if rewriter.chance.random() < 0.7 else []
    after["actors"]["broker-in"]["subscribe"] = ["in/#", *more]


def _connection(rewriter: Rewriter, after: Document) -> None:
    after["connections"]["outside"]["keepalive"] = f"{rewriter.chance.randint(5, 60)}s"


def _route_options(rewriter: Rewriter, after: Document) -> None:
    for route in ROUTES:
        after["routes"][route]["concurrency"] = rewriter.chance.randint(80, 200)
        after["routes"][route]["retry"]["attempts"] = rewriter.chance.randint(5, 20)


def _more(rewriter: Rewriter, after: Document) -> None:
    """A second route from the webhook, and one from a source of its own, come or go."""
    if "notes" in after["actors"]:
        for name in ("notes", "clock"):
            del after["actors"][name]
        for name in ("copies", "ticks"):
            del after["routes"][name]
    else:
        after["actors"]["notes"] = {"type": "log", "level": "debug"}
        after["actors"]["clock"] = {"type": "timer", "every": "20ms"}
        after["routes"]["copies"] = {"from": "web-in", "durable": True, "concurrency": 10, "to": "notes"}
        after["routes"]["ticks"] = {"from": "clock", "to": "notes"}


def _all(rewriter: Rewriter) -> Rewrite:
    edits = (_cross, _steps, _http_options, _mqtt_options, _webhook_options, _subscription, _route_options, _more)
    return rewriter.applied("all of these at once", *edits)


# What nobody can run


def _unknown_actor(rewriter: Rewriter) -> Rewrite:
    def astray(rewriter: Rewriter, after: Document) -> None:
        after["routes"]["web"]["to"] = "nobody"

    wanted = rewriter.applied("to an actor that is not there", _http_options, astray)
    return Rewrite(wanted.name, wanted.path, wanted.body, None, 422)


def _no_yaml(rewriter: Rewriter) -> Rewrite:
    return Rewrite("no YAML", "/v1/apply", {"text": written(rewriter.running) + "actors: {\n"}, None, 422)


def _unknown_target(rewriter: Rewriter) -> Rewrite:
    return Rewrite("swap to an actor that is not there", "/v1/routes/web/swap", {"to": ["nobody"]}, None, 422)


def _never_ready(rewriter: Rewriter) -> Rewrite:
    def never(rewriter: Rewriter, after: Document) -> None:
        after["actors"]["never"] = {"type": "python", "class": "never_ready:Never"}
        after["routes"]["web"]["to"] = "never"

    wanted = rewriter.applied("an actor that does not get ready", _steps, _http_options, _webhook_options, never)
    return Rewrite(wanted.name, wanted.path, wanted.body, None, 409)


def _edited(name: str, edit: Callable[[Rewriter, Document], None]) -> Callable[[Rewriter], Rewrite]:
    return lambda rewriter: rewriter.applied(name, edit)


_KINDS: tuple[Callable[[Rewriter], Rewrite], ...] = (
    _redirected,
    _redirected,
    _split,
    _split,
    _rolled_back,
    _edited("other targets, both", _cross),
    _edited("other targets, both", _cross),
    _edited("steps", _steps),
    _edited("http options", _http_options),
    _edited("mqtt options", _mqtt_options),
    _edited("webhook options", _webhook_options),
    _edited("another subscription", _subscription),
    _edited("another connection", _connection),
    _edited("route options", _route_options),
    _edited("actors and routes come or go", _more),
    _edited("actors and routes come or go", _more),
    _all,
    _all,
    _unknown_actor,
    _no_yaml,
    _unknown_target,
    _never_ready,
)
