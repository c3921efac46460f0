"""Actors, routes and the router as the API shows them: pure functions from what runs to what JSON can hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from actors.core.child import Child
from actors.core.family import Family, Member
from actors.core.mailbox import Mailbox
from actors.core.resource import Access
from actors.core.spec import Describing
from router import __version__
from router.control.lanes import oldest_age_s
from router.routing.route import Route
from router.store.pauses import Pause
from router.telemetry.event_log import ROUTE
from router.telemetry.reading import journal_rows
from router.telemetry.shown import without_credentials
from router.topology.model import ActorDefinition

if TYPE_CHECKING:
    from router.engine import Engine

View = dict[str, Any]


def router_view(engine: Engine, listening: Iterable[tuple[str, str]]) -> View:
    """The router as a whole; `listening` has what and where."""
    topology = engine.topology
    return {
        "name": topology.name,
        "node": engine.node,
        "only": list(engine.only),
        "version": __version__,
        "pid": os.getpid(),
        "started_at": engine.started_at,
        "uptime_s": max(0.0, engine.clock.time() - engine.started_at),
        "stopping": engine.stopping,
        "topology": str(topology.path.absolute()) if topology.path is not None else None,
        "state_dir": str(engine.state_dir.path.absolute()),
        "drain_timeout_s": float(topology.settings.drain_timeout),
        "listening": [{"what": what, "address": address} for what, address in listening],
        "connections": [connection_view(name, type_, access) for name, type_, access in engine.accesses()],
        "journal": {"rows": journal_rows(engine.journal), "bytes": engine.journal.size_bytes},
        "dead_letters": engine.dead_letters.count(),
    }


def connection_view(name: str, type_: str, access: Access) -> View:
    """How a program on this machine gets to where a connection leads; no secret is told."""
    return {
        "name": name,
        "type": type_,
        "url": access.url,
        "protocol": access.protocol,
        "login": access.login,
        "credentials": None if access.credentials is None else str(access.credentials),
    }


def actor_view(
    definition: ActorDefinition,
    child: Child,
    family: Family | None = None,
    *,
    pause: Pause | None = None,
    shown: int = 0,
) -> View:
    """One actor, and of the children that it has started for itself those that `shown` asks for."""
    mailbox = child.mailbox
    return {
        "name": child.name,
        "kind": "actor",
        "type": definition.type,
        "roles": [role for role, has in (("source", definition.is_source), ("target", definition.is_target)) if has],
        "state": child.state,
        "why": why(child),
        "mailbox": mailbox_state(mailbox, in_hand=len(mailbox.in_hand)),
        "counts": {
            "started": child.started,
            "succeeded": child.succeeded,
            "refused": child.refused,
            "unknown": child.unknown,
            "in_flight": child.in_flight,
            "late": child.late,
            "handled": mailbox.handled,
            "failed": mailbox.failed,
            "dropped": mailbox.dropped,
        },
        **restarts_view(child),
        "pause": pause_view(pause),
        "available": child.closed is None,
        "unavailable_why": without_credentials(child.closed.why) if child.closed is not None else "",
        "about": about(child.actor),
        "children": family_view(family, shown=shown) if family is not None and family.started else None,
    }


def about(actor: object) -> Mapping[str, str | int]:
    """What an actor tells of itself."""
    return dict(actor.about()) if isinstance(actor, Describing) else {}


def family_view(family: Family, *, shown: int) -> View:
    """The children of an actor together, and the `shown` ones with the most in their mailboxes."""
    fullest = nlargest(shown, family.members.values(), key=lambda member: len(member.mailbox))
    return {
        "count": len(family),
        "started": family.started,
        "crashed": family.crashed,
        "counts": family.counts(),
        "shown": [member_view(member) for member in fullest],
    }


def member_view(member: Member) -> View:
    """One child that an actor has started for itself."""
    mailbox = member.mailbox
    return {
        "name": member.name,
        "kind": "child",
        "state": member.state,
        "mailbox": mailbox_state(mailbox, in_hand=len(mailbox.in_hand)),
        "counts": {"handled": mailbox.handled, "failed": mailbox.failed, "dropped": mailbox.dropped},
        "about": about(member.actor),
    }


def route_view(
    route: Route,
    child: Child,
    *,
    pause: Pause | None = None,
    took: Sequence[float] = (),
    now: float,
    wall: float,
) -> View:
    """One route. `took` has how long messages took that have ended lately, the fastest first; `now` is monotonic,
    `wall` in epoch seconds."""
    balance = route.balance()
    attempts = route.attempts
    return {
        "name": route.name,
        "kind": "route",
        "sources": list(route.plan.sources),
        "targets": list(route.plan.targets),
        "state": child.state,
        "why": why(child),
        "durable": route.plan.durable,
        "mailbox": mailbox_state(route.mailbox, in_hand=len(attempts.running)),
        "backlog": route.backlog.size,
        "ledger": {
            "accepted": balance.accepted,
            "split_out": balance.split_out,
            **balance.outcomes,
            "queued": balance.queued,
            "in_flight": balance.in_flight,
            "difference": balance.difference,
        },
        "retries": route.ledger.retries,
        "refused_at_source": route.ledger.refused_at_source,
        "retrying": len(attempts.retries),
        "suspended": len(attempts.suspended),
        "on_hold": len(route.on_hold),
        "held_back": route.under_way.held_back,
        **restarts_view(child),
        "pause": pause_view(pause),
        "oldest_age_s": oldest_age_s(route, now=now, wall=wall),
        "latency": latency_view(took),
    }


def latency_view(took: Sequence[float]) -> View | None:
    """How long most messages took, and the slowest; `took` begins with the fastest."""
    if not took:
        return None
    return {f"p{share}": took[min(len(took) - 1, len(took) * share // 100)] for share in (50, 95, 99)}


def mailbox_state(mailbox: Mailbox, *, in_hand: int) -> View:
    """How full a mailbox is."""
    return {
        "depth": len(mailbox),
        "capacity": mailbox.capacity,
        "high_water": mailbox.high_water,
        "oldest_age_s": mailbox.oldest_age_s,
        "in_hand": in_hand,
        "lobby": len(mailbox.lobby),
        "overflow": mailbox.overflow,
    }


def why(child: Child) -> str:
    """Why it is not ready; empty where it is."""
    return "" if child.state == "ready" else without_credentials(child.why)


def restarts_view(child: Child) -> View:
    """How often it was started again, and what that was for."""
    return {"restarts": child.restarts, "last_error": without_credentials(child.why) if child.restarts else ""}


def pause_view(pause: Pause | None) -> View | None:
    """Who has paused or drained it, when and why."""
    if pause is None:
        return None
    return {"state": pause.state, "who": pause.who, "why": pause.why, "at": pause.at}


def readiness_view(engine: Engine) -> View:
    """Whether everything runs that is switched on, and what does not.

    A remote end that is away is no matter, and neither is what an operator has paused: that is told beside.
    """
    waiting = list(_waiting(engine))
    pauses = engine.stores.pauses.all().values()
    paused = [{"name": pause.name, "kind": pause.kind, **(pause_view(pause) or {})} for pause in pauses]
    ready = not waiting and not engine.stopping
    return {"ready": ready, "stopping": engine.stopping, "waiting": waiting, "paused": paused}


def _waiting(engine: Engine) -> Iterator[View]:
    for name, child in engine.supervisor.children.items():
        if child.state not in ("ready", "disabled"):
            kind = "route" if name.startswith(ROUTE) else "actor"
            name = name.removeprefix(ROUTE)
            yield {"name": name, "kind": kind, "state": child.state, "why": why(child), "restarts": child.restarts}
