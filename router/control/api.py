"""What can be asked of a running router, apart from its dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from actors.core.errors import ControlError
from actors.core.message import Message, new_id
from router.control import lanes
from router.control.documents import ActorsDocument, OneDocument, RouterDocument
from router.control.mailbox_view import (
    Scales,
    View,
    mailbox_view,
    message_view,
    reply_view,
    whole_message,
    without_preview,
)
from router.control.message_documents import Accepted, Ended, MailboxDocument, MessageDocument
from router.control.operation import Answer, Call, Change, Noted, Operation
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
            Operation("GET", "/v1/router", self.router, NoQuery, role="viewer", answers={200: RouterDocument}),
            Operation("GET", "/v1/actors", self.all, ActorsQuery, role="viewer", answers={200: ActorsDocument}),
            Operation("GET", "/v1/actors/{name}", self.one, ActorsQuery, role="viewer", answers={200: OneDocument}),
            Operation(
                "GET",
                "/v1/actors/{name}/mailbox",
                self.mailbox,
                MailboxQuery,
                role="operator",
                answers={200: MailboxDocument},
            ),
            Operation(
                "GET",
                "/v1/actors/{name}/mailbox/{id}",
                self.message,
                NoQuery,
                role="operator",
                answers={200: MessageDocument},
            ),
            Operation(
                "POST",
                "/v1/actors/{name}/messages",
                self.send,
                NoQuery,
                NewMessage,
                role="operator",
                answers={200: Ended, 202: Accepted},
                change=Change("send", "{name}"),
                problems=(409, 502, 503, 504),
            ),
        )

    async def router(self, call: Call) -> Answer:
        """The router as a whole: what it is, what listens where, and how full its stores are."""
        return Answer.json(router_view(self._engine, [*self._engine.listening(), *self._listening()]))

    async def all(self, call: Call) -> Answer:
        """All actors and all routes: their state, their mailboxes and their counts."""
        took = self._engine.trail.took()
        return Answer.json(
            {
                "actors": [self._actor(name, call.query.children) for name in self._actors()],
                "routes": [self._route(name, took) for name in self._engine.routes],
            }
        )

    async def one(self, call: Call) -> Answer:
        """One actor, one route, or one child that an actor has started for itself."""
        if (member := self._engine.supervisor.member(call.names["name"])) is not None:
            return Answer.json(member_view(member))
        name = self._known(call.names["name"])
        if name in self._engine.routes:
            return Answer.json(self._route(name, self._engine.trail.took()))
        return Answer.json(self._actor(name, call.query.children))

    async def mailbox(self, call: Call) -> Answer:
        """What waits, what is in flight and what waits for a retry, a line for each message.

        At most `limit` of each kind, the oldest first.
        """
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
        routes = self._engine.routes.values()
        backlog = sum(route.backlog.size for route in routes if name in (route.name, *route.plan.sources))
        return Answer.json({**view, "backlog": backlog})

    async def message(self, call: Call) -> Answer:
        """One message of a mailbox, whole."""
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
        """Send a message as an operator: into the routes of a source, or straight to a target.

        With `wait` the answer (200) says what became of it; without, it is taken (202).
        """
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
        noted = Noted(detail={"id": message.id})
        if settlement is None:
            return Answer.json({"id": message.id, "status": "accepted"}, 202, noted=noted)
        view: View = {"id": message.id, "outcome": settlement.outcome, "reply": reply_view(settlement.reply)}
        if settlement.reason is not None:
            view["reason"] = settlement.reason
        return Answer.json(view, noted=noted)

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
        child, pause = supervisor.children[name], self._engine.stores.pauses.all().get(name)
        return actor_view(definition, child, supervisor.families.get(name), pause=pause, shown=shown)

    def _route(self, name: str, took: Mapping[str, Sequence[float]]) -> View:
        engine = self._engine
        child = engine.supervisor.children[ROUTE + name]
        pause = engine.stores.pauses.all().get(name)
        now, wall = engine.clock.now(), engine.clock.time()
        return route_view(engine.routes[name], child, pause=pause, took=took.get(name, ()), now=now, wall=wall)

    def _entries(self, name: str) -> Iterator[lanes.Entry]:
        engine = self._engine
        if (member := engine.supervisor.member(name)) is not None:
            return lanes.of_member(member)
        if name in engine.routes:
            return lanes.of_route(engine.routes[name])
        child, routes = engine.supervisor.children[name], engine.routes.values()
        # Of an actor that is a source too, with a route to itself, a message may be in both.
        found = {
            id(entry.envelope): entry for entry in (*lanes.of_source(name, routes), *lanes.of_actor(child, routes))
        }
        return iter(found.values())
