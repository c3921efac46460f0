"""Which ports a broker listens on: those that were named, and free ones for the rest."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

from actors.connections.mqtt.brokers.house_broker import Address
from actors.connections.mqtt.brokers.process_table import who_listens
from actors.core.errors import RouterError


def choose(wanted: Mapping[str, Address], before: Mapping[str, Address]) -> dict[str, Address]:
    """The addresses to listen on, with the port that was named, the one from `before`, or a free one.

    Nothing holds them until the broker does. Raises `RouterError` where one is in use, and says by whom as far
    as that can be seen, or where it is not this machine's.
    """
    chosen = {}
    with ExitStack() as held:  # until all are chosen, so that no free port is chosen twice
        for name, address in wanted.items():
            kept = before.get(name)
            chosen[name] = _hold(kept if not address.port and kept is not None and is_free(kept) else address, held)
    return chosen


def is_free(address: Address) -> bool:
    """Whether one could listen there now."""
    with ExitStack() as held:
        try:
            _bind(address, held)
        except OSError:
            return False
    return True


def _hold(address: Address, held: ExitStack) -> Address:
    try:
        return _bind(address, held)
    except OSError as error:
        raise RouterError(f"cannot listen on {address}: {_why(address, error)}") from error


def _bind(address: Address, held: ExitStack) -> Address:
    """Bind the address until `held` ends; returns it with its port."""
    trial = held.enter_context(socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET))
    # As brokers do: connections that end do not hold the port.
    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    trial.bind((address.host, address.port))
    return replace(address, port=trial.getsockname()[1])


def _why(address: Address, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return os.strerror(error.errno or 0).lower()
    holder = who_listens(address.port)
    return "the port is in use" if holder is None else f"the port is in use by {holder}"
