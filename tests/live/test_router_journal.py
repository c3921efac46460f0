"""Durable routes of a router that is killed, and of one whose target is away for long."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.live.test_router_http import Service
from tests.loop import Run
from tests.router_command import RunningRouter
from tests.servers import free_port

TOPOLOGY = """\
router: 1
name: shop
settings: {{http: {{port: 0}}, drain_timeout: 500ms}}
actors:
  orders: {{type: webhook, path: /orders, decode: json}}
  service: {{type: http, url: "http://127.0.0.1:{port}/", timeout: 2s}}
routes:
  {route}:
    from: orders
    durable: true
    concurrency: 20
    steps: [{{dedup: {{key: "{{{{ data.number }}}}", for: 1h}}}}]
    to: service
"""
BACKLOG = 50_000
RISE_LIMIT_MIB = 40.0


def write(folder: Path, port: int, *, route: str = "to-service") -> None:
    (folder / "topology.yaml").write_text(TOPOLOGY.format(port=port, route=route))


@contextmanager
def service(port: int) -> Iterator[Service]:
    opened = Service(port)
    try:
        yield opened
    finally:
        opened.close()


async def post(url: str, numbers: range, *, padding: str = "", side_by_side: int = 1) -> list[int]:
    """The statuses of a request for each number, in no order."""
    statuses: list[int] = []
    left = iter(numbers)
    connector = aiohttp.TCPConnector(limit=side_by_side)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30)) as client:

        async def some() -> None:
            for number in left:
                body = json.dumps({"number": number, "padding": padding}).encode()
                headers = {"Idempotency-Key": f"m-{number}", "Content-Type": "application/json"}
                async with client.post(f"{url}/orders", data=body, headers=headers) as response:
                    await response.read()
                    statuses.append(response.status)

        await asyncio.gather(*(some() for _ in range(side_by_side)))
    return statuses


def test_what_was_acknowledged_survives_a_kill(run: Run, tmp_path: Path) -> None:
    """And so does the memory of what was seen: the same again, before and after, is delivered once."""
    port = free_port()
    write(tmp_path, port)
    with RunningRouter(tmp_path) as shop:
        assert run(post(shop.url, range(40))) == [202] * 40
        assert run(post(shop.url, range(10))) == [202] * 10
        shop.kill()
        with service(port) as sink:
            shop.start()
            assert "goes on with 50 messages of its journal" in shop.output
            shop.wait_until(lambda: shop.route("to-service")["ledger"]["delivered"] == 40)
            assert run(post(shop.url, range(20))) == [202] * 20
            shop.wait_until(lambda: shop.route("to-service")["ledger"]["deduplicated"] == 30)
            assert sorted(sink.received) == sorted(f"m-{number}" for number in range(40))
            ledger = shop.route("to-service")["ledger"]
            assert (ledger["queued"], ledger["in_flight"], ledger["difference"]) == (0, 0, 0)
        assert shop.stop() == 0


def test_what_waits_for_a_route_that_is_taken_out_becomes_dead_letters(run: Run, tmp_path: Path) -> None:
    """With the reason, and where the message came from; nothing is left in the journal."""
    port = free_port()
    write(tmp_path, port)
    with RunningRouter(tmp_path) as shop:
        assert run(post(shop.url, range(5))) == [202] * 5
        assert shop.stop() == 0
        assert "5 messages have not settled" in shop.output
        write(tmp_path, port, route="another")
        shop.start()
        shop.wait_for(r"warning .*to-service.* 5 messages of its journal are dead letters now")
        listed = json.loads(shop.ask("dead-letters", "list", "--json").stdout)
        assert [(letter["route"], letter["reason"]) for letter in listed["dead_letters"]] == [
            ("to-service", "unroutable")
        ] * 5
        assert shop.get("/v1/router")[1]["journal"]["rows"] == 0


@pytest.mark.slow
def test_a_long_outage_fills_the_disk_and_not_the_memory(run: Run, tmp_path: Path) -> None:
    """50,000 messages of 500 bytes are taken while the service is away: the mailbox holds 1,000."""
    write(tmp_path, free_port())
    with RunningRouter(tmp_path) as shop:
        run(post(shop.url, range(2_000), padding="x" * 500, side_by_side=32), deadline_s=60)
        before = shop.resident_mib
        more = range(2_000, BACKLOG)
        statuses = run(post(shop.url, more, padding="x" * 500, side_by_side=32), deadline_s=60)
        assert set(statuses) == {202}
        rise = shop.resident_mib - before
        view = shop.route("to-service")
        assert view["ledger"]["accepted"] == BACKLOG
        assert view["mailbox"]["depth"] <= view["mailbox"]["capacity"] == 1000
        assert rise < RISE_LIMIT_MIB, f"{rise:.0f} MiB more than before"
        assert shop.stop() == 0
