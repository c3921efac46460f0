"""A webhook takes the place of another one: a real listener, and clients that ask all the time."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp

from actors.connections.http_listener import HttpListener
from actors.core.message import Settlement
from actors.endpoints.webhook import Webhook
from tests.loop import Run
from tests.stage import DEADLINE_S, DELIVERED, KeepingOutlet, Played, Stage, stage

SWAPS = 20


async def successor(played: Stage, before: Played, options: Mapping[str, Any]) -> Played:
    return await played.succeed(Webhook, options, before, "orders")


def test_no_request_meets_a_gap(run: Run) -> None:
    """Whether the path, its methods or something else changes; connections stay open over it."""

    async def main() -> None:
        async with stage() as played, aiohttp.ClientSession() as client:
            played.outlet.settlement = DELIVERED
            webhook = await played.start(Webhook, {"path": "/a", "methods": ["POST"]}, name="orders")
            statuses: list[int] = []
            path, done = "/a", False

            async def ask() -> None:
                while not done:
                    # Of a path that has moved, from the next turn on.
                    async with client.post(f"{played.url}{path}", json={}) as answer:
                        statuses.append(answer.status)

            asking = [asyncio.create_task(ask()) for _ in range(8)]
            listener = played.resources.get(HttpListener)
            for number in range(SWAPS):
                await asyncio.sleep(0.005)
                methods = ["POST", "PUT"] if number % 2 else ["POST"]
                after = await successor(played, webhook, {"path": "/a", "methods": methods})
                await webhook.retire()
                webhook = after
            done = True
            await asyncio.gather(*asking)
            assert len(statuses) > SWAPS
            assert set(statuses) == {200}
            assert len(listener) <= 8

    run(main())


def test_another_path_is_there_in_the_same_turn(run: Run) -> None:
    """And the old one is not, also when the one before stops much later."""

    async def main() -> None:
        async with stage() as played, aiohttp.ClientSession() as client:
            played.outlet.settlement = DELIVERED
            before = await played.start(Webhook, {"path": "/a"}, name="orders")
            await successor(played, before, {"path": "/b/{name}"})

            async def status(path: str) -> int:
                async with client.post(played.url + path) as answer:
                    return answer.status

            assert (await status("/a"), await status("/b/ann")) == (404, 200)
            await before.retire()
            assert (await status("/a"), await status("/b/ann")) == (404, 200)

    run(main())


def test_who_waits_is_answered_by_the_one_before(run: Run) -> None:
    """Which owes that, and so does not end."""

    async def main() -> None:
        async with stage() as played, aiohttp.ClientSession() as client:
            before = await played.start(Webhook, {"path": "/a", "respond": "delivered"}, name="orders")
            waiting = asyncio.create_task(client.post(f"{played.url}/a"))
            await played.until(lambda: played.outlet.receipts)
            await successor(played, before, {"path": "/a", "respond": "delivered", "delivered_status": 201})
            later = asyncio.create_task(client.post(f"{played.url}/a"))
            await played.until(lambda: len(played.outlet.receipts) == 2)
            retiring = asyncio.create_task(before.retire())
            await asyncio.sleep(0.01)
            assert before.actor.owed == 1  # type: ignore[attr-defined]
            assert not retiring.done()
            for receipt in played.outlet.receipts:
                assert receipt is not None
                receipt.settle(Settlement("delivered"))
            async with asyncio.timeout(DEADLINE_S):
                await retiring
                assert [(await each).status for each in (waiting, later)] == [200, 201]

    run(main())


def test_a_body_that_arrives_over_the_switch_is_taken(run: Run) -> None:
    """Its head was for the one before; the proof is asked for that is asked for now."""

    async def main() -> None:
        async with stage() as played:
            played.outlet.settlement = DELIVERED
            before = await played.start(Webhook, {"path": "/a"}, name="orders")
            moved = await played.start(Webhook, {"path": "/c"}, name="others")
            host, port = played.resources.get(HttpListener).address

            async def begun(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                reader, writer = await asyncio.open_connection(host, port)
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: 2\r\n\r\n{{".encode())
                return reader, writer

            async def status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
                writer.write(b"}")
                line = await reader.readline()
                writer.close()
                await writer.wait_closed()
                return line.split()[1]

            pair, other = await begun("/a"), await begun("/c")
            listener = played.resources.get(HttpListener)
            await played.until(lambda: listener.buffered == 2)
            await successor(played, before, {"path": "/a"})
            await played.succeed(Webhook, {"path": "/d"}, moved, "others")
            await before.retire()
            async with asyncio.timeout(DEADLINE_S):
                assert (await status(*pair), await status(*other)) == (b"200", b"404")

    run(main())


def test_the_socket_stays_the_same(run: Run) -> None:
    """Nobody who connects is refused."""

    async def main() -> None:
        async with stage() as played:
            played.outlet = KeepingOutlet(settlement=DELIVERED)
            webhook = await played.start(Webhook, {"path": "/a"}, name="orders")
            address = played.resources.get(HttpListener).address
            after = await successor(played, webhook, {"path": "/b"})
            await webhook.retire()
            assert played.resources.get(HttpListener).address == address
            with socket.create_connection(address, timeout=DEADLINE_S):
                assert not after.over.is_set()

    run(main())
