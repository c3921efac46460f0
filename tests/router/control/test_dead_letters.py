"""Dead letters are listed, shown, replayed and dropped, by their ids or by a filter."""

from __future__ import annotations

from actors.core.errors import ControlError
from router.engine import Engine
from tests.loop import Run
from tests.router.control.sample_router import Client, running

TOPOLOGY = """
actors:
  door: {type: door}
  gate: {type: door}
  never: {type: sink, does: reject}
  well: {type: sink}
  off: {type: door}
routes:
  bad: {from: door, to: never}
  odd: {from: gate, order_by: "{{ data.k }}", to: {match: [{when: data.n > 10, to: well}]}}
"""


async def fill(client: Client, *, bad: int = 0, odd: int = 0) -> None:
    for number in range(bad):
        body = {"data": {"n": number, "token": "hunter2"}, "id": f"bad-{number}", "wait": True}
        await client.post("/v1/actors/door/messages", body)
    for number in range(odd):
        body = {"data": {"n": number, "k": f"key-{number}"}, "id": f"odd-{number}", "wait": True}
        await client.post("/v1/actors/gate/messages", body)


def test_the_newest_come_first_with_why_and_what(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=2, odd=1)
            listed = (await client.get("/v1/dead-letters")).document
        assert listed["total"] == 3
        odd, bad, _ = listed["dead_letters"]
        assert (odd["route"], odd["target"], odd["reason"], odd["key"]) == ("odd", None, "unroutable", "key-0")
        assert (bad["route"], bad["target"], bad["reason"], bad["error"]) == ("bad", "never", "refused", "not this one")
        assert (bad["message_id"], bad["source"], bad["attempts"], bad["replaying"]) == ("bad-1", "door", 1, False)
        assert bad["preview"] == '{"n": 1, "token": "***"}'
        assert bad["size"] > 20

    run(scenario())


def test_a_page_ends_at_the_limit_and_the_next_begins_behind_it(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=5)
            first = (await client.get("/v1/dead-letters?limit=3")).document["dead_letters"]
            rest = (await client.get(f"/v1/dead-letters?limit=3&before={first[-1]['id']}")).document["dead_letters"]
        assert [letter["message_id"] for letter in first + rest] == [f"bad-{number}" for number in (4, 3, 2, 1, 0)]

    run(scenario())


def test_filters_narrow_the_list_and_its_total(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=3, odd=2)
            for query, total in (
                ("route=bad", 3),
                ("route=bad&limit=1", 3),
                ("target=never", 3),
                ("reason=unroutable", 2),
                ("since=1h", 5),
                ("until=1h", 0),
                ("route=bad&reason=unroutable", 0),
            ):
                listed = (await client.get(f"/v1/dead-letters?{query}")).document
                assert listed["total"] == total, query
            wrong = await client.get("/v1/dead-letters?reason=nonsense")
        assert wrong.status == 400

    run(scenario())


def test_one_is_shown_whole_and_redacted(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=1)
            letter_id = (await client.get("/v1/dead-letters")).document["dead_letters"][0]["id"]
            whole = (await client.get(f"/v1/dead-letters/{letter_id}")).document
            missing = await client.get("/v1/dead-letters/dzzz")
            nonsense = await client.get("/v1/dead-letters/17")
        assert (whole["id"], whole["message_id"], whole["data"]) == (letter_id, "bad-0", {"n": 0, "token": "***"})
        assert whole["type"] == "message"
        assert (missing.status, missing.detail) == (404, "there is no dead letter 'dzzz'")
        assert nonsense.status == 404

    run(scenario())


def test_dropping_takes_ids_or_a_filter_and_says_how_many(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=3, odd=2)
            newest = (await client.get("/v1/dead-letters?limit=1")).document["dead_letters"][0]["id"]
            by_id = await client.post("/v1/dead-letters/drop", {"ids": [newest, newest, "dzzz"]})
            by_filter = await client.post("/v1/dead-letters/drop", {"filter": {"route": "bad"}})
            neither = await client.post("/v1/dead-letters/drop", {})
            left = (await client.get("/v1/dead-letters")).document["total"]
            everything = await client.post("/v1/dead-letters/drop", {"filter": {}})
        assert (by_id.document["dropped"], by_filter.document["dropped"]) == (1, 3)
        assert (neither.status, left) == (400, 1)
        assert everything.document == {"dropped": 1, "more": False, "last": None}

    run(scenario())


