"""Pause, drain, resume and restart over the API, and what is seen of them."""

from __future__ import annotations

import asyncio

from tests.loop import Run
from tests.router.control.sample_router import Client, running

TOPOLOGY = """
actors:
  door: {type: door}
  well: {type: sink}
  spare: {type: sink}
  slow: {type: sink, does: hold}
  ill: {type: sink, does: crash, supervise: {max_restarts: 1, backoff: {min: 1ms, max: 1ms}}}
  off: {type: sink, enabled: false}
routes:
  open: {from: door, to: well}
  safe: {from: door, to: slow, fallback: spare, timeout: 1h}
"""


async def steer(client: Client, name: str, verb: str, **body: object) -> dict[str, object]:
    answered = await client.post(f"/v1/actors/{name}/{verb}", body)
    assert answered.status == 200, answered.text
    document: dict[str, object] = answered.document
    return document


def test_a_pause_says_what_it_holds_back_and_is_seen_until_it_is_over(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            paused = await steer(client, "open", "pause", why="the provider asked for it")
            one = (await client.get("/v1/actors/open")).document
            ready = await client.get("/readyz")
            refused = await client.post("/v1/actors/door/messages", {"data": 1})
            resumed = await steer(client, "open", "resume")
            again = await steer(client, "open", "resume")
            after = (await client.get("/v1/actors/open")).document
        held_back = {"sources": ["door"], "routes": ["safe"], "fall_back": []}
        assert paused == {"name": "open", "kind": "route", "held_back": held_back}
        pause = one["pause"]
        assert (pause["state"], pause["why"]) == ("paused", "the provider asked for it")
        assert pause["who"].startswith("uid ")
        # What an operator wants is no fault.
        assert (ready.status, ready.document["ready"]) == (200, True)
        assert ready.document["paused"] == [{"name": "open", "kind": "route", **pause}]
        assert (refused.status, refused.detail) == (503, "route open is paused")
        assert (resumed["resumed"], again["resumed"], after["pause"]) == (True, False, None)

    run(scenario())


def test_routes_to_a_paused_target_go_on_with_their_fallback(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            paused = await steer(client, "slow", "pause")
            sent = await client.post("/v1/actors/door/messages", {"data": 1, "wait": True})
            slow = (await client.get("/v1/actors/slow")).document
        assert paused["held_back"] == {"sources": [], "routes": [], "fall_back": ["safe"]}
        assert sent.document["outcome"] == "delivered"
        assert (slow["available"], slow["unavailable_why"], slow["pause"]["state"]) == (
            False,
            "slow is paused",
            "paused",
        )

    run(scenario())


def test_a_drain_says_how_many_messages_are_left(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.post("/v1/actors/door/messages", {"data": 1, "timeout_s": 0.01})
            await client.get_until("/v1/actors/slow/mailbox", lambda view: view["in_flight"])
            left = await steer(client, "safe", "drain", timeout_s=0.05)
            await client.post("/v1/actors/slow/messages", {"data": "go"})
            empty = await steer(client, "safe", "drain", timeout_s=5)
            one = (await client.get("/v1/actors/safe")).document
        assert (left["left"], empty["left"], one["pause"]["state"]) == (1, 0, "drained")

    run(scenario())


def test_a_drain_ends_with_a_resume(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.post("/v1/actors/door/messages", {"data": 1, "timeout_s": 0.01})
            await client.get_until("/v1/actors/slow/mailbox", lambda view: view["in_flight"])
            draining = asyncio.create_task(client.post("/v1/actors/safe/drain", {"timeout_s": 60}))
            await client.get_until("/v1/actors/safe", lambda route: route["pause"])
            await steer(client, "safe", "resume")
            answered = await draining
            await client.post("/v1/actors/slow/messages", {"data": "go"})
        assert (answered.status, answered.detail) == (409, "safe was resumed before it was empty")

    run(scenario())


def test_what_restarts_and_fails_says_how_often_and_why_and_a_restart_revives_it(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for _ in range(2):
                await client.post("/v1/actors/ill/messages", {"data": 1})
            failed = await client.get_until("/v1/actors/ill", lambda actor: actor["state"] == "failed")
            unready = await client.get("/readyz")
            revived = await steer(client, "ill", "restart")
            ready = await client.get("/readyz")
            disabled = await client.post("/v1/actors/off/restart", {})
            route = await steer(client, "open", "restart")
        assert (failed["restarts"], failed["last_error"]) == (1, "RuntimeError: a defect")
        why = {"name": "ill", "kind": "actor", "state": "failed", "why": "RuntimeError: a defect", "restarts": 1}
        assert (unready.status, unready.document["waiting"]) == (503, [why])
        assert revived == {"name": "ill", "kind": "actor", "state": "ready", "why": ""}
        assert ready.status == 200
        assert (disabled.status, disabled.detail.partition(":")[0]) == (409, "off is disabled in the topology")
        assert (route["kind"], route["state"]) == ("route", "ready")

    run(scenario())


def test_each_is_in_the_audit_log_with_its_reason_and_what_was_refused_too(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await steer(client, "open", "pause", why="because")
            await steer(client, "open", "resume")
            unknown = await client.post("/v1/actors/opn/pause", {})
            entries = (await client.get("/v1/audit")).document["entries"]
        assert (unknown.status, unknown.document["suggestion"]) == (404, "did you mean 'open'?")
        assert [(one["action"], one["object"], one["outcome"], one["why"]) for one in reversed(entries)] == [
            ("pause", "open", "done", "because"),
            ("resume", "open", "done", None),
            ("pause", "opn", "refused", "there is no actor or route 'opn'"),
        ]

    run(scenario())


def test_a_pause_of_what_is_in_the_topology_no_more_is_seen_and_can_be_ended(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.engine.stores.pauses.set("gone", "route", "anna", "", 17.0)
            seen = (await client.get("/readyz")).document["paused"]
            resumed = await steer(client, "gone", "resume")
            again = await client.post("/v1/actors/gone/resume", {})
        assert seen == [{"name": "gone", "kind": "route", "state": "paused", "who": "anna", "why": "", "at": 17.0}]
        assert resumed == {"name": "gone", "kind": "route", "resumed": True}
        assert again.status == 404

    run(scenario())
