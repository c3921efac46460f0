"""What Redis refuses with, in words."""

from __future__ import annotations

from typing import Final

from actors.core.errors import StorageError, StoreAwayError

_AWAY: Final = {
    "LOADING": "it loads its data",
    "BUSY": "it is busy with a script",
    "MASTERDOWN": "it is a replica without a master",
    "CLUSTERDOWN": "its cluster is down",
    "TRYAGAIN": "its cluster moves the keys to another node",
}
"""For a while: what was asked was not done, and is worth asking again."""

_REFUSED: Final = {
    "NOAUTH": "it wants a password, and the connection has none",
    "WRONGPASS": "it does not know this user with this password",
    "NOPERM": "its access control lists do not let this user do that",
    "READONLY": "it is a replica, which takes no writes: connect to the master",
    "MISCONF": "it cannot write its snapshots to its disk, and so takes no writes",
    "NOREPLICAS": "too few of its replicas are connected, and so it takes no writes",
    "MOVED": "it is one node of a cluster, and the keys are on another one: connect to that",
    "CROSSSLOT": "it is a cluster, and the keys are in several slots: give the queue a prefix in braces",
}


def refusal(server: str, text: str) -> StorageError:
    """What is raised for an error that Redis answered with, `text`."""
    code = text.partition(" ")[0]
    if "OOM command not allowed" in text:
        return StorageError(f"{server} is full: it uses all of its maxmemory", full=True)
    if code in _AWAY:
        return StoreAwayError(f"{server}: {_AWAY[code]}")
    known = _REFUSED.get(code)
    if known is None and text.startswith("ERR") and "without any password configured" in text:
        known = "it wants no password, and the connection has one"
    if known is None:
        # Scripts of Redis 6 wrap what stopped them.
        known = next((words for name, words in _REFUSED.items() if f"-{name} " in text), None)
    return StorageError(f"{server}: {known or text}")
