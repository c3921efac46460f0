"""What operators change is written down, also where writing it down fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from actors.core.errors import ControlError, StorageError
from actors.core.events import Notice
from router.control import recorder
from router.control.operation import Answer, Change, Noted, Stream
from router.control.problem import ForbiddenError
from router.control.recorder import Recorder
from router.control.roles import Caller
from router.engine import Engine
from router.store.audit import AuditEntry
from tests.loop import Run
from tests.router.control.sample_router import running

SWAP = Change("swap", "{name}")
NAMES: Mapping[str, str] = {"name": "r"}
ANNA = Caller("anna", "operator", "10.0.0.7")


async def entries(engine: Engine) -> list[AuditEntry]:
    return await engine.stores.audit.page()


async def attempted(recorder: Recorder, outcome: Answer | Exception) -> Answer | Stream | Exception:
    """What comes of a change that answers or raises this."""

    async def attempt() -> Answer:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    try:
        return await recorder.run(SWAP, ANNA, NAMES, attempt)
    except Exception as error:
        return error


def test_a_change_that_was_made_is_kept_with_what_the_operation_notes(run: Run) -> None:
    """Who, where, what of, why, and the revision that came of it."""

    async def scenario() -> None:
        async with running("actors: {door: {type: door}}") as client:
            answer = Answer.json({}, noted=Noted("load", {"to": "b"}, revision=7))
            assert await attempted(Recorder(client.engine), answer) is answer
            (entry,) = await entries(client.engine)
        assert (entry.who, entry.role, entry.origin) == ("anna", "operator", "10.0.0.7")
        assert (entry.action, entry.object, entry.outcome) == ("swap", "r", "done")
        assert (entry.why, entry.detail, entry.revision) == ("load", {"to": "b"}, 7)

    run(scenario())


@pytest.mark.parametrize(
    ("error", "outcome", "why"),
    [
        (ControlError("a change by bert is running"), "refused", "a change by bert is running"),
        (ForbiddenError(needed="admin", has="operator"), "refused", "this needs the role admin"),
        (TimeoutError(), "failed", "it took too long"),
        (KeyError("a-secret"), "failed", "KeyError"),
    ],
)
def test_a_change_that_was_not_made_is_kept_with_the_reason(run: Run, error: Exception, outcome: str, why: str) -> None:
    """Of a defect only what kind it is."""

    async def scenario() -> None:
        async with running("actors: {door: {type: door}}") as client:
            assert await attempted(Recorder(client.engine), error) is error
            (entry,) = await entries(client.engine)
        assert entry.outcome == outcome
        assert entry.why is not None
        assert entry.why.startswith(why)
        assert "a-secret" not in entry.why

    run(scenario())


def test_a_change_that_cannot_be_written_down_stands_and_is_told(run: Run) -> None:
    """As an error in the log, with all that the entry would have said."""

    async def scenario() -> None:
        async with running("actors: {door: {type: door}}") as client:
            engine = client.engine
            told: list[Notice] = []
            engine.events.subscribe(Notice, told.append)
            audit = engine.stores.audit

            async def fail(entry: AuditEntry) -> int:
                raise StorageError("the disk is full", full=True)

            audit.record = fail  # type: ignore[method-assign]  # what a full disk does
            answer = Answer.json({})
            assert await attempted(Recorder(engine), answer) is answer
            assert [(notice.text, notice.level) for notice in told] == [
                ("not in the audit log (the disk is full): swap r by anna, done", "error")
            ]

    run(scenario())


def test_a_change_that_the_end_of_the_router_cuts_off_is_told(run: Run) -> None:
    """Its stores are closing."""

    async def scenario() -> None:
        async with running("actors: {door: {type: door}}") as client:
            told: list[Any] = []
            client.engine.events.subscribe(Notice, told.append)

            async def attempt() -> Answer:
                await asyncio.Event().wait()
                raise AssertionError

            task = asyncio.create_task(Recorder(client.engine).run(SWAP, ANNA, NAMES, attempt))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert [notice.text for notice in told] == [
                "not in the audit log (the router stops): swap r by anna, failed"
            ]

    run(scenario())


def test_nobody_pushes_out_of_the_log_what_others_did(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one caller only so many refusals are kept in an hour, which is told; what was done is always kept."""
    monkeypatch.setattr(recorder, "MOST_REFUSALS", 3)

    async def scenario() -> None:
        async with running("actors: {door: {type: door}}") as client:
            told: list[Any] = []
            client.engine.events.subscribe(Notice, told.append)
            written = Recorder(client.engine)
            for _ in range(5):
                await attempted(written, ControlError("no"))
            await attempted(written, Answer.json({}))
            outcomes = [entry.outcome for entry in await entries(client.engine)]
        assert outcomes == ["done", "refused", "refused", "refused"]
        assert [notice.text for notice in told] == [
            "more than 3 changes by anna were refused within an hour: no more of them are kept"
        ]

    run(scenario())
