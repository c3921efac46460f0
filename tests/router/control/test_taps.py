"""Live copies over the API: what is shown, what is left out, and that nobody notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.control import streaming
from router.engine import Engine
from tests.loop import Run
from tests.router.control.sample_router import HEAD, Changing, Client, running

TOPOLOGY = """
actors:
  door: {type: door}
  well: {type: sink}
  never: {type: sink, does: reject}
routes:
  to-well: {from: door, to: well, when: "data.kind != 'noise'"}
  to-never: {from: door, to: never}
"""


class Listener:
    """Reads a tap line by line."""

    def __init__(self, lines: AsyncIterable[bytes]) -> None:
        self._lines = lines

    async def line(self) -> Any:
        """The next line that says something; None at the end."""
        async for line in self._lines:
            if line.strip():
                return json.loads(line)
        return None

    async def lines(self, count: int) -> list[Any]:
        return [await self.line() for _ in range(count)]


@asynccontextmanager
async def listening(client: Client, name: str, **query: Any) -> AsyncIterator[Listener]:
    """A tap that is open."""
    async with client._session.get("http://router/v1/taps", params={"name": name, **query}) as response:
        assert response.status == 200
        listener = Listener(response.content)
        assert await listener.line() == {"listening": name.split(",")}
        yield listener


async def send(client: Client, kind: str, id_: str, **more: Any) -> None:
    data = {"kind": kind, "phone": "0991234567", **more}
    await client.post("/v1/actors/door/messages", {"data": data, "id": id_, "wait": True, "timeout_s": 1.0})


def hooked(engine: Engine) -> list[str]:
    """The methods that stand in for those of classes."""
    owners = [*engine.outlets.values(), *engine.routes.values(), *(route.attempts for route in engine.routes.values())]
    return [name for owner in owners for name in ("offer", "delivered", "end", "begin") if name in vars(owner)]


def test_sources_targets_and_routes_are_listened_to_each_at_its_place(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client, listening(client, "door,well,to-well,to-never", count="4") as tap:
            await send(client, "alarm", "m1")
            lines = await tap.lines(4)
            assert await tap.line() is None
            found = {(line["name"], line["place"], line["outcome"]) for line in lines}
            assert found == {
                ("door", "source", None),
                ("well", "target", None),
                ("to-well", "route", "delivered"),
                ("to-never", "route", "dead_lettered"),
            }
            assert {line["id"] for line in lines} == {"m1"}
            assert all("0991234567" not in json.dumps(line) for line in lines)
            assert lines[0]["preview"] == '{"kind": "alarm", "phone": "***"}'

    run(scenario())


def test_where_is_for_what_it_holds_for_and_a_failure_is_told(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            async with listening(client, "door", where="data.number > 1", whole="true") as tap:
                for number in (1, 2, 3):
                    await send(client, "alarm", f"m{number}", number=number)
                first, second = await tap.lines(2)
                assert [first["id"], second["id"]] == ["m2", "m3"]
                assert first["message"]["data"] == {"kind": "alarm", "phone": "***", "number": 2}
                await send(client, "alarm", "m4", number="many")
                remark = await tap.line()
                assert remark["failed"] == 1
                assert remark["error"]
            refused = await client.get("/v1/taps?name=door&where=data.(")
            assert (refused.status, refused.document["errors"][0]["field"]) == (400, "where")

    run(scenario())


def test_what_is_more_than_the_limit_is_counted(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client, listening(client, "door", limit="1") as tap:
            for number in range(5):
                await send(client, "alarm", f"m{number}")
            first, remark = await tap.lines(2)
            assert first["id"] == "m0"
            assert 1 <= remark["left_out"] <= 4

    run(scenario())


def test_a_filtered_message_ends_on_its_route_and_meets_no_target(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client, listening(client, "well,to-well", count="1") as tap:
            await send(client, "noise", "m1")
            line = await tap.line()
            assert (line["name"], line["outcome"], line["target"]) == ("to-well", "filtered", None)

    run(scenario())


def test_a_tap_costs_nothing_before_and_after(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No object has a method of its own while nobody listens; with two listeners the last one ends it."""
    monkeypatch.setattr(streaming, "BEAT_S", 0.01)

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            assert hooked(client.engine) == []
            async with listening(client, "door"), listening(client, "door,to-well,well"):
                assert sorted(set(hooked(client.engine))) == ["begin", "delivered", "end", "offer"]
            async with asyncio.timeout(10.0):
                while hooked(client.engine):  # the server finds out by itself
                    await client.get("/healthz")

    run(scenario())


def test_a_tap_goes_on_over_a_change_under_the_same_names(run: Run) -> None:
    """Actors, routes and what is missing afterwards: new ones are listened to from the turn in which they run."""
    changed = """
actors:
  door: {type: door}
  well: {type: sink, does: reply}
routes:
  to-well: {from: door, to: well}
"""

    async def scenario() -> None:
        names = "well,to-well,to-never"
        async with running(TOPOLOGY, engine=Changing) as client, listening(client, names, where="data.a == 1") as tap:
            applied = {"text": HEAD % "" + changed, "path": "/t/sample.yaml"}
            answered = await client.post("/v1/apply", applied)
            assert answered.status == 200, answered.text
            remark = await tap.line()
            assert (remark["revision"], remark["gone"]) == (client.engine.revision, ["to-never"])
            await send(client, "alarm", "m1", a=1)
            lines = await tap.lines(2)
            assert {(line["name"], line["outcome"]) for line in lines} == {("well", None), ("to-well", "delivered")}

    run(scenario())


def test_unknown_names_are_refused_with_what_may_have_been_meant(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            answered = await client.get("/v1/taps?name=door,to-wel")
            assert answered.status == 404
            assert "to-well" in answered.document["suggestion"]

    run(scenario())