def test_a_replay_that_is_delivered_ends_the_dead_letter(run: Run) -> None:
    async def scenario() -> None:
        replayed: list[tuple[str, str]] = []

        class Mended(Engine):
            async def replay(self, letter_id: str, *, mode: str) -> None:
                replayed.append((letter_id, mode))
                await self.dead_letters.drop([letter_id])

        async with running(TOPOLOGY, engine=Mended) as client:
            await fill(client, bad=3)
            ids = [letter["id"] for letter in (await client.get("/v1/dead-letters")).document["dead_letters"]]
            answered = await client.post("/v1/dead-letters/replay", {"filter": {}, "as": "current"})
            total = (await client.get("/v1/dead-letters")).document["total"]
        assert answered.document == {"replayed": 3, "failed": [], "left": 0, "more": False, "last": ids[0]}
        assert replayed == [(letter_id, "current") for letter_id in reversed(ids)]
        assert total == 0

    run(scenario())


def test_a_replay_that_fails_again_is_told_with_its_reason(run: Run) -> None:
    """Those beside it are replayed all the same."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=1)
            (letter,) = (await client.get("/v1/dead-letters")).document["dead_letters"]
            body = {"ids": [letter["id"], "dzzz", letter["id"]]}
            answered = (await client.post("/v1/dead-letters/replay", body)).document
            total = (await client.get("/v1/dead-letters")).document["total"]
        assert (answered["replayed"], answered["left"], total) == (0, 0, 1)
        failed = {one["id"]: one["why"] for one in answered["failed"]}
        assert set(failed) == {letter["id"], "dzzz"}
        assert "failed again" in failed[letter["id"]]
        assert "there is no dead letter" in failed["dzzz"]

    run(scenario())


def test_a_defect_in_one_replay_does_not_keep_the_others(run: Run) -> None:
    async def scenario() -> None:
        class Defective(Engine):
            async def replay(self, letter_id: str, *, mode: str) -> None:
                if letter_id == "d1":
                    raise RuntimeError("hunter2")
                if letter_id == "d2":
                    raise ControlError("it is being replayed already")

        async with running(TOPOLOGY, engine=Defective) as client:
            answered = await client.post("/v1/dead-letters/replay", {"ids": ["d1", "d2", "d3"]})
        assert answered.document["replayed"] == 1
        assert "hunter2" not in answered.text

    run(scenario())


def test_many_are_gone_through_a_page_at_a_time(run: Run) -> None:
    """The oldest first, behind the last of the page before, and no further than the one that is named."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await fill(client, bad=6)
            pages = []
            after: dict[str, str] = {}
            for _ in range(3):
                body = {"filter": {}, "limit": 2, "through": "d5", **after}
                answered = (await client.post("/v1/dead-letters/replay", body)).document
                pages.append(([one["id"] for one in answered["failed"]], answered["more"], answered["last"]))
                after = {"after": answered["last"]}
            dropped = (await client.post("/v1/dead-letters/drop", {"filter": {}, "limit": 2, "after": "d3"})).document
            rest = (await client.get("/v1/dead-letters")).document
            wrong = await client.post("/v1/dead-letters/drop", {"ids": ["d1"], "limit": 2})
        assert pages == [(["d1", "d2"], True, "d2"), (["d3", "d4"], True, "d4"), (["d5"], False, "d5")]
        assert dropped == {"dropped": 2, "more": True, "last": "d5"}
        assert [letter["id"] for letter in rest["dead_letters"]] == ["d6", "d3", "d2", "d1"]
        assert (wrong.status, wrong.detail) == (400, "'limit', 'after' and 'through' go with 'filter'")

    run(scenario())
