"""Changes of a running router over its API: plan, apply, swap, rollback, and the history of them."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from router.catalog import Catalog
from router.change.code import CodeRefusedError
from router.control.changes import ApplyRequest, ChangeOperations, PlanRequest, RollbackRequest
from router.control.operation import Answer, Call
from router.control.problem import ForbiddenError, RequestError
from router.control.roles import Caller
from router.engine import Engine
from router.topology.check import check
from tests.loop import Run
from tests.router.control.sample_router import HEAD, Client, Door, Sink, running

TEXT = """actors: {door: {type: door}, a: {type: sink}, b: {type: sink%s}}
routes: {r: {from: door, to: %s}}
"""
CALLER = Caller("ci", "admin", "10.0.0.7")


class Sample(Engine):
    """Later texts may name the types of the sample router."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        load = partial(check, catalog=Catalog(endpoints=[Door, Sink]), environ={})
        super().__init__(*arguments, **options, load=lambda text, path: load(text, path=path))


def text(to: str, *, b: str = "", settings: str = "") -> str:
    return HEAD % settings + TEXT % (b, to)


AWAY = {"text": text("b", b=", away: true"), "wait_connected": True}
"""What takes long."""

sample = partial(running, TEXT % ("", "a"), engine=Sample)


async def written(client: Client, to: str, **more: Any) -> Any:
    answered = await client.post("/v1/apply", {"text": text(to), "path": "/t/sample.yaml", **more})
    assert answered.status == 200
    return answered.document


def test_a_plan_says_what_becomes_of_each_and_does_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            asked = {"text": text("b", b=", does: reply", settings=", journal: {size: 2MiB}")}
            answered = await client.post("/v1/plan", asked)
            assert answered.status == 200
            plan = answered.document["plan"]
            assert {one["name"]: one["fate"] for one in plan["actors"]} == {"door": "kept", "a": "kept", "b": "beside"}
            assert [(one["name"], one["fate"], one["why"]) for one in plan["routes"]] == [("r", "rewired", ["to"])]
            assert plan["settings"] == ["journal"]
            assert answered.document["revision"] == 1
            assert [one["message"] for one in answered.document["warnings"]] == ["no route uses actor 'a'"]
            history = await client.get("/v1/revisions")
            assert len(history.document["revisions"]) == 1

    run(scenario())


