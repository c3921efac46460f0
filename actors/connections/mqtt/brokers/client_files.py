"""Where a broker in the house is, and who may log in, written down for the clients that come with mosquitto."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.connections.mqtt.brokers.credentials import write_private
from actors.connections.mqtt.brokers.house_broker import Address, Login

PROGRAMS: Final = ("mosquitto_sub", "mosquitto_pub")


def write_client_files(directory: Path, address: Address, login: Login | None) -> None:
    """Write what the programs read at their start, a file of the program's name each (0600).

    `XDG_CONFIG_HOME=DIRECTORY mosquitto_sub -t '#'` is then all that it takes, and no password stands in a command
    line, where every user of the machine can read it. `address` speaks MQTT 5, whose user properties hold the
    ids and the headers of messages. Without a `login` whoever connects has to say who it is.
    """
    reachable = address.reachable
    lines = [f"-h {reachable.host}", f"-p {reachable.port}", "-V mqttv5"]
    if login is not None:
        lines += [f"-u {login.username}", f"-P {login.password}"]
    for program in PROGRAMS:
        write_private(directory / program, "\n".join(lines) + "\n")
