"""Looks whether a router could listen where its settings say, and with which certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from actors.connections.mqtt.brokers import ports, process_table
from actors.connections.mqtt.brokers.house_broker import Address
from actors.connections.own_certificate import valid_until
from actors.connections.reach import EXPIRES_SOON_S, RESOLVE_TIMEOUT_S
from actors.core.errors import RouterError
from actors.core.examination import ExamineContext, Finding
from router.cli.checkup_state_dir import holders
from router.cli.figures import moment
from router.topology.model import Topology
from router.topology.settings import Tls


def uses_http(topology: Topology) -> bool:
    """Whether an actor listens for HTTP, so that the listener is opened."""
    actors = (actor for actor in topology.actors.values() if actor.enabled)
    return any(claim.startswith("path ") for actor in actors for claim in actor.spec.claims(actor.options))


async def examine_http(topology: Topology, context: ExamineContext) -> Sequence[Finding]:
    """The listener of webhooks and WebSocket clients."""
    http = topology.settings.http
    return await _listener(Address(http.host, http.port), http.tls, context, setting="settings.http")


async def examine_control(topology: Topology, context: ExamineContext) -> Sequence[Finding]:
    """The listener of the control API, where it is not the Unix socket alone."""
    control = topology.settings.control
    if control.listen == "unix":
        return []
    return await _listener(Address(*control.listen), control.tls, context, setting="settings.control")


async def _listener(address: Address, tls: Tls | None, context: ExamineContext, *, setting: str) -> Sequence[Finding]:
    found = [await examine_address(address.host, address.port, context, setting=setting)]
    if tls is not None:
        cert, key = context.directory / tls.cert, context.directory / tls.key
        found.append(await asyncio.to_thread(_certificate, cert, key, context.clock.time(), f"{setting}.tls"))
    return found


async def examine_address(host: str, port: int, context: ExamineContext, *, setting: str) -> Finding:
    """Whether one could listen there, or the router of this topology does."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Finding("problem", f"cannot listen on {host}: {error}", f"correct the host of {setting}")
    address = Address(str(infos[0][4][0]), port)
    if not port:
        return Finding("ok", f"takes a free port of {address.host}")
    for each in await asyncio.to_thread(holders, context.state_dir):
        if process_table.listens(each.pid, port):
            return Finding("ok", f"process {each.pid}, the router of this topology, listens on {address}")
    try:
        await asyncio.to_thread(ports.choose, {"": address}, {})
    except RouterError as error:
        return Finding("problem", str(error), f"end what listens there, or choose another address in {setting}")
    return Finding("ok", f"{address} is free")


def _certificate(cert: Path, key: Path, now_s: float, setting: str) -> Finding:
    try:
        until = valid_until(cert, key)
    except ssl.SSLCertVerificationError as error:
        return Finding("problem", f"the certificate {cert} is not valid: {error.verify_message}", "renew it")
    except ssl.SSLError as error:
        why = (error.reason or str(error)).replace("_", " ").lower()
        return Finding("problem", f"{cert} cannot be used with the key {key}: {why}", f"correct {setting}")
    except OSError as error:
        text = f"certificate or key cannot be read: {error.strerror}: {cert}, {key}"
        return Finding("problem", text, f"correct {setting}; paths begin at the topology's folder")
    text = f"the certificate is valid until {moment(until)}"
    return Finding("warning", text, "renew it") if until - now_s < EXPIRES_SOON_S else Finding("ok", text)
