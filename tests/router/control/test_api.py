"""What operators see of actors, routes and mailboxes, and what becomes of what they send."""

from __future__ import annotations

import asyncio
import io
import logging

import pytest

from actors.core.message import Message, Settlement
from router.engine import Engine
from tests.loop import Run
from tests.router.control.sample_router import running

TOPOLOGY = """
actors:
  door: {type: door}
  gate: {type: door}
  well: {type: sink, does: reply}
  ill: {type: sink, does: refuse}
  never: {type: sink, does: reject}
  slow: {type: sink, does: hold}
  away: {type: sink, away: true}
  off: {type: sink, enabled: false}
routes:
  open: {from: door, to: well}
  stuck: {from: gate, to: ill, durable: true, order_by: "{{ data.k }}"}
"""


def test_the_router_says_what_it_is(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            router = (await client.get("/v1/router")).document
            state_dir = str(client.engine.state_dir.path)
        assert router["name"] == "sample"
        assert router["topology"] == "/t/sample.yaml"
        assert router["state_dir"] == state_dir
        assert router["listening"] == [{"what": "control", "address": f"{state_dir}/control.sock"}]
        assert router["connections"] == []
        assert router["journal"] == {"rows": 0, "bytes": 0}
        assert (router["dead_letters"], router["drain_timeout_s"], router["stopping"]) == (0, 0.0, False)
        assert router["uptime_s"] >= 0

    run(scenario())


def test_all_actors_and_routes_are_listed_in_the_order_of_the_file(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            listed = (await client.get("/v1/actors")).document
        assert [actor["name"] for actor in listed["actors"]] == [
            *("door", "gate", "well", "ill", "never", "slow", "away", "off")
        ]
        assert [route["name"] for route in listed["routes"]] == ["open", "stuck"]

    run(scenario())


def test_an_actor_is_shown_with_its_mailbox_and_its_counts(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.post("/v1/actors/door/messages", {"data": 1, "wait": True})
            well = (await client.get("/v1/actors/well")).document
            away = (await client.get("/v1/actors/away")).document
            off = (await client.get("/v1/actors/off")).document
        assert (well["kind"], well["type"], well["roles"], well["state"]) == ("actor", "sink", ["target"], "ready")
        assert well["mailbox"] == {
            "depth": 0,
            "capacity": 1000,
            "high_water": 1,
            "oldest_age_s": None,
            "in_hand": 0,
            "lobby": 0,
            "overflow": "wait",
        }
        assert (well["counts"]["started"], well["counts"]["succeeded"], well["counts"]["handled"]) == (1, 1, 1)
        assert well["available"]
        assert (away["state"], away["available"]) == ("ready", False)
        assert away["unavailable_why"] == "http://***@there does not answer"
        assert off["state"] == "disabled"

    run(scenario())


def test_a_route_is_shown_with_its_ledger(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for name in ("door", "gate"):
                await client.post(f"/v1/actors/{name}/messages", {"data": {"k": "a"}})
            stuck = await client.get_until("/v1/actors/stuck", lambda route: route["retrying"])
            opened = (await client.get("/v1/actors/open")).document
        assert (opened["kind"], opened["sources"], opened["targets"]) == ("route", ["door"], ["well"])
        assert (opened["ledger"]["accepted"], opened["ledger"]["delivered"]) == (1, 1)
        assert opened["ledger"]["difference"] == 0
        assert (stuck["durable"], stuck["held_back"], stuck["retries"]) == (True, False, 1)
        assert stuck["ledger"]["in_flight"] == 1
        assert stuck["oldest_age_s"] >= 0

    run(scenario())


def test_an_unknown_name_is_not_found_and_the_nearest_is_suggested(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for path in ("/v1/actors/wel", "/v1/actors/wel/mailbox", "/v1/actors/wel/mailbox/1"):
                answered = await client.get(path)
                assert answered.status == 404
                assert answered.detail == "there is no actor or route 'wel'"
                assert answered.document["suggestion"] == "did you mean 'well'?"
            sent = await client.post("/v1/actors/wel/messages", {"data": 1})
            assert sent.status == 404

    run(scenario())


def test_a_mailbox_shows_what_waits_and_for_what(run: Run) -> None:
    """The first of a key waits for its next attempt, the second for the first."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for number in (1, 2):
                body = {"data": {"k": "a", "phone": "0123", "n": number}, "id": f"m{number}"}
                assert (await client.post("/v1/actors/gate/messages", body)).status == 202
            view = await client.get_until("/v1/actors/stuck/mailbox", lambda view: view["retrying"] and view["held"])
            at_target = (await client.get("/v1/actors/ill/mailbox")).document
        assert view["counts"] == {"waiting": 0, "in_flight": 0, "retrying": 1, "suspended": 0, "held": 1}
        (retrying,), (held,) = view["retrying"], view["held"]
        assert (retrying["id"], retrying["key"], retrying["attempt"], retrying["target"]) == ("m1", "a", 2, "ill")
        assert retrying["preview"] == '{"k": "a", "phone": "***", "n": 1}'
        assert retrying["last_error"] == "refused: no: http://***@there said 500"
        assert 3500 < retrying["retry_in_s"] <= 3600
        assert retrying["size"] > 20
        assert (held["id"], held["state"], held["last_error"]) == ("m2", "ordered", None)
        assert [message["id"] for message in at_target["retrying"]] == ["m1"]
        assert at_target["counts"]["held"] == 0

    run(scenario())


def test_what_an_actor_has_in_hand_is_shown(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.post("/v1/actors/slow/messages", {"data": 1, "id": "m", "timeout_s": 0.01})
            view = await client.get_until("/v1/actors/slow/mailbox", lambda view: view["in_flight"])
            await client.post("/v1/actors/slow/messages", {"data": "go"})
        (message,) = view["in_flight"]
        assert (message["id"], message["state"], message["preview"]) == ("m", "in_hand", "1")

    run(scenario())


def test_a_mailbox_is_shown_as_far_as_the_limit_goes_and_counted_whole(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for number in range(5):
                await client.post("/v1/actors/gate/messages", {"data": {"k": number}})
            view = await client.get_until("/v1/actors/stuck/mailbox?limit=2", lambda v: v["counts"]["retrying"] == 5)
        assert len(view["retrying"]) == 2

    run(scenario())


def test_one_message_is_shown_whole_and_redacted(run: Run) -> None:
    """Ids come from outside, so any character may be in one."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            body = {
                "data": {"k": 1, "deep": [{"Token": "hunter2"}]},
                "id": "a/b?c",
                "headers": {"token": "hunter2", "x": "y"},
                "subject": "s",
                "key": "p",
            }
            await client.post("/v1/actors/gate/messages", body)
            await client.get_until("/v1/actors/stuck/mailbox", lambda view: view["retrying"])
            whole = (await client.get("/v1/actors/stuck/mailbox/a%2Fb%3Fc")).document
            missing = await client.get("/v1/actors/stuck/mailbox/other")
        assert whole["data"] == {"k": 1, "deep": [{"Token": "***"}]}
        assert whole["headers"] == {"token": "***", "x": "y"}
        assert (whole["id"], whole["subject"], whole["partitionkey"], whole["source"]) == ("a/b?c", "s", "p", "gate")
        assert (whole["state"], whole["attempt"]) == ("retrying", 2)
        assert missing.status == 404

    run(scenario())


def test_a_message_to_a_source_enters_its_routes(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            sent = await client.post("/v1/actors/gate/messages", {"data": {"k": 1}, "id": "mine"})
            asked = await client.post("/v1/actors/door/messages", {"data": [1], "wait": True})
        assert (sent.status, sent.document) == (202, {"id": "mine", "status": "accepted"})
        assert asked.status == 200
        assert asked.document["outcome"] == "delivered"
        assert asked.document["reply"] == {
            "data": {"you_said": [1]},
            "status": 201,
            "headers": {"x-from": "sink"},
            "content_type": None,
        }

    run(scenario())


def test_a_message_to_a_target_is_delivered_to_it(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            taken = await client.post("/v1/actors/well/messages", {"data": 1, "wait": True})
            refused = await client.post("/v1/actors/ill/messages", {"data": 1})
            rejected = await client.post("/v1/actors/never/messages", {"data": 1})
            away = await client.post("/v1/actors/away/messages", {"data": 1})
            slow = await client.post("/v1/actors/slow/messages", {"data": 1, "id": "m", "timeout_s": 0.01})
            await client.post("/v1/actors/slow/messages", {"data": "go"})
        assert (taken.status, taken.document["outcome"]) == (200, "delivered")
        assert (refused.status, refused.headers["Retry-After"]) == (502, "3600")
        assert refused.detail == "no: http://***@there said 500"
        assert (rejected.status, rejected.document["retryable"]) == (502, False)
        assert (away.status, away.document["reason"]) == (502, "connect")
        assert slow.status == 504
        assert slow.detail == "message m has not ended within 0.01 s; it may yet"

    run(scenario())


def test_a_route_takes_no_messages_by_hand(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            answered = await client.post("/v1/actors/open/messages", {"data": 1})
        assert answered.status == 409
        assert answered.detail == "open is a route: send to an actor, such as its source door"

    run(scenario())


def test_a_route_that_is_held_back_refuses_with_a_time_to_come_back(run: Run) -> None:
    async def scenario() -> None:
        topology = "actors: {door: {type: door}, away: {type: sink, away: true}}\nroutes: {r: {from: door, to: away}}"
        async with running(topology) as client:
            waiting = asyncio.create_task(client.post("/v1/actors/door/messages", {"data": 1, "timeout_s": 5}))
            view = await client.get_until("/v1/actors/r/mailbox", lambda view: view["suspended"])
            route = (await client.get("/v1/actors/r")).document
            answered = await client.post("/v1/actors/door/messages", {"data": 2})
            waiting.cancel()
            await asyncio.wait([waiting])
        assert [(one["state"], one["target"]) for one in view["suspended"]] == [("suspended", "away")]
        assert (route["suspended"], route["held_back"], route["refused_at_source"]) == (1, True, 0)
        assert (answered.status, answered.headers["Retry-After"], answered.document["route"]) == (503, "5", "r")

    run(scenario())


def test_requests_are_checked(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            query = await client.get("/v1/actors?verbose=1")
            limit = await client.get("/v1/actors/well/mailbox?limit=many")
            field = await client.post("/v1/actors/well/messages", {"data": 1, "wait": "yes"})
            no_json = await client.ask("POST", "/v1/actors/well/messages", data=b"x")
            too_large = await client.ask(
                "POST",
                "/v1/actors/well/messages",
                data=io.BytesIO(b'"' + b"x" * (1024 * 1024) + b'"'),
                headers={"Content-Type": "application/json"},
            )
            path = await client.get("/v1/nothing")
            method = await client.ask("DELETE", "/v1/router")
        assert (query.status, query.detail) == (400, "verbose: unknown query parameter")
        assert (limit.status, limit.document["errors"][0]["field"]) == (400, "limit")
        assert (field.status, field.document["errors"][0]["field"]) == (400, "wait")
        assert no_json.status == 415
        assert (too_large.status, too_large.detail) == (413, "a body may have 1048576 bytes")
        assert (path.status, path.detail) == (404, "nothing is at /v1/nothing")
        assert (method.status, method.headers["Allow"]) == (405, "GET,HEAD")

    run(scenario())


def test_of_a_defect_the_log_has_everything_and_the_answer_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        class Defective(Engine):
            async def inject(self, name: str, message: Message, *, wait: bool, timeout_s: float) -> Settlement | None:
                raise RuntimeError("hunter2")

        async with running(TOPOLOGY, engine=Defective) as client:
            answered = await client.post("/v1/actors/well/messages", {"data": 1})
        assert (answered.status, answered.detail) == (500, "this failed inside the router; its log says more")
        assert "hunter2" not in answered.text

    with caplog.at_level(logging.ERROR, "pointsman.control"):
        run(scenario())
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])
