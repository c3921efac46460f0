"""Single messages are held, released and dropped over the API, under the name of whatever they are in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.loop import Run
from tests.router.control.sample_router import Answered, Client, running

TOPOLOGY = """
actors:
  door: {type: door}
  slow: {type: sink, does: hold}
  ill: {type: sink, does: refuse}
  gate: {type: door}
routes:
  r: {from: door, to: slow, timeout: 1h}
  stuck: {from: gate, to: ill, durable: true, order_by: "{{ data.k }}"}
"""


async def act(client: Client, name: str, message_id: str, verb: str, **body: Any) -> Answered:
    return await client.post(f"/v1/actors/{name}/mailbox/{message_id}/{verb}", body)


async def fill(client: Client, *ids: str) -> None:
    """The first is in the hand of `slow`, and the others wait in `r`."""
    for message_id in ids:
        await client.post("/v1/actors/door/messages", {"data": message_id, "id": message_id, "timeout_s": 0.01})
    await client.get_until("/v1/actors/slow/mailbox", lambda view: view["in_flight"])


@pytest.mark.parametrize("name", ["r", "door"])
def test_a_message_is_held_and_goes_on_when_it_is_released(run: Run, name: str) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, "m1", "m2", "m3")
            held = await act(client, name, "m2", "hold", why="let me look")
            waiting = (await client.get(f"/v1/actors/{name}/mailbox")).document["waiting"]
            await client.post("/v1/actors/slow/messages", {"data": "go"})
            on_hold = await client.get_until(f"/v1/actors/{name}/mailbox", lambda view: view["held"])
            route = (await client.get("/v1/actors/r")).document
            released = await act(client, name, "m2", "release")
            ended = await client.get_until("/v1/actors/r", lambda route: route["ledger"]["delivered"] == 3)
        assert (held.status, held.document["refused"]) == (200, [])
        assert held.document["done"] == [{"route": "r", "target": None, "state": "queued"}]
        assert [(one["id"], one["on_hold"]) for one in waiting] == [("m2", True), ("m3", False)]
        assert [(one["id"], one["state"]) for one in on_hold["held"]] == [("m2", "on_hold")]
        assert (route["on_hold"], route["ledger"]["difference"]) == (1, 0)
        assert released.document["done"] == [{"route": "r", "target": None, "state": "on_hold"}]
        assert ended["on_hold"] == 0

    run(scenario())


def test_a_message_is_dropped_with_a_reason_that_the_audit_log_has(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, "m1", "m2")
            without = await act(client, "r", "m2", "drop")
            dropped = await act(client, "r", "m2", "drop", reason="sent by mistake")
            route = (await client.get("/v1/actors/r")).document
            entry = (await client.get("/v1/audit?limit=1")).document["entries"][0]
            await client.post("/v1/actors/slow/messages", {"data": "go"})
        assert (without.status, without.detail) == (400, "reason: is required")
        assert dropped.status == 200
        assert (route["ledger"]["dropped"], route["ledger"]["difference"]) == (1, 0)
        assert (entry["action"], entry["object"], entry["why"]) == ("drop", "r/m2", "sent by mistake")

    run(scenario())


def test_a_retry_is_found_under_the_name_of_its_target(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for number in (1, 2):
                await client.post("/v1/actors/gate/messages", {"data": {"k": "a"}, "id": f"m{number}"})
            await client.get_until("/v1/actors/ill/mailbox", lambda view: view["retrying"])
            dropped = await act(client, "ill", "m1", "drop", reason="sent by mistake")
            behind = await client.get_until("/v1/actors/ill/mailbox", lambda view: view["retrying"])
        assert dropped.document["done"] == [{"route": "stuck", "target": "ill", "state": "retrying"}]
        assert [one["id"] for one in behind["retrying"]] == ["m2"]

    run(scenario())


def test_what_is_in_hand_or_not_there_is_answered_with_where_it_is(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, "m1")
            await client.post("/v1/actors/slow/messages", {"data": 1, "id": "mine", "timeout_s": 0.01})
            in_hand = await act(client, "slow", "m1", "hold")
            not_held = await act(client, "r", "m1", "release")
            by_hand = await act(client, "slow", "mine", "drop", reason="why not")
            missing = await act(client, "r", "m9", "hold")
            unknown = await act(client, "nobody", "m1", "hold")
            client.engine.routes["r"].backlog.size = 1200
            on_disk = await act(client, "door", "m9", "hold")
            view = (await client.get("/v1/actors/r/mailbox")).document
            client.engine.routes["r"].backlog.size = 0
            await client.post("/v1/actors/slow/messages", {"data": "go"})
        assert (in_hand.status, in_hand.detail) == (409, "slow has message m1 in hand: it ends there")
        assert (not_held.status, not_held.detail) == (409, "message m1 is not held")
        assert by_hand.detail == "no route has message mine any more: slow has it, and it ends there"
        assert (missing.status, missing.detail) == (404, "there is no message in the mailbox of r with the id 'm9'")
        assert "suggestion" not in missing.document
        assert (unknown.status, unknown.detail) == (404, "there is no actor or route 'nobody'")
        assert on_disk.document["suggestion"].startswith("1,200 more are in the journal alone")
        assert view["backlog"] == 1200

    run(scenario())


def test_any_character_may_be_in_an_id(run: Run) -> None:
    """Ids come from outside."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, "m1", "a/b?c")
            held = await act(client, "r", "a%2Fb%3Fc", "hold")
            await client.post("/v1/actors/slow/messages", {"data": "go"})
        assert (held.status, held.document["id"]) == (200, "a/b?c")

    run(scenario())
