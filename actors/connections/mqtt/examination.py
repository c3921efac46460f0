"""Looks whether a broker lets the router in, and an actor subscribe; nothing is published."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from actors.connections.client_tls import ClientTlsOptions, tls_context
from actors.connections.mqtt import reasons
from actors.connections.mqtt.link import driver_for
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.connections.mqtt.protocol import (
    Arrival,
    Driver,
    Login,
    MqttError,
    Qos,
    Server,
    Subscription,
    Version,
    Welcome,
)
from actors.connections.reach import reach
from actors.core.errors import RouterError
from actors.core.examination import ExamineContext, Finding

CLIENT_ID_BYTES: Final = 4

_ADVICE: Final = {
    0x84: "set `protocol: '3.1.1'`",
    0x85: "the broker wants other client ids: set `client_id`",
    0x86: "correct username and password",
    0x87: "let this user in, in the broker's access control, or correct username and password",
    0x88: "the broker does not take clients now: look at its log",
    0x89: "the broker does not take more clients now: look at its limits",
    0x8A: "the broker has banned this client: look at its log",
    0x9F: "the broker limits how often clients may connect",
}


async def examine_connection(options: MqttConnectionOptions, context: ExamineContext) -> Sequence[Finding]:
    """Of each broker: its name, its port, its certificate, and whether it lets the router in."""
    if options.house is not None:
        from actors.connections.mqtt.brokers.examination import examine_house

        return await examine_house(options.house, options, context)
    try:
        tls = await _tls(options, context)
    except RouterError as error:
        return [Finding("problem", str(error), "correct `tls`; paths begin at the topology's folder")]
    found = await asyncio.gather(*(_broker(server, options, tls, context) for server in options.servers))
    if any(finding.level != "problem" for finding in found):
        # The others stand in for it.
        return [Finding("warning", each.text, each.advice) if each.level == "problem" else each for each in found]
    return found


async def examine_actor(
    options: MqttConnectionOptions,
    context: ExamineContext,
    subscriptions: Sequence[Subscription],
    *,
    publishes: tuple[Qos, bool] | None,
) -> Sequence[Finding]:
    """Whether the broker lets it subscribe, and what it wants to publish with (QoS, retain) is offered there."""
    if options.house is not None:
        return [Finding("ok", "its broker is the router's own")]
    try:
        tls = await _tls(options, context)
        async with _client(options, tls, context) as (driver, welcome):
            found = await _subscribe(driver, subscriptions) if subscriptions else []
    except (OSError, RouterError):
        return [Finding("warning", "not examined: no broker of its connection lets the router in")]
    if publishes is not None:
        found += _offered(welcome, *publishes)
        if not any(finding.level == "problem" for finding in found):
            found.append(Finding("ok", "whether it may publish was not tried"))
    return found


async def _broker(
    server: Server, options: MqttConnectionOptions, tls: ssl.SSLContext | None, context: ExamineContext
) -> Finding:
    reached = await reach(server.host, server.port, tls=tls if server.tls else None, time=context.clock.time)
    if reached.level == "problem":
        return reached
    try:
        async with _logged_in(server, _login(options, tls), options.version, context):
            pass
    except (OSError, RouterError) as error:
        return await _refused(server, options, tls, context, error)
    who = server.username if options.username is None else options.username
    as_whom = "without a user" if who is None else "with its user"
    text = f"{reached.text}, and lets the router in {as_whom}, MQTT {options.version}"
    return Finding(reached.level, text, reached.advice)


async def _refused(
    server: Server,
    options: MqttConnectionOptions,
    tls: ssl.SSLContext | None,
    context: ExamineContext,
    error: Exception,
) -> Finding:
    why = str(error) or type(error).__name__
    known = next((advice for code, advice in _ADVICE.items() if reasons.name(code) in why), None)
    is_silent = isinstance(error.__context__, TimeoutError)
    if options.version == "5" and not is_silent and (known is None or reasons.name(0x84) in why):
        # Old brokers do not say it: they close the connection.
        try:
            async with _logged_in(server, _login(options, tls), "3.1.1", context):
                text = f"{server} does not speak MQTT 5, and lets the router in with 3.1.1"
                return Finding("problem", text, "set `protocol: '3.1.1'`")
        except (OSError, RouterError):
            pass
    text = why if str(server) in why else f"{server}: {why}"
    return Finding("problem", text, known or "is it a broker? Its log may say why; so may wrong credentials")


async def _subscribe(driver: Driver, subscriptions: Sequence[Subscription]) -> list[Finding]:
    found = []
    for each in subscriptions:
        # Not as one of a group: what it got of the group's messages would be missing elsewhere.
        plain = each.filter.split("/", 2)[2] if each.filter.startswith("$share/") else each.filter
        try:
            (granted,) = await driver.subscribe([Subscription(plain, each.qos, retained=False)])
        except MqttError as error:
            advice = "let this user read that topic, in the broker's access control"
            found.append(Finding("problem", str(error), advice))
            continue
        if granted < each.qos:
            text = f"may subscribe to {plain} with QoS {granted}, and {each.qos} is wanted"
            found.append(Finding("warning", text, "let the broker grant it, or lower `qos`"))
        else:
            found.append(Finding("ok", f"may subscribe to {plain}"))
    return found


def _offered(welcome: Welcome, qos: Qos, retain: bool) -> list[Finding]:
    found = []
    if qos > welcome.max_qos:
        text = f"the broker takes QoS {welcome.max_qos} at most, and {qos} is wanted"
        found.append(Finding("problem", text, "let the broker take it, or lower `qos`"))
    if retain and not welcome.retain:
        found.append(Finding("problem", "the broker retains no messages", "remove `retain`"))
    return found


@asynccontextmanager
async def _client(
    options: MqttConnectionOptions, tls: ssl.SSLContext | None, context: ExamineContext
) -> AsyncIterator[tuple[Driver, Welcome]]:
    """A client of the first broker that lets it in; raises what the last one raised."""
    *others, last = options.servers
    for server in others:
        try:
            async with _logged_in(server, _login(options, tls), options.version, context):
                last = server
                break
        except (OSError, RouterError):
            continue
    async with _logged_in(last, _login(options, tls), options.version, context) as made:
        yield made


@asynccontextmanager
async def _logged_in(
    server: Server, login: Login, version: Version, context: ExamineContext
) -> AsyncIterator[tuple[Driver, Welcome]]:
    login = replace(login, tls=login.tls if server.tls else None)
    driver = driver_for(version, server, login, _Nobody(), context.clock)
    try:
        yield driver, await driver.connect(clean=True)
    finally:
        await driver.close()


def _login(options: MqttConnectionOptions, tls: ssl.SSLContext | None) -> Login:
    """A client of its own, without a session and a will: the router's, which may run, are left alone."""
    return Login(
        f"{options.client_id or 'pointsman'}-doctor-{secrets.token_hex(CLIENT_ID_BYTES)}",
        username=options.username,
        password=None if options.password is None else options.password.reveal(),
        max_packet=int(options.max_packet),
        tls=tls,
    )


async def _tls(options: MqttConnectionOptions, context: ExamineContext) -> ssl.SSLContext | None:
    if not any(server.tls for server in options.servers):
        return None
    return await asyncio.to_thread(tls_context, options.tls or ClientTlsOptions(), context.directory)


class _Nobody:
    """The peer of a client that wants nothing: what arrives is not acknowledged, and stays with the broker."""

    def connected(self, welcome: Welcome) -> None: ...

    def arrived(self, arrival: Arrival) -> None: ...

    def released(self, packet_id: int) -> None: ...

    def acknowledged(self, packet_id: int, reason: int) -> None: ...

    def received(self, packet_id: int, reason: int) -> None: ...

    def writable(self, is_writable: bool) -> None: ...

    def lost(self, why: str) -> None: ...
