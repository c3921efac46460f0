"""How durable a Redis is, as it is configured: what a crash of it, or a lack of memory, does to what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from actors.connections.redis.wire import Argument, Reply
from actors.core.errors import StorageError, StoreAwayError
from actors.core.examination import Finding

OLDEST: Final = (6, 2)
"""The version that queues need at least."""


class Asking(Protocol):
    """The part of a client that asks."""

    async def execute(self, *command: Argument, timeout_s: float | None = None) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What a Redis says of itself; None: it does not say."""

    version: str | None = None
    is_replica: bool = False
    policy: str | None = None
    """`maxmemory-policy`."""
    maxmemory: int | None = None
    aof: bool | None = None
    appendfsync: str | None = None
    save: str | None = None


async def ask(client: Asking) -> Facts:
    """Raises `StoreAwayError`; what a managed Redis does not answer is not known."""
    told: dict[str, str] = {}
    for section in ("server", "replication", "memory", "persistence"):
        told |= info(await _asked(client, "INFO", section))
    configured: dict[str, str] = {}
    for name in ("appendonly", "appendfsync", "save", "maxmemory-policy"):
        answer = await _asked(client, "CONFIG", "GET", name)
        if isinstance(answer, list) and len(answer) == 2:
            configured[str(answer[0])] = str(answer[1])
    aof = told.get("aof_enabled", {"yes": "1", "no": "0"}.get(configured.get("appendonly", "")))
    memory = told.get("maxmemory", "")
    return Facts(
        told.get("redis_version"),
        told.get("role") == "slave",
        told.get("maxmemory_policy", configured.get("maxmemory-policy")),
        int(memory) if memory.isdigit() else None,
        None if aof is None else aof == "1",
        configured.get("appendfsync"),
        configured.get("save"),
    )


async def _asked(client: Asking, *command: str) -> Reply:
    try:
        return await client.execute(*command)
    except StoreAwayError:
        raise
    except StorageError:
        return None


def info(text: object) -> Mapping[str, str]:
    """What an answer to INFO says."""
    if not isinstance(text, str):
        return {}
    pairs = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def findings(facts: Facts) -> list[Finding]:
    """What of it an operator should know."""
    found = [_version(facts), _eviction(facts), _persistence(facts)]
    if facts.is_replica:
        found.append(Finding("problem", "it is a replica, which takes no writes", "connect to the master"))
    return found


def _version(facts: Facts) -> Finding:
    version = facts.version
    if version is None:
        return Finding("warning", "its version cannot be known: INFO is not allowed")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return Finding("problem", f"it is Redis {version}, and queues need {wanted}", f"install {wanted} or later")
    return Finding("ok", f"it is Redis {version}")


def _eviction(facts: Facts) -> Finding:
    advice = "set `maxmemory-policy noeviction`, with which a full Redis refuses new jobs"
    if facts.policy is None:
        return Finding("warning", "what it does when its memory is full cannot be known", f"see that you {advice}")
    if facts.policy != "noeviction":
        now = "" if facts.maxmemory else ", once it has a maxmemory"
        return Finding("warning", f"it deletes keys when its memory is full ({facts.policy}){now}: jobs too", advice)
    return Finding("ok", "a full one refuses new jobs (noeviction)")


def _persistence(facts: Facts) -> Finding:
    snapshots = f"snapshots (save {facts.save})" if facts.save else "snapshots"
    if facts.aof is None:
        text = "whether it keeps anything on disk cannot be known: INFO and CONFIG are not allowed"
        return Finding("warning", text, "ask who runs it; queues want an append-only file")
    if not facts.aof:
        advice = "set `appendonly yes`, and `appendfsync always` where no acknowledged job may be lost"
        if facts.save == "":
            return Finding("warning", "it keeps nothing on disk: when it ends, all jobs are gone", advice)
        kept = snapshots if facts.save else "at best snapshots"
        text = f"it has no append-only file, and keeps {kept}: a crash loses the jobs since the last one"
        return Finding("warning", text, advice)
    match facts.appendfsync:
        case "always":
            return Finding("ok", "it syncs its append-only file before it answers: a crash loses no acknowledged job")
        case "everysec":
            text = "it syncs its append-only file every second: a crash of its machine can lose the last two seconds"
            return Finding("warning", text, "set `appendfsync always` where no acknowledged job may be lost")
        case "no":
            text = "it leaves syncing its append-only file to the system: a crash of its machine can lose half a minute"
            return Finding("warning", text, "set `appendfsync everysec` or `always`")
        case _:
            text = "it has an append-only file; how often it syncs that cannot be known: CONFIG is not allowed"
            return Finding("warning", text, "ask who runs it")
