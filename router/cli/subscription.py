"""A line to try: how to see what is published by MQTT, with a program that comes with mosquitto."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from router.cli.example import Example
from router.topology.model import Topology

if TYPE_CHECKING:
    from actors.connections.mqtt.options import MqttConnectionOptions

PROGRAM: Final = "mosquitto_sub"
PACKAGE: Final = "mosquitto-clients"


def subscriptions(topology: Topology, state_dir: Path, *, late: Collection[str] = ()) -> list[Example]:
    """A line for each broker that actors publish to; those in `late` are not ready, and left out.

    Where a broker in the house is, and what it wants to hear, is in a file of `state_dir`. A broker elsewhere
    that is spoken to by TLS or WebSocket is left out: that takes more than one line.
    """
    if not any(actor.type == "mqtt" for actor in topology.actors.values()):
        return []
    # Loaded by now, and only where somebody talks MQTT.
    from actors.connections.mqtt.options import MqttConnectionOptions
    from actors.endpoints.mqtt import MqttOptions

    filters: dict[str, list[str]] = {}
    for actor in topology.actors.values():
        options = actor.options
        if not actor.enabled or actor.name in late:
            continue
        if isinstance(options, MqttOptions) and options.publish is not None:
            filters.setdefault(options.connection, []).append(options.publish.filter)
    found: list[Example] = []
    for name, each in filters.items():
        connection = topology.connections[name].options
        if isinstance(connection, MqttConnectionOptions):
            found += _lines(connection, state_dir / "brokers" / name, dict.fromkeys(each))
    return found


def _lines(options: MqttConnectionOptions, folder: Path, filters: Iterable[str]) -> Iterator[Example]:
    if options.house is None:
        server = options.servers[0]
        if server.tls or server.websocket_path is not None:
            return
        words = [f"{PROGRAM} -h {shlex.quote(server.host)} -p {server.port}"]
        user = options.username or server.username
    else:
        words = [f"XDG_CONFIG_HOME={shlex.quote(str(folder))} {PROGRAM}"]
        user = next(iter(options.users), None)
    notes = []
    if user is not None:
        words.append(f'-u {shlex.quote(user)} -P "$PASSWORD"')
        notes.append("set PASSWORD to that user's password first")
    if shutil.which(PROGRAM) is None:
        notes.append(f"{PROGRAM} is in the package {PACKAGE}")
    yield Example((*words, *(f"-t {shlex.quote(each)}" for each in filters), "-v"), "; ".join(notes))
