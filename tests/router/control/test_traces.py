"""One message's way, as the API tells it."""

from __future__ import annotations

from typing import Any

from tests.loop import Run
from tests.router.control.sample_router import HEAD, Changing, Client, running

TOPOLOGY = """
actors:
  door: {type: door}
  gate: {type: door}
  well: {type: sink}
  ill: {type: sink, does: refuse}
  never: {type: sink, does: reject}
routes:
  watch: {from: door, to: [well, never]}
  try: {from: door, to: ill}
  sort:
    from: gate
    to: well
    steps:
      - filter: "data.items != []"
      - split: "{{ data.items }}"
"""


async def send(client: Client, actor: str, id_: str, data: Any = 1) -> None:
    await client.post(f"/v1/actors/{actor}/messages", {"data": data, "id": id_, "wait": True, "timeout_s": 0.1})


async def told(client: Client, id_: str) -> list[tuple[str | None, str, str | None, str | None]]:
    """Route, what, id and outcome of everything that happened."""
    document = (await client.get(f"/v1/traces/{id_}")).document
    return [(one["route"], one["what"], one["id"], one["outcome"]) for one in document["happenings"]]


def test_a_trace_tells_all_routes_attempts_and_ends_in_order(run: Run) -> None:
    """Also what is still under way, and since when."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await send(client, "door", "order-1")
            await client.get_until("/v1/actors/watch", lambda route: route["ledger"]["dead_lettered"] == 1)
            answered = (await client.get("/v1/traces/order-1")).document
            assert answered["under_way"]
            happenings = answered["happenings"]
            assert [one["after_s"] for one in happenings] == sorted(one["after_s"] for one in happenings)
            watch = [one for one in happenings if one["route"] == "watch"]
            assert [(one["what"], one["target"], one["outcome"]) for one in watch] == [
                ("accepted", None, None),
                ("handed_over", "well", None),
                ("attempt_failed", "never", None),
                ("ended", "never", "dead_lettered"),
                ("ended", None, "dead_lettered"),
            ]
            assert watch[0]["source"] == "door"
            assert watch[-1]["targets"] == ["well", "never"]
            tried = [one for one in happenings if one["route"] == "try"]
            assert [one["what"] for one in tried] == ["accepted", "attempt_failed", "under_way"]
            assert tried[1]["retry_in_s"] > 3000
            assert "secret" not in tried[1]["error"]
            assert (tried[2]["state"], tried[2]["attempt"], tried[2]["target"]) == ("retrying", 2, "ill")

    run(scenario())


def test_parts_are_told_with_what_they_are_parts_of(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await send(client, "gate", "o-1", {"items": ["a", "b"]})
            await send(client, "gate", "o-2", {"items": []})
            await send(client, "gate", "o-11", {"items": ["c"]})
            assert await told(client, "o-1") == [
                ("sort", "accepted", "o-1", None),
                ("sort", "handed_over", "o-1-1", None),
                ("sort", "handed_over", "o-1-2", None),
                ("sort", "ended", "o-1-1", "delivered"),
                ("sort", "ended", "o-1-2", "delivered"),
                ("sort", "ended", "o-1", "delivered"),
            ]
            part = (await client.get("/v1/traces/o-1-2")).document["happenings"]
            assert {one["id"] for one in part} == {"o-1", "o-1-2"}
            assert part[1]["steps"] == ["filter", "split"]
            assert (part[-1]["whole"], part[-1]["step"]) == (True, "split")
            (_, filtered) = (await client.get("/v1/traces/o-2")).document["happenings"]
            assert (filtered["outcome"], filtered["step"], filtered["steps"]) == ("filtered", "filter", [])

    run(scenario())


def test_revisions_that_began_to_run_meanwhile_are_told(run: Run) -> None:
    """And none that ran before it came."""

    async def scenario() -> None:
        async with running(TOPOLOGY, engine=Changing) as client:

            async def change(concurrency: int) -> None:
                text = HEAD % "" + TOPOLOGY.replace("to: ill}", f"to: ill, concurrency: {concurrency}}}")
                assert (await client.post("/v1/apply", {"text": text, "path": "/t/sample.yaml"})).status == 200

            await change(2)
            await send(client, "door", "o-1")
            await client.get_until("/v1/actors/try", lambda route: route["retrying"] == 1)
            await change(3)
            happenings = (await client.get("/v1/traces/o-1")).document["happenings"]
            assert [one["revision"] for one in happenings if one["what"] == "switched"] == [3]

    run(scenario())


def test_a_replay_is_a_way_of_its_own_that_names_the_dead_letter(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await send(client, "door", "o-1")
            await client.get_until("/v1/actors/watch", lambda route: route["ledger"]["dead_lettered"] == 1)
            (letter,) = (await client.get("/v1/dead-letters")).document["dead_letters"]
            await client.post("/v1/dead-letters/replay", {"ids": [letter["id"]], "as": "original"})
            happenings = (await client.get("/v1/traces/o-1")).document["happenings"]
            watched = [one for one in happenings if one["route"] == "watch" and one["what"] == "accepted"]
            assert [one["letter"] for one in watched] == [None, letter["id"]]

    run(scenario())


def test_an_unknown_message_is_answered_with_how_far_back_it_is_remembered(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            assert "no message has ended yet" in (await client.get("/v1/traces/x")).detail
            await send(client, "gate", "o-2", {"items": []})
            answered = await client.get("/v1/traces/x")
            assert answered.status == 404
            assert "what is remembered, 1 ends of messages, goes back" in answered.detail

    run(scenario())


def test_nothing_is_remembered_where_the_topology_says_so(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY, settings=", trace: {messages: 0}") as client:
            await send(client, "gate", "o-2", {"items": []})
            assert "`settings.trace.messages` is 0" in (await client.get("/v1/traces/o-2")).detail

    run(scenario())
