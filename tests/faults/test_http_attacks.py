"""Huge input and slow clients against a real webhook: bounded memory, closed in time, good clients unharmed."""

import asyncio
import contextlib
import gzip
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actors.connections.http_listener import HttpListener
from actors.endpoints.webhook import Webhook
from tests.loop import Run
from tests.stage import DELIVERED, Stage, stage

MIB = 1024 * 1024
RISE_LIMIT_MIB = 50
CLOSED_WITHIN_S = 10.0


async def connection(played: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = played.resources.get(HttpListener).address
    return await asyncio.open_connection(host, port)


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)).split()[1])


def resident_mib(peak: bool = False) -> float:
    """What this process has in memory, or had at most since `forget_peak`."""
    name = "VmHWM" if peak else "VmRSS"
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of the memory cannot be reset here")


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST /hook HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


async def chunked_without_end(played: Stage) -> int:
    reader, writer = await connection(played)
    writer.write(head("Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with contextlib.suppress(ConnectionError):
        for _ in range(400):  # 25 MiB
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)
    status = await status_of(reader)
    writer.close()
    return status


async def whole(played: Stage, body: bytes, *lines: str) -> int:
    reader, writer = await connection(played)
    writer.write(head(f"Content-Length: {len(body)}", "Content-Type: application/json", *lines))
    writer.write(body)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    status = await status_of(reader)
    writer.close()
    return status


def test_huge_input_is_refused_in_bounded_memory(run: Run) -> None:
    """Limit + 1, chunked without a length, a gzip bomb and JSON 100,000 deep, twenty of each at once."""
    bomb = gzip.compress(bytes(200 * MIB))  # 200 KiB

    async def main() -> None:
        async with stage() as played:
            played.outlet.settlement = DELIVERED
            await played.start(Webhook, {"path": "/hook", "max_body": "1MiB"})
            assert await whole(played, b'"' + b"x" * (MIB - 2) + b'"') == 200
            played.outlet.messages.clear()
            attacks: list[tuple[int, Callable[[], Awaitable[int]]]] = [
                (413, lambda: whole(played, bytes(MIB + 1))),
                (413, lambda: chunked_without_end(played)),
                (413, lambda: whole(played, bomb, "Content-Encoding: gzip")),
                (400, lambda: whole(played, b"[" * 100_000 + b"]" * 100_000)),
            ]
            forget_peak()
            before = resident_mib()
            for status, attack in attacks:
                assert set(await asyncio.gather(*[attack() for _ in range(20)])) == {status}
            assert resident_mib(peak=True) - before < RISE_LIMIT_MIB
            assert not played.outlet.messages

    run(main(), deadline_s=60)


async def slow_head(played: Stage) -> float:
    return await _slow(played, b"POST /hook HTTP/1.1\r\nHost: localhost\r\n", b"X-a: b\r\n")


async def slow_body(played: Stage) -> float:
    return await _slow(played, head("Content-Length: 100000"), b"x")


async def silence(played: Stage) -> float:
    return await _slow(played, b"", b"")


async def _slow(played: Stage, first: bytes, drip: bytes) -> float:
    """Seconds until the listener closed."""
    reader, writer = await connection(played)
    begun = time.monotonic()
    closed = asyncio.create_task(reader.read())
    writer.write(first)
    while not closed.done():
        if drip and not writer.is_closing():
            writer.write(drip)
        await asyncio.wait({closed}, timeout=0.5)
    writer.close()
    with contextlib.suppress(ConnectionError):
        closed.result()
    return time.monotonic() - begun


@pytest.mark.slow
def test_slow_clients_are_closed_in_time_and_harm_nobody(run: Run) -> None:
    """Two hundred that trickle a head, a body, or say nothing; a good client hardly notices."""

    async def main() -> None:
        async with stage() as played:
            played.outlet.settlement = DELIVERED
            await played.start(Webhook, {"path": "/hook"})
            attacks = [slow_head] * 80 + [slow_body] * 80 + [silence] * 40
            attacking = asyncio.gather(*[attack(played) for attack in attacks])
            took: list[float] = []
            while not attacking.done():
                begun = time.monotonic()
                assert await whole(played, b"{}") == 200
                took.append(time.monotonic() - begun)
                await asyncio.sleep(0.05)
            assert max(await attacking) < CLOSED_WITHIN_S
            took.sort()
            assert took[int(len(took) * 0.99)] < 0.25

    run(main(), deadline_s=40)