def test_a_plan_may_be_of_one_route(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            answered = await client.post("/v1/plan", {"route": "r", "to": ["a=90", "b=10"]})
            assert [one["fate"] for one in answered.document["plan"]["routes"]] == ["rewired"]
            for wrong in ({}, {"route": "r"}, {"to": ["a"]}, {"text": "x", "route": "r", "to": ["a"]}):
                assert (await client.post("/v1/plan", wrong)).status == 400

    run(scenario())


def test_apply_answers_with_the_plan_and_the_report(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            document = await written(client, "b")
            assert document["revision"] == 2
            assert document["report"]["difference"] == 0
            assert [one["route"] for one in document["report"]["routes"]] == ["r"]
            again = await written(client, "b")
            assert (again["revision"], again["report"], again["plan"]["empty"]) == (None, None, True)

    run(scenario())


def test_settings_wait_for_a_restart_and_every_plan_says_so(run: Run) -> None:
    """Also when what runs has them already: they have not taken effect."""

    async def scenario() -> None:
        async with sample() as client:
            wanted = text("b", settings=", journal: {size: 2MiB}")
            applied = await client.post("/v1/apply", {"text": wanted})
            assert applied.document["remarks"] == ["settings.journal takes effect at the next start"]
            assert (await client.post("/v1/plan", {"text": wanted})).document["plan"]["settings"] == ["journal"]
            assert (await client.post("/v1/plan", {"text": text("b")})).document["plan"]["settings"] == []

    run(scenario())


def test_a_topology_with_problems_is_answered_with_each_and_its_place(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            answered = await client.post("/v1/apply", {"text": text("c"), "path": "/t/sample.yaml"})
            assert answered.status == 422
            assert answered.detail == "the topology has 1 problem"
            (error,) = [one for one in answered.document["problems"] if one["severity"] == "error"]
            assert (error["file"], error["line"], error["message"]) == ("/t/sample.yaml", 5, "unknown actor 'c'")
            assert client.engine.routes["r"].plan.targets == ("a",)

    run(scenario())


@pytest.mark.parametrize("path", ["topology.yaml", "/t/\0", "/t/\ud800", ""])
def test_a_path_is_absolute(run: Run, path: str) -> None:
    async def scenario() -> None:
        async with sample() as client:
            answered = await client.post("/v1/apply", {"text": text("b"), "path": path})
            assert answered.status == 400

    run(scenario())


def test_an_actor_that_does_not_get_ready_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("router.change.preparation.READY_TIMEOUT_S", 0.1)
        async with sample() as client:
            answered = await client.post("/v1/apply", AWAY)
            assert answered.status == 409
            assert answered.document["actor"] == "b"
            assert "secret" not in answered.text
            assert client.engine.routes["r"].plan.targets == ("a",)

    run(scenario())


def test_of_two_operators_at_once_one_hears_who_the_other_is(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            both = [
                client.post("/v1/apply", {"text": text("b")}),
                client.post("/v1/routes/r/swap", {"to": ["b"]}),
            ]
            answered = sorted(await asyncio.gather(*both), key=lambda one: one.status)
            assert [one.status for one in answered] == [200, 409]
            assert answered[1].document["holder"].split(" by ")[0] in ("apply", "swap")
            assert answered[1].document["holder"].split(" by ")[1].startswith("uid ")

    run(scenario())


def test_a_rollback_during_a_change_hears_who_makes_that(run: Run) -> None:
    """And not that there is nothing to go back to, which only that change decides."""

    async def scenario() -> None:
        async with sample() as client:
            changing = asyncio.ensure_future(client.post("/v1/apply", {"text": text("b")}))
            while not client.engine.changes.holder:  # noqa: ASYNC110  # nothing to wait on but the loop itself
                await asyncio.sleep(0)
            refused = await client.post("/v1/rollback", {})
            assert (refused.status, refused.document["holder"].split(" by ")[0]) == (409, "apply")
            assert (await changing).status == 200

    run(scenario())


def test_who_expects_another_revision_changes_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            await client.post("/v1/routes/r/swap", {"to": ["b"]})
            refused = await client.post("/v1/apply", {"text": text("a"), "base": 1})
            assert refused.status == 409
            assert "revision 2 runs" in refused.detail
            assert (await client.post("/v1/apply", {"text": text("a"), "base": 2})).status == 200

    run(scenario())


def test_a_swap_says_which_part_of_it_is_wrong(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            unknown = await client.post("/v1/routes/rr/swap", {"to": ["b"]})
            assert (unknown.status, unknown.document["suggestion"]) == (404, "did you mean 'r'?")
            weight = await client.post("/v1/routes/r/swap", {"to": ["a=x"]})
            assert (weight.status, weight.document["errors"][0]["field"]) == (400, "to")
            actor = await client.post("/v1/routes/r/swap", {"to": ["c"]})
            assert actor.status == 422
            file = await client.post("/v1/routes/r/swap", {"to": ["b"], "write": True})
            assert file.status == 409, "there is no such file"
            assert client.engine.routes["r"].plan.targets == ("a",)

    run(scenario())


def test_a_rollback_goes_back_and_twice_there_again(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            assert (await client.post("/v1/rollback", {})).status == 409
            await client.post("/v1/routes/r/swap", {"to": ["b"]})
            back = await client.post("/v1/rollback", {})
            assert back.document["remarks"] == ["this is revision 1 again"]
            assert client.engine.routes["r"].plan.targets == ("a",)
            await client.post("/v1/rollback", {})
            assert client.engine.routes["r"].plan.targets == ("b",)
            assert (await client.post("/v1/rollback", {"to": 99})).status == 409

    run(scenario())


def test_the_history_has_who_and_how_it_went(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            await client.post("/v1/routes/r/swap", {"to": ["b"]})
            page = (await client.get("/v1/revisions?limit=1")).document
            assert page["running"] == 2
            assert page["under_way"] is None
            (line,) = page["revisions"]
            assert (line["action"], line["status"], line["base"], line["from_file"]) == ("swap", "confirmed", 1, False)
            older = (await client.get("/v1/revisions?before=2")).document["revisions"]
            assert [(one["number"], one["action"], one["from_file"]) for one in older] == [(1, "start", True)]
            whole = (await client.get("/v1/revisions/2")).document
            assert "to: b" in whole["text"]
            assert whole["report"]["difference"] == 0
            for unknown in ("3", "x", "9" * 30, "²"):
                assert (await client.get(f"/v1/revisions/{unknown}")).status == 404
            audit = (await client.get("/v1/audit")).document["entries"]
            assert [(one["action"], one["object"], one["revision"]) for one in audit] == [("swap", "r", 2)]

    run(scenario())


def test_a_change_runs_to_its_end_though_who_asked_hangs_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit log has what came of it."""

    async def scenario() -> None:
        monkeypatch.setattr("router.change.preparation.READY_TIMEOUT_S", 0.3)
        async with sample() as client:
            asking = asyncio.create_task(client.post("/v1/apply", AWAY))
            await client.get_until("/v1/revisions", lambda page: page["under_way"])
            asking.cancel()
            await client.get_until("/v1/revisions", lambda page: not page["under_way"])
            audit = await client.get_until("/v1/audit", lambda page: page["entries"])
            (entry,) = audit["entries"]
            assert (entry["action"], entry["outcome"]) == ("apply", "refused")
            assert entry["why"].startswith("b did not get ready")

    run(scenario())


def test_a_router_that_stops_gives_up_a_change(run: Run) -> None:
    """One that waits for an actor is undone, and answered."""

    async def scenario() -> None:
        async with sample() as client:
            asking = asyncio.create_task(client.post("/v1/apply", AWAY))
            await client.get_until("/v1/revisions", lambda page: page["under_way"])
            await client.engine.stop()
            answered = await asking
            assert answered.status == 409
            assert answered.detail == "the router stops, and has given up the change"

    run(scenario())


# Over TCP


def asked(operations: ChangeOperations, what: str, body: Any, caller: Caller = CALLER, **names: str) -> Any:
    call = Call(names, None, body, caller=caller)
    answer: Any = getattr(operations, what)(call)
    return answer


def test_over_tcp_what_names_new_code_or_files_is_refused_before_anything_is_read(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            operations = ChangeOperations(client.engine)
            new = text("b") + "# \nx: ${file:/dev/stdin}\n"
            for what, body in (("apply", ApplyRequest(text=new)), ("plan", PlanRequest(text=new))):
                with pytest.raises(CodeRefusedError, match="/dev/stdin"):
                    await asked(operations, what, body)
            answer: Answer = await asked(operations, "apply", ApplyRequest(text=text("b")))
            assert answer.noted.revision == 2

    run(scenario())


def test_over_tcp_a_rollback_names_nothing_new_either(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            operations = ChangeOperations(client.engine)
            named = text("b", settings=", state_dir: elsewhere")
            await client.post("/v1/apply", {"text": named})
            await client.post("/v1/apply", {"text": text("a")})
            with pytest.raises(CodeRefusedError, match="elsewhere"):
                await asked(operations, "rollback", RollbackRequest(to=2))
            await asked(operations, "rollback", RollbackRequest(to=1))

    run(scenario())


def test_over_tcp_allow_code_allows_it(run: Run) -> None:
    async def scenario() -> None:
        allowed = ", control: {allow_code: true}"
        async with sample(settings=allowed) as client:
            named = text("b", settings=f"{allowed}, state_dir: elsewhere")
            answer: Answer = await asked(ChangeOperations(client.engine), "apply", ApplyRequest(text=named))
            assert answer.noted.revision == 2

    run(scenario())


def test_over_tcp_nobody_says_where_files_are(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            with pytest.raises(RequestError, match="control socket"):
                await asked(
                    ChangeOperations(client.engine), "apply", ApplyRequest(text=text("b"), path=str(Path("/t/x.yaml")))
                )

    run(scenario())


def test_an_operator_plans_a_route_and_not_a_topology(run: Run) -> None:
    """The plan of one tells whether it says the same as what runs, secrets included."""

    async def scenario() -> None:
        async with sample() as client:
            operations = ChangeOperations(client.engine)
            operator = Caller("ops", "operator", "10.0.0.7")
            with pytest.raises(ForbiddenError):
                await asked(operations, "plan", PlanRequest(text=text("b")), operator)
            assert (await asked(operations, "plan", PlanRequest(route="r", to=["b"]), operator)).status == 200

    run(scenario())


def test_a_revision_keeps_its_text_from_who_is_no_admin(run: Run) -> None:
    async def scenario() -> None:
        async with sample() as client:
            viewer = Caller("screen", "viewer", "10.0.0.7")
            answer: Answer = await asked(ChangeOperations(client.engine), "show", None, viewer, number="1")
            assert b'"text": null' in answer.body

    run(scenario())
