"""Pause, drain, resume and restart as the API has them. Actors and routes share one namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from router.change.assembly import ROUTE
from router.control.operation import Answer, Call, Change, Noted, Operation
from router.control.problem import UnknownError
from router.control.requests import MAX_WAIT_S, NoQuery, Request
from router.control.steering_documents import DrainedDocument, PausedDocument, RestartedDocument, ResumedDocument
from router.control.views import why

if TYPE_CHECKING:
    from router.engine import Engine

Why = Annotated[str, Field(max_length=1024)]
TimeoutS = Annotated[float, Field(gt=0, le=MAX_WAIT_S, allow_inf_nan=False)]

_PATH: Final = "/v1/actors/{name}/"


class Steer(Request):
    """Why it is done."""

    why: Why = ""
    """For whoever looks later."""


class Drain(Steer):
    """How long to wait until it is empty."""

    timeout_s: TimeoutS = 30.0
    """It takes nothing in all the same when this is over."""


class Restart(Steer):
    """How long to wait until it is ready."""

    timeout_s: TimeoutS = 10.0


class SteeringOperations:
    """What operators do to one actor or route."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._steering = engine.steering

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "POST",
                f"{_PATH}pause",
                self.pause,
                NoQuery,
                Steer,
                role="operator",
                answers={200: PausedDocument},
                change=Change("pause", "{name}"),
                problems=(503,),
            ),
            Operation(
                "POST",
                f"{_PATH}drain",
                self.drain,
                NoQuery,
                Drain,
                role="operator",
                answers={200: DrainedDocument},
                change=Change("drain", "{name}"),
                problems=(409, 503),
            ),
            Operation(
                "POST",
                f"{_PATH}resume",
                self.resume,
                NoQuery,
                Steer,
                role="operator",
                answers={200: ResumedDocument},
                change=Change("resume", "{name}"),
                problems=(503,),
            ),
            Operation(
                "POST",
                f"{_PATH}restart",
                self.restart,
                NoQuery,
                Restart,
                role="operator",
                answers={200: RestartedDocument},
                change=Change("restart", "{name}"),
                problems=(409,),
            ),
        )

    async def pause(self, call: Call) -> Answer:
        """Let an actor or a route stand still until it is resumed, also over a restart.

        A route begins nothing more, and its `on_pause` says whether it goes on taking in. A source takes nothing in.
        Routes to a target use their fallback, or wait.
        """
        name, wanted = self._known(call), call.body
        held_back = (await self._steering.pause(name, who=call.caller.who, why=wanted.why)).as_dict()
        kind = self._steering.kind(name)
        return Answer.json(
            {"name": name, "kind": kind, "held_back": held_back},
            noted=Noted(wanted.why or None, {"held_back": held_back}),
        )

    async def drain(self, call: Call) -> Answer:
        """Let an actor or a route take nothing more in, and wait until what it has is gone.

        It stays so until it is resumed, also over a restart.
        """
        name, wanted = self._known(call), call.body
        left = await self._steering.drain(name, who=call.caller.who, why=wanted.why, timeout_s=wanted.timeout_s)
        held_back = self._steering.held_back(name).as_dict()
        kind = self._steering.kind(name)
        return Answer.json(
            {"name": name, "kind": kind, "held_back": held_back, "left": left},
            noted=Noted(wanted.why or None, {"held_back": held_back, "left": left}),
        )

    async def resume(self, call: Call) -> Answer:
        """End a pause or a drain. What waited goes on at once.

        A pause of a name that is in the topology no more can be ended too, before the name comes back.
        """
        pause = self._engine.stores.pauses.all().get(call.names["name"])
        name, wanted = self._known(call) if pause is None else pause.name, call.body
        kind = self._steering.kind(name) if pause is None else pause.kind
        resumed = await self._steering.resume(name)
        document = {"name": name, "kind": kind, "resumed": resumed}
        return Answer.json(document, noted=Noted(wanted.why or None, {"resumed": resumed}))

    async def restart(self, call: Call) -> Answer:
        """End an actor, or a route's actor, and start it anew; this revives one that has failed.

        Its mailbox stays, and what it has in hand counts as an attempt that failed. A pause goes on.
        """
        name, wanted = self._known(call), call.body
        kind = self._steering.kind(name)
        await self._steering.restart(name)
        child = self._engine.supervisor.children[ROUTE + name if kind == "route" else name]
        await child.settled(wanted.timeout_s)
        document = {"name": name, "kind": kind, "state": child.state, "why": why(child)}
        return Answer.json(document, noted=Noted(wanted.why or None, {"state": child.state}))

    def _known(self, call: Call) -> str:
        name, topology = call.names["name"], self._engine.topology
        if name not in topology.actors and name not in topology.routes:
            raise UnknownError("actor or route", name, (*topology.actors, *topology.routes))
        return name
