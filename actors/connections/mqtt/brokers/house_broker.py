"""What a connection knows of a broker in the house, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Protocol

OWN_USER: Final = "pointsman"
"""The name that the router itself logs in with, unless the broker lets everybody in."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens: an IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.host).is_loopback

    @property
    def reachable(self) -> Address:
        """Where to connect to from this machine; it differs where the broker listens on all addresses."""
        return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a broker listens, one for each protocol."""

    mqtt: Address
    """MQTT 3.1.1 over TCP."""
    mqtt5: Address
    """MQTT 5 over TCP; the same as `mqtt` where the broker tells the versions apart by itself."""
    websocket: Address | None = None
    """MQTT over WebSocket, at whatever path."""

    def __str__(self) -> str:
        said = [f"mqtt://{self.mqtt}"]
        if self.mqtt5 != self.mqtt:
            said = [f"mqtt://{self.mqtt5} (MQTT 5)", f"{said[0]} (MQTT 3.1.1)"]
        if self.websocket is not None:
            said.append(f"ws://{self.websocket}")
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Login:
    """A user's name and password."""

    username: str
    password: str = field(repr=False)


class HouseBroker(Protocol):
    """A broker that runs as a child process, comes back by itself when it dies, and dies with the router.

    It is not to be trusted with what must not be lost: it keeps nothing, or what it saved last.
    """

    on_ready: Callable[[], None]
    """Called on the loop each time it takes connections (again); the addresses may have changed."""
    on_exit: Callable[[str], None]
    """Called on the loop when it died without having been stopped, with the reason; it will come back."""

    async def start(self) -> None:
        """Return once it answers CONNECT on every listener; does nothing where it runs.

        Raises `RouterError` where it cannot be had: a port in use, no such program, not ready in time.
        """
        ...

    async def stop(self) -> None:
        """End it, and wait until it has ended; does nothing where it does not run."""
        ...

    @property
    def addresses(self) -> Addresses:
        """Where it listens; it must have been started. Ports that nobody named may change when it comes back."""
        ...

    @property
    def login(self) -> Login | None:
        """What the router logs in with; None where the broker lets everybody in. It must have been started."""
        ...

    @property
    def credentials(self) -> Path | None:
        """The file where others find `login`; None where it is in none."""
        ...

    @property
    def pid(self) -> int | None:
        """The child's process id, while it runs."""
        ...
