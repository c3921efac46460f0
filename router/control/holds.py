"""Hold, release and drop as the API has them: what operators do to single messages of a mailbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from actors.core.errors import ControlError
from router.control import lanes
from router.control.operation import Answer, Call, Change, Noted, Operation
from router.control.problem import UnknownError
from router.control.requests import NoQuery, Request
from router.control.steering import Steer
from router.control.steering_documents import TouchedDocument
from router.routing import hold
from router.routing.delivery import Delivery
from router.routing.route import Route

if TYPE_CHECKING:
    from router.engine import Engine

_PATH: Final = "/v1/actors/{name}/mailbox/{id}/"


class DropMessage(Request):
    """Why a message is dropped."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Its source is told, and the audit log has it."""


class HoldOperations:
    """What can be done to a message by its id, under the name of a route, a target or a source.

    All deliveries of it that are there are meant: it may be on its way to several targets.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def operations(self) -> tuple[Operation, ...]:
        return (
            self._operation("hold", self.hold, Steer),
            self._operation("release", self.release, Steer),
            self._operation("drop", self.drop, DropMessage),
        )

    def _operation(self, verb: str, run: Any, body: type[Request]) -> Operation:
        return Operation(
            "POST",
            _PATH + verb,
            run,
            NoQuery,
            body,
            role="operator",
            answers={200: TouchedDocument},
            change=Change(verb, "{name}/{id}"),
            problems=(409,),
        )

    async def hold(self, call: Call) -> Answer:
        """Let a message go no further until it is released.

        One that waits keeps its place, and is on hold when its turn comes; those behind it in its order wait. What
        waits for a target is taken back from there. What a target has in hand ends there (409). A hold does not
        survive a restart of the router.
        """
        return self._do(call, hold.hold, call.body.why)

    async def release(self, call: Call) -> Answer:
        """Let a message that is held go on, with its attempts as they are."""
        return self._do(call, hold.release, call.body.why)

    async def drop(self, call: Call) -> Answer:
        """End a message that waits or is held, for good: its route counts it as dropped.

        What a target or a step has in hand cannot be dropped (409).
        """
        reason: str = call.body.reason

        def drop(route: Route, delivery: Delivery) -> None:
            hold.drop(route, delivery, reason)

        return self._do(call, drop, reason)

    def _do(self, call: Call, act: Callable[[Route, Delivery], None], why: str) -> Answer:
        name, message_id = call.names["name"], call.names["id"]
        done: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        for route, delivery, state in self._found(name, message_id):
            touched = {"route": route.name, "target": lanes.next_target(delivery), "state": state}
            try:
                act(route, delivery)
            except ControlError as error:
                refused.append({**touched, "why": str(error)})
            else:
                done.append(touched)
        if not done:
            raise ControlError("; ".join(dict.fromkeys(one["why"] for one in refused)))
        document = {"name": name, "id": message_id, "done": done, "refused": refused}
        return Answer.json(document, noted=Noted(why or None, {"done": done, "refused": refused}))

    def _found(self, name: str, message_id: str) -> list[tuple[Route, Delivery, str]]:
        """The deliveries, with where they are.

        Raises `UnknownError`, and `ControlError` where the message is past all routes.
        """
        engine = self._engine
        routes = [route for route in engine.routes.values() if name in _names(route)]
        found = list(_deliveries(name, message_id, routes))
        if found:
            return found
        child = engine.supervisor.member(name) or engine.supervisor.children.get(name)
        if child is None and not routes:
            raise UnknownError("actor or route", name, (*engine.topology.actors, *engine.routes))
        if child is not None:
            mailbox = child.mailbox
            messages = (envelope.message for envelope in (*mailbox, *mailbox.lobby, *mailbox.in_hand))
            if any(getattr(message, "id", None) == message_id for message in messages):
                raise ControlError(f"no route has message {message_id} any more: {name} has it, and it ends there")
        error = UnknownError(f"message in the mailbox of {name} with the id", message_id)
        if backlog := sum(route.backlog.size for route in routes):
            error.suggestion = (
                f"{backlog:,} more are in the journal alone: none of them can be held or dropped before it is in memory"
            )
        raise error


def _names(route: Route) -> tuple[str, ...]:
    return route.name, *route.plan.sources, *route.plan.targets


def _deliveries(name: str, message_id: str, routes: list[Route]) -> Iterator[tuple[Route, Delivery, str]]:
    for route in routes:
        deliveries = hold.find(route, message_id)
        if not deliveries:
            continue
        places = {id(entry.envelope): entry.state for entry in lanes.of_route(route)}
        for delivery in deliveries:
            if name in (route.name, delivery.root.message.source, lanes.next_target(delivery)):
                yield route, delivery, places.get(id(delivery), "ready")
