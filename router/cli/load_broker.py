"""Which broker a load test uses: one that was named, or one that a running router has."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from router.cli.client import Client, Json, control_socket
from router.cli.failure import WRONG_USAGE, Failure

if TYPE_CHECKING:
    from actors.connections.mqtt.options import MqttConnectionOptions

VARIABLE: Final = "MQTT_URL"
SCHEMES: Final = ("mqtt://", "mqtts://", "ws://", "wss://")
IN_THE_HOUSE: Final = ("embedded:", "mosquitto:")
"""What that variable may hold for the topology, and what says nothing of where the broker is."""
HINT: Final = f"start a router that uses one, or say where it is with\n--broker mqtt://HOST:1883 or {VARIABLE}"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, and how to log in."""

    url: str = field(repr=False)
    """May have a user and a password in it."""
    protocol: str | None = None
    """The version of MQTT; None: 5, and 3.1.1 over WebSocket."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self, *, client_id: str) -> MqttConnectionOptions:
        """Those of a connection to it; raises `Failure` where its URL is none of MQTT's."""
        from pydantic import ValidationError

        from actors.connections.mqtt.options import MqttConnectionOptions

        if not self.url.startswith(SCHEMES):
            raise Failure(f"the URL of a broker begins with {', '.join(SCHEMES)}", code=WRONG_USAGE)
        given: dict[str, Any] = {"url": self.url, "client_id": client_id}
        if self.protocol is not None:
            given["protocol"] = 5 if self.protocol == "5" else self.protocol
        if self.username is not None:
            given |= {"username": self.username, "password": self.password}
        try:
            return MqttConnectionOptions.model_validate(given)
        except ValidationError as error:
            raise Failure(f"the broker: {error.errors()[0]['msg']}", code=WRONG_USAGE) from None


def choose(named: str | None, connection: str | None, control: str | None, variable: str | None) -> Broker:
    """The broker of the URL `named`, of the running router's `connection`, or of the variable MQTT_URL.

    With none of these it is the one that the running router has. Raises `Failure` where there is none, or where
    it is not clear which.
    """
    if named is not None and connection is not None:
        raise Failure("give one of --broker and --connection", code=WRONG_USAGE)
    if named is not None:
        if named in IN_THE_HOUSE:
            hint = "leave --broker out: the one of the running router is found"
            raise Failure(f"{named!r} does not say where the broker is", hint=hint, code=WRONG_USAGE)
        return Broker(named)
    if connection is None and variable and variable not in IN_THE_HOUSE:
        return Broker(variable)
    try:
        router = Client(control_socket(control)).get("router")
    except Failure as failure:
        raise Failure(f"which broker? {failure}", hint=HINT, code=failure.code) from None
    return _of(_chosen(router, connection))


def _chosen(router: Json, connection: str | None) -> Json:
    """The view of one connection."""
    found: dict[str, Json] = {
        str(each["name"]): each for each in router.get("connections", ()) if each.get("type") == "mqtt"
    }
    if not found:
        raise Failure(f"the running router {router.get('name', '')} uses no broker", hint=HINT)
    if connection is None and len(found) > 1:
        hint = f"choose one: --connection {next(iter(found))}"
        raise Failure(f"the running router uses several brokers: {_listed(found)}", hint=hint, code=WRONG_USAGE)
    chosen = next(iter(found.values())) if connection is None else found.get(connection)
    if chosen is None:
        message = f"the running router uses no connection of type mqtt named {connection!r}"
        raise Failure(message, hint=f"it has: {_listed(found)}", code=WRONG_USAGE)
    return chosen


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _of(view: Json) -> Broker:
    name, url = str(view["name"]), str(view["url"])
    match view["login"]:
        case "none":
            return Broker(url, str(view["protocol"]))
        case "kept":
            return Broker(url, str(view["protocol"]), *_login(name, Path(view["credentials"])))
    scheme, _, rest = url.partition("://")
    raise Failure(
        f"the broker of connection {name!r} wants a login, and the router keeps its own",
        hint=f"give one: --broker {scheme}://USER:PASSWORD@{rest}",
    )


def _login(name: str, kept: Path) -> tuple[str, str]:
    try:
        found = json.loads(kept.read_text("utf-8"))
        return str(found["username"]), str(found["password"])
    except PermissionError:
        message = f"the login for connection {name!r} is in {kept}, which is not yours to read"
        raise Failure(message, hint="run this as the user that the router runs as") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Failure(f"the login for connection {name!r} cannot be read from {kept}: {error}") from None
