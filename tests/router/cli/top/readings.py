"""A router that says what a test has it say, for the screen and for its parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from router.cli.failure import NOT_RUNNING, Failure
from router.cli.top.entry import Entry
from router.cli.top.queue_entry import QueueEntry
from router.cli.top.sample import History, Json, Reading, Sample

ROUTER: Json = {
    "name": "shop",
    "pid": 4711,
    "started_at": 1.7e9,
    "uptime_s": 11405.2,
    "stopping": False,
    "listening": [{"what": "http", "address": "http://127.0.0.1:8080"}],
    "dead_letters": 3,
}


def box(depth: int = 0, *, capacity: int = 1000, oldest_age_s: float | None = None) -> Json:
    return {
        "depth": depth,
        "capacity": capacity,
        "high_water": depth,
        "oldest_age_s": oldest_age_s,
        "in_hand": 0,
        "lobby": 0,
        "overflow": "wait",
    }


def actor(name: str, succeeded: int = 0, **more: Any) -> Json:
    """The view of a target that is well."""
    return {
        "name": name,
        "kind": "actor",
        "type": "http",
        "roles": ["target"],
        "state": "ready",
        "why": "",
        "mailbox": box(),
        "counts": {"started": succeeded, "succeeded": succeeded, "refused": 0, "unknown": 0, "in_flight": 0},
        "restarts": 0,
        "available": True,
        "unavailable_why": "",
        "about": {},
        "children": None,
        **more,
    }


def route(name: str, accepted: int = 0, *, ledger: Json | None = None, **more: Any) -> Json:
    """The view of a route that is well; all that it has accepted is delivered."""
    outcomes = dict.fromkeys(("filtered", "deduplicated", "merged", "dropped", "expired", "dead_lettered"), 0)
    balanced = {"accepted": accepted, "split_out": 0, "delivered": accepted, **outcomes}
    return {
        "name": name,
        "kind": "route",
        "sources": ["orders"],
        "targets": ["crm"],
        "state": "ready",
        "why": "",
        "durable": False,
        "mailbox": box(),
        "backlog": 0,
        "ledger": {**balanced, "queued": 0, "in_flight": 0, "difference": 0, **(ledger or {})},
        "retries": 0,
        "refused_at_source": 0,
        "retrying": 0,
        "suspended": 0,
        "held_back": False,
        "restarts": 0,
        "oldest_age_s": None,
        **more,
    }


def queue(name: str, added: int = 0, *, jobs: Json | None = None, **more: Any) -> Json:
    """The view of a queue that is well; all that was added is completed."""
    states = ("waiting", "prioritized", "delayed", "active", "completed", "failed", "waiting-children")
    counts: Json = {**dict.fromkeys(states, 0), "completed": added, **(jobs or {})}
    return {
        "name": name,
        "actors": [name],
        "store": "sqlite",
        "available": True,
        "unavailable_why": "",
        "counts": counts,
        "parked": 0,
        "paused": False,
        "oldest_age_s": None,
        "spilled": 0,
        "added": added,
        "finished": {"completed": added, "failed": 0, "retried": 0, "released": 0, "lost": 0},
        "added_per_s": None,
        "finished_per_s": None,
        **more,
    }


def away(why: str = "127.0.0.1:6379 refuses") -> Json:
    """What is different of a queue whose store is away."""
    unknown = dict.fromkeys(("counts", "parked", "paused", "oldest_age_s"))
    return {"store": "redis", "available": False, "unavailable_why": why, **unknown}


def queue_entries(*views: Json) -> list[QueueEntry]:
    """Rows of one reading of queues, which have no rates."""
    sample = Sample(Reading.of_queues(0.0, ROUTER, {"queues": list(views)}))
    return [QueueEntry(view, sample) for view in sample.now.views.values()]


def reading(at: float, *views: Json, **router: Any) -> Reading:
    """What the router said at a moment."""
    return Reading.of(at, {**ROUTER, **router}, answer(views))


def answer(views: Iterable[Json]) -> Json:
    """As `GET /v1/actors` has it."""
    return {kind: [view for view in views if f"{view['kind']}s" == kind] for kind in ("actors", "routes")}


def entries(*views: Json) -> list[Entry]:
    """Rows of one reading, which have no rates."""
    sample = Sample(reading(0.0, *views))
    return [Entry(view, sample) for view in sample.now.views.values()]


def sample(*readings: Reading) -> Sample:
    """The last of some readings, as the screen compares it."""
    history = History()
    return [history.add(each) for each in readings][-1]


def gone() -> Failure:
    """What asking fails with where no router is."""
    return Failure("no router is running: there is no .router/control.sock", code=NOT_RUNNING)
