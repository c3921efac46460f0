"""Changes of the running router as the API has them: plan, apply, swap, roll back, and what came of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from actors.core.errors import ControlError
from router.change.changed import Changed
from router.change.code import refuse_new_code
from router.control.change_documents import ChangedDocument, Planned, RevisionDocument, RevisionPage
from router.control.operation import Answer, Call, Change, Noted, Operation
from router.control.problem import Mistake, RequestError, UnknownError
from router.control.requests import Limit, NoQuery, Query, Request, Text
from router.store.revisions import Revision, RevisionLine
from router.topology.check import MAX_BYTES
from router.topology.edit import parse_targets
from router.topology.model import Topology
from router.topology.problems import Problem

if TYPE_CHECKING:
    from router.engine import Engine

MAX_BODY: Final = 2 * MAX_BYTES
"""Of a topology's text in JSON, which writes line breaks and quotes with two characters."""

Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
Targets = Annotated[list[Text], Field(min_length=1, max_length=100)]


class _Written(Request):
    path: Text | None = None
    """The file that `text` is, where its relative paths begin; an absolute path on the router's machine, and only over
    its socket. Without it they begin where those of the running revision do."""

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        if path is not None and (
            not path.startswith("/") or "\0" in path or path != path.encode("utf-8", "replace").decode()
        ):
            raise PydanticCustomError("path", "should be an absolute path")
        return path


class PlanRequest(_Written):
    """What to plan: either a whole topology, or another target of one route."""

    text: str | None = None
    """A topology."""
    route: Text | None = None
    """The route that would lead elsewhere."""
    to: Targets | None = None
    """Where to: `[A]`, or with weights `[A=90, B=10]`."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.route is None) or (self.route is None) != (self.to is None):
            raise PydanticCustomError("either", "give either 'text', or 'route' and 'to'")
        return self


class ApplyRequest(_Written):
    """A topology to change to."""

    text: str
    base: Number | None = None
    """The revision that it was made from; where another one runs by now, nothing is done (409)."""
    wait_connected: bool = False
    """Wait until the remote ends of new actors are there, and do nothing where they are not."""


class SwapRequest(Request):
    """Where a route is to lead."""

    to: Targets
    """`[A]`, or with weights `[A=90, B=10]`."""
    write: bool = False
    """Edit the topology's file as well; comments and layout stay."""
    wait_connected: bool = False
    """Wait until the remote ends of new actors are there, and do nothing where they are not."""


class RollbackRequest(Request):
    """Where to go back to."""

    to: Number | None = None
    """A revision that ran; without it, the one before the one that runs."""


class RevisionsQuery(Query):
    """A page of the history."""

    limit: Limit = 50
    """Revisions at most."""
    before: Number | None = None
    """The number of the last one of the page before."""


