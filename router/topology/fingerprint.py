"""A keyed hash of what a topology expanded to: two of them tell whether `${…}` stands for the same as it did.

The key keeps secrets from being guessed from it. What has its default is left out, so that a router which knows
more options gives the same; layout, comments and the order of names do not matter, as they do not in a diff.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Set
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from router.topology.model import ActorDefinition, RouteDefinition, Topology

_FORM: Final = b"topology 1\n"
"""Before the canonical form; another number wherever the form changes."""


def fingerprint(topology: Topology, key: bytes) -> str:
    """HMAC-SHA256 in hexadecimal, the same in every process that has the key."""
    canonical = json.dumps(_topology(topology), sort_keys=True, separators=(",", ":")).encode("ascii")
    return hmac.new(key, _FORM + canonical, hashlib.sha256).hexdigest()


def _topology(topology: Topology) -> dict[str, Any]:
    return {
        "name": topology.name,
        "settings": _options(topology.settings),
        "connections": {
            name: [connection.type, _options(connection.options)] for name, connection in topology.connections.items()
        },
        "actors": {name: _actor(actor) for name, actor in topology.actors.items()},
        "groups": {name: _options(group) for name, group in topology.groups.items()},
        "routes": {name: _route(route) for name, route in topology.routes.items()},
    }


def _actor(actor: ActorDefinition) -> list[Any]:
    common = _options(actor, without=frozenset(("name", "type", "options", "spec")))
    return [actor.type, common, _options(actor.options)]


def _route(route: RouteDefinition) -> list[Any]:
    common = _options(route, without=frozenset(("name", "steps")))
    return [common, [[step.name, _options(step.options)] for step in route.steps]]


def _options(model: BaseModel, *, without: frozenset[str] = frozenset()) -> Any:
    # In Python's own types, since JSON's would mask the secrets.
    return _plain(model.model_dump(mode="python", exclude_defaults=True, exclude=set(without), warnings=False))


def _plain(value: Any) -> Any:
    """`value` as JSON has it; mappings are told apart from lists, and secrets are themselves."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, SecretStr | SecretBytes):
        return _plain(value.get_secret_value())
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Set):
        return sorted((_plain(part) for part in value), key=json.dumps)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, PurePath):
        return str(value)
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        # A type of a plugin's own. What it shows of itself may hold an address, which no other process has.
        return type(value).__qualname__
