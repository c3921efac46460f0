"""The installed mosquitto, with a configuration of ours."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from actors.connections.mqtt.brokers.credentials import Credentials, password_file, write_private
from actors.connections.mqtt.brokers.house_broker import Address, Addresses
from actors.connections.mqtt.brokers.supervised_broker import SupervisedBroker
from actors.core.errors import RouterError

PLACES: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where it is installed to, and where an ordinary user's PATH does not look."""

LARGEST_PACKET_BYTES: Final = 4 * 1024 * 1024
QUEUED_MESSAGES: Final = 100_000
"""For one client that is away or slow. What comes on top is dropped, and at its default of 1,000 that is soon."""
IN_FLIGHT: Final = 200
"""Unacknowledged messages to one client of MQTT 3.1.1; one of MQTT 5 may ask for fewer."""


class MosquittoBroker(SupervisedBroker):
    """`mosquitto:`, which saves each second what it keeps, and at its end."""

    program: ClassVar = "mosquitto"
    death_signal: ClassVar = signal.SIGTERM  # it saves, and ends

    def wanted(self) -> dict[str, Address]:
        return self.options.listen.named()

    def prepare(self, addresses: Addresses, credentials: Credentials) -> Sequence[str]:
        program = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))
        if program is None:
            raise RouterError(
                f"connection {self.name}: mosquitto is not installed; install it, or set url to 'embedded:'"
            )
        if credentials.logins:
            write_private(self.directory / "passwords", password_file(credentials))
        path = self.directory / "mosquitto.conf"
        persistence = self.options.persistence is not False
        write_private(path, configuration(addresses, credentials, self.directory, persistence=persistence))
        return ("program", program, "-c", str(path))

    def level(self, line: str) -> str:
        return "warning" if line.startswith(("Error", "Warning")) else "info"


def configuration(addresses: Addresses, credentials: Credentials, directory: Path, *, persistence: bool) -> str:
    """The text of mosquitto.conf."""
    lines = [
        # Root stays root: the state directory is closed to any other, and a change of user would undo the tie that
        # ends it with the router.
        *(["user root"] if os.geteuid() == 0 else []),
        "per_listener_settings false",
        *(
            [f"password_file {directory / 'passwords'}", "allow_anonymous false"]
            if credentials.logins
            else ["allow_anonymous true"]
        ),
        "log_dest stdout",
        "log_timestamp false",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
        "set_tcp_nodelay true",
        f"max_packet_size {LARGEST_PACKET_BYTES}",
        f"max_queued_messages {QUEUED_MESSAGES}",
        f"max_inflight_messages {IN_FLIGHT}",
    ]
    if persistence:
        lines += [
            "persistence true",
            f"persistence_location {directory}/",
            "persistence_file mosquitto.db",
            # Saving at each change would write the whole file each time.
            "autosave_on_changes false",
            "autosave_interval 1",
        ]
    lines += _listener(addresses.mqtt)
    if addresses.mqtt5 != addresses.mqtt:
        lines += _listener(addresses.mqtt5)
    if addresses.websocket is not None:
        lines += [*_listener(addresses.websocket), "protocol websockets"]
    return "\n".join(lines) + "\n"


def _listener(address: Address) -> list[str]:
    # Without its socket_domain a WebSocket listener would take every address of the machine, whichever is named.
    return [
        f"listener {address.port} {address.host}",
        f"socket_domain {'ipv6' if ':' in address.host else 'ipv4'}",
    ]