class ChangeOperations:
    """What operators do to the topology of a router that runs. One change at a time: a second one is refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changes = engine.changes
        self._tasks: set[asyncio.Task[Changed]] = set()

    def operations(self) -> tuple[Operation, ...]:
        changed = {200: ChangedDocument}
        return (
            Operation(
                "POST",
                "/v1/plan",
                self.plan,
                NoQuery,
                PlanRequest,
                role="operator",
                max_body=MAX_BODY,
                answers={200: Planned},
                problems=(404, 409, 422),
            ),
            Operation(
                "POST",
                "/v1/apply",
                self.apply,
                NoQuery,
                ApplyRequest,
                role="admin",
                max_body=MAX_BODY,
                answers=changed,
                change=Change("apply", "topology"),
                problems=(409, 422, 503),
            ),
            Operation(
                "POST",
                "/v1/routes/{name}/swap",
                self.swap,
                NoQuery,
                SwapRequest,
                role="operator",
                answers=changed,
                change=Change("swap", "{name}"),
                problems=(404, 409, 422, 503),
            ),
            Operation(
                "POST",
                "/v1/rollback",
                self.rollback,
                NoQuery,
                RollbackRequest,
                role="operator",
                answers=changed,
                change=Change("rollback", "topology"),
                problems=(403, 409, 422, 503),
            ),
            Operation(
                "GET",
                "/v1/revisions",
                self.page,
                RevisionsQuery,
                role="viewer",
                answers={200: RevisionPage},
                problems=(503,),
            ),
            Operation(
                "GET", "/v1/revisions/{number}", self.show, NoQuery, role="viewer", answers={200: RevisionDocument}
            ),
        )

    async def plan(self, call: Call) -> Answer:
        """What a change would do to each actor and route, now. Nothing is done.

        A topology needs the role admin: it may name files, and its plan tells whether it says the same as what runs.
        """
        wanted: PlanRequest = call.body
        if wanted.text is not None:
            call.caller.must_be("admin")
            topology, warnings = await self._read(call, wanted.text, wanted.path)
        else:
            assert wanted.route is not None, "checked by the model"
            assert wanted.to is not None, "checked by the model"
            self._must_be_route(wanted.route, wanted.to)
            topology, _ = await asyncio.to_thread(self._changes.redirected, wanted.route, wanted.to)
            warnings = ()
        planned = await self._changes.plan(topology)
        answer = {"revision": self._changes.revision, "plan": planned.as_dict(), "warnings": _described(warnings)}
        return Answer.json(answer)

    async def apply(self, call: Call) -> Answer:
        """Change to a topology, all or nothing. New actors start beside the old ones, everything switches at once, and
        what is no longer used ends when it is empty. The answer comes after that, and the change runs to its end though
        nobody waits for it.
        """
        wanted: ApplyRequest = call.body
        topology, warnings = await self._read(call, wanted.text, wanted.path)
        applying = self._changes.apply(
            topology,
            who=call.caller.who,
            from_file=wanted.path is not None,
            expected=wanted.base,
            wait_connected=wanted.wait_connected,
        )
        return _answer(await self._to_its_end(applying), warnings)

    async def swap(self, call: Call) -> Answer:
        """Lead one route elsewhere. Messages that wait, and those that wait for a retry, go there too."""
        route, wanted = call.names["name"], call.body
        self._must_be_route(route, wanted.to)
        swapping = self._changes.swap(
            route, wanted.to, who=call.caller.who, write=wanted.write, wait_connected=wanted.wait_connected
        )
        return _answer(await self._to_its_end(swapping), detail={"to": wanted.to, "write": wanted.write})

    async def rollback(self, call: Call) -> Answer:
        """Go back to a revision that ran. Its text is expanded anew: `${…}` may stand for something else now."""
        # First of all: which revision is the one before is only known when nothing is being changed.
        self._changes.must_be_free()
        revision = await self._changes.earlier(call.body.to)
        await self._check_code(call, revision.text)
        changed = await self._to_its_end(self._changes.rollback(revision.number, who=call.caller.who))
        return _answer(changed, detail={"to": revision.number})

    async def page(self, call: Call) -> Answer:
        """Which topologies ran, and which were to."""
        query: RevisionsQuery = call.query
        lines = await self._engine.stores.revisions.page(limit=query.limit, before=query.before)
        return Answer.json(
            {
                "running": self._changes.revision,
                "under_way": self._changes.holder or None,
                "revisions": [_line(line) for line in lines],
            }
        )

    async def show(self, call: Call) -> Answer:
        """One revision, with the report of its change."""
        number = call.names["number"]
        # Of 19 digits all fit into the database's numbers, but for some that are none of ours either.
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        revision = await self._engine.stores.revisions.get(int(number)) if is_number else None
        if revision is None:
            raise UnknownError("revision", number)
        return Answer.json(_whole(revision, with_text=call.caller.role == "admin"))

    # How

    async def _to_its_end(self, change: Coroutine[Any, Any, Changed]) -> Changed:
        """Carry out a change in a task of its own, so that it ends as it should though who asked for it goes away."""
        task = asyncio.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The history and the audit log have what came of it; that nobody asks is no defect.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ControlError("the router stops, and has given up the change") from None
            raise

    async def _read(self, call: Call, text: str, path: str | None) -> tuple[Topology, Sequence[Problem]]:
        """Checked in a thread, since a long topology takes a while, and messages do not wait for it."""
        running = self._engine.topology.path or Path("topology.yaml")
        if path is not None and not call.caller.is_local:
            raise RequestError(Mistake("path", "is for changes over the control socket"))
        await self._check_code(call, text)
        return await asyncio.to_thread(self._changes.read, text, Path(path) if path is not None else running)

    async def _check_code(self, call: Call, text: str) -> None:
        """Raise `CodeRefusedError` where a change over TCP names code or files that are new; nothing is read before."""
        topology = self._engine.topology
        if not call.caller.is_local and not topology.settings.control.allow_code:
            await asyncio.to_thread(refuse_new_code, text, topology.text, os.environ)

    def _must_be_route(self, route: str, targets: Sequence[str]) -> None:
        if route not in self._engine.routes:
            raise UnknownError("route", route, self._engine.routes)
        try:
            parse_targets(targets)
        except ControlError as error:
            raise RequestError(Mistake("to", str(error))) from None


def _answer(changed: Changed, warnings: Sequence[Problem] = (), detail: dict[str, Any] | None = None) -> Answer:
    noted = Noted(detail=detail or {}, revision=changed.revision)
    return Answer.json({**changed.as_dict(), "warnings": _described(warnings)}, noted=noted)


def _described(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [problem.as_dict() for problem in problems]


def _line(line: RevisionLine) -> dict[str, Any]:
    return {
        "number": line.number,
        "at": line.at,
        "name": line.name,
        "action": line.action,
        "who": line.who,
        "status": line.status,
        "why": line.why,
        "base": line.base,
        "path": line.path,
        "from_file": line.digest is not None,
    }


def _whole(revision: Revision, *, with_text: bool) -> dict[str, Any]:
    report = dict(revision.report) if revision.report is not None else None
    return {**_line(revision), "text": revision.text if with_text else None, "report": report}
