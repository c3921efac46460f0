"""The screen with a real router behind it."""

from __future__ import annotations

import re

import pytest

from router.cli.client import Client
from router.cli.top.feed import Feed
from tests.loop import Run
from tests.router.cli.top.pilot import EVERY_S, opened
from tests.router.control.sample_router import Client as Api
from tests.router.control.sample_router import running

TOPOLOGY = """
actors:
  door: {type: door}
  gate: {type: door}
  well: {type: sink}
  ill: {type: sink, does: refuse}
routes:
  open: {from: door, to: well}
  stuck: {from: gate, to: ill, durable: true}
"""


def feed(api: Api) -> Feed:
    return Feed(Client(api.engine.state_dir.path / "control.sock"), every_s=EVERY_S)


@pytest.mark.slow
def test_what_a_router_does_is_seen_as_it_happens(run: Run) -> None:
    """Counters, what waits and why, in the table and in the detail."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as api, opened(feed(api), columns=120, lines=50) as screen:
            await screen.shows("ROUTES 2")
            await api.post("/v1/actors/gate/messages", {"data": "hola", "id": "m-1"})
            for _ in range(5):
                await api.post("/v1/actors/door/messages", {"data": 1})
            await screen.press("down", "down", "enter")
            await screen.shows("succeeded               5")
            await screen.press("escape")
            await screen.shows("ROUTES 2")
            await screen.press("tab", "enter")
            await screen.until(lambda text: re.search(r"^ latency +p50 \S+  p95 \S+  p99 \S+$", text, re.MULTILINE))
            await screen.press("escape")
            await screen.shows("ROUTES 2")
            await screen.press("end", "enter")
            text = await screen.shows("m-1 hola")
        assert "from gate  to ill  durable" in text
        assert "MESSAGES  1 retrying" in text
        assert "refused: no: http://***@there said 500" in text
        assert "difference              0" in text

    run(scenario())


def test_a_pause_reaches_the_router_and_back(run: Run) -> None:
    """What is held back is the router's own answer, and who paused it is told below the tables."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as api, opened(feed(api)) as screen:
            await screen.shows("ROUTES 2")
            await screen.press("tab", "p")
            await screen.shows(" pause open?")
            await screen.press("y")
            await screen.shows(" open is paused: refused at door")
            assert (await api.get("/v1/actors/open")).document["pause"]["state"] == "paused"
            await screen.until(lambda text: " open           paused " in text)
            await screen.press("r")
            await screen.shows(" resume open?")
            await screen.press("y")
            await screen.shows(" open goes on")
            await screen.until(lambda text: " open           ready " in text)

    run(scenario())
