"""mosquitto as a process of the tests, with what a test adds to its configuration."""

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.servers import HOST, Server, free_port


class Mosquitto(Server):
    """Lets everybody in unless `lines` say otherwise; keeps nothing over a restart unless they say so."""

    def __init__(
        self,
        directory: Path,
        *lines: str,
        port: int | None = None,
        listener: bool = True,
        more_ports: Sequence[int] = (),
    ) -> None:
        port = free_port() if port is None else port
        configuration = directory / "mosquitto.conf"
        first = [f"listener {port} {HOST}", "allow_anonymous true"] if listener else []
        configuration.write_text("\n".join(["user root", "max_queued_messages 1000000", *first, *lines, ""]))
        command: list[str | Path] = ["mosquitto", "-c", configuration]
        self._more_ports = more_ports
        super().__init__("mosquitto", command, port=port, directory=directory)

    @property
    def url(self) -> str:
        return f"mqtt://{self.address}"

    def answers(self) -> bool:
        """Whether every listener takes connections: those for WebSocket begin a little later."""
        try:
            for port in self._more_ports:
                socket.create_connection((HOST, port), timeout=1.0).close()
        except OSError:
            return False
        return super().answers()
