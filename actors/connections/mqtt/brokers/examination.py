"""Looks whether a broker in the house could be started: whether it is installed, and its ports are free."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.connections.mqtt.brokers import ports
from actors.connections.mqtt.brokers.mosquitto_broker import PLACES
from actors.connections.mqtt.brokers.options import HouseKind, HouseOptions
from actors.core.errors import RouterError
from actors.core.examination import ExamineContext, Finding

VERSION_TIMEOUT_S: Final = 5.0


async def examine_house(kind: HouseKind, options: HouseOptions, context: ExamineContext) -> Sequence[Finding]:
    """Whether its program is there, and which version; and whether the ports that are named can be had."""
    found = [await _mosquitto() if kind == "mosquitto" else _embedded()]
    wanted = {name: address for name, address in options.listen.named().items() if address.port}
    if not wanted:
        return found
    if context.running is not None:
        return [*found, Finding("ok", f"process {context.running}, the router of this topology, has its ports")]
    try:
        ports.choose(wanted, {})
    except RouterError as error:
        found.append(Finding("problem", str(error), "end what listens there, or choose another port in `listen`"))
    else:
        found.append(Finding("ok", f"free: {', '.join(map(str, wanted.values()))}"))
    return found


async def _mosquitto() -> Finding:
    program = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))
    if program is None:
        return Finding("problem", "mosquitto is not installed", "install it, or set `url: 'embedded:'`")
    version = await _version(program)
    if version is None:
        return Finding("warning", f"{program} does not tell its version", "does `mosquitto -h` work?")
    return Finding("ok", f"mosquitto {version} is installed: {program}")


async def _version(program: str | Path) -> str | None:
    """As the first line of its help has it."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "-h",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(VERSION_TIMEOUT_S):
            printed, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    version = re.search(rb"version (\d[\w.+-]*)", printed)
    return None if version is None else version[1].decode()


def _embedded() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Finding("ok", f"the embedded broker is there: iotcore {version('iotcore')}")
    except PackageNotFoundError:
        advice = "install the package 'iotcore', or set `url: 'mosquitto:'`"
        return Finding("problem", "the embedded broker is not there", advice)
