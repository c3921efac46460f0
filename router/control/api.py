"""What can be asked of a running router, apart from its dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from actors.core.errors import ControlError
from actors.core.message import Message, new_id
from router.control import lanes
from router.control.mailbox_view import (
    Scales,
    View,
    mailbox_view,
    message_view,
    reply_view,
    whole_message,
    without_preview,
)
from router.control.operation import Answer, Call, Operation
from router.control.problem import UnknownError
from router.control.requests import ActorsQuery, MailboxQuery, NewMessage, NoQuery
from router.control.views import actor_view, member_view, route_view, router_view
from router.telemetry.event_log import ROUTE
from router.telemetry.shown import Redaction

if TYPE_CHECKING:
    from router.engine import Engine

OPERATOR: Final = "control"
"""The source of a message that is sent straight to a target."""

Listening = Callable[[], list[tuple[str, str]]]
"""What listens besides the engine's own, and where."""


class Api:
    """What can be asked about actors, routes and their mailboxes. Actors and routes share one namespace."""

    def __init__(self, engine: Engine, redaction: Redaction, listening: Listening) -> None:
        self._engine = engine
        self._redaction = redaction
        self._listening = listening

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation("GET", "/v1/router", self.router, NoQuery),
            Operation("GET", "/v1/actors", self.all, ActorsQuery),
            Operation("GET", "/v1/actors/{name}", self.one, ActorsQuery),
            Operation("GET", "/v1/actors/{name}/mailbox", self.mailbox, MailboxQuery),
            Operation("GET", "/v1/actors/{name}/mailbox/{id}", self.message, NoQuery),
            Operation("POST", "/v1/actors/{name}/messages", self.send, NoQuery, NewMessage),
        )

    async def router(self, call: Call) -> Answer:
        return Answer.json(router_view(self._engine, [*self._engine.listening(), *self._listening()]))

    async def all(self, call: Call) -> Answer:
        return Answer.json(
            {
                "actors": [self._actor(name, call.query.children) for name in self._actors()],
                "routes": [self._route(name) for name in self._engine.routes],
            }
        )

    async def one(self, call: Call) -> Answer:
        if (member := self._engine.supervisor.member(call.names["name"])) is not None:
            return Answer.json(member_view(member))
        name = self._known(call.names["name"])
        if name in self._engine.routes:
            return Answer.json(self._route(name))
        return Answer.json(self._actor(name, call.query.children))

    async def mailbox(self, call: Call) -> Answer:
        name = self._holder(call.names["name"])
        clock = self._engine.clock
        view = mailbox_view(
            name,
            self._entries(name),
            limit=call.query.limit,
            redaction=self._redaction,
            now=clock.now(),
            wall=clock.time(),
        )
        return Answer.json(view)

    async def message(self, call: Call) -> Answer:
        name, wanted = self._holder(call.names["name"]), call.names["id"]
        clock = self._engine.clock
        for entry in self._entries(name):
            message = entry.message
            if message is not None and message.id == wanted:
                view = message_view(
                    entry, redaction=self._redaction, scales=Scales(), now=clock.now(), wall=clock.time()
                )
                whole = await asyncio.to_thread(whole_message, message, self._redaction)
                return Answer.json({**whole, **without_preview(view)})
        raise UnknownError(f"message in the mailbox of {name} with the id", wanted)

    async def send(self, call: Call) -> Answer:
        engine = self._engine
        name = self._known(call.names["name"])
        wanted: NewMessage = call.body
        if name in engine.routes:
            sources = ", ".join(engine.routes[name].plan.sources)
            raise ControlError(f"{name} is a route: send to an actor, such as its source {sources}")
        definition = engine.topology.actors[name]
        message = Message(
            wanted.id or new_id(),
            name if definition.is_source else OPERATOR,
            wanted.data,
            wanted.headers,
            wanted.type,
            engine.clock.time(),
        )
        if wanted.subject is not None or wanted.key is not None:
            message = message.with_attributes(subject=wanted.subject, partitionkey=wanted.key)
        try:
            settlement = await engine.inject(name, message, wait=wanted.wait, timeout_s=wanted.timeout_s)
        except TimeoutError:
            raise TimeoutError(
                f"message {message.id} has not ended within {wanted.timeout_s:g} s; it may yet"
            ) from None
        if settlement is None:
            return Answer.json({"id": message.id, "status": "accepted"}, 202)
        view: View = {"id": message.id, "outcome": settlement.outcome, "reply": reply_view(settlement.reply)}
        if settlement.reason is not None:
            view["reason"] = settlement.reason
        return Answer.json(view)

    def _actors(self) -> Iterator[str]:
        children = self._engine.supervisor.children
        return (name for name in self._engine.topology.actors if name in children)

    def _known(self, name: str) -> str:
        known = (*self._actors(), *self._engine.routes)
        if name not in known:
            raise UnknownError("actor or route", name, known)
        return name

    def _holder(self, name: str) -> str:
        """The name of what has a mailbox: an actor, a route, or a child that an actor has started for itself."""
        return name if self._engine.supervisor.member(name) is not None else self._known(name)

    def _actor(self, name: str, shown: int) -> View:
        supervisor = self._engine.supervisor
        definition = self._engine.topology.actors[name]
        return actor_view(definition, supervisor.children[name], supervisor.families.get(name), shown=shown)

    def _route(self, name: str) -> View:
        engine = self._engine
        child = engine.supervisor.children[ROUTE + name]
        return route_view(engine.routes[name], child, now=engine.clock.now(), wall=engine.clock.time())

    def _entries(self, name: str) -> Iterator[lanes.Entry]:
        engine = self._engine
        if (member := engine.supervisor.member(name)) is not None:
            return lanes.of_member(member)
        if name in engine.routes:
            return lanes.of_route(engine.routes[name])
        return lanes.of_actor(engine.supervisor.children[name], engine.routes.values())
