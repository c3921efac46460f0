"""The scripts a queue in Redis runs: BullMQ's as they are, and compositions of them.

A composition makes each script of the package a Lua function (`as_maker`), and calls it for each of many jobs; so
one exchange carries a whole batch, and what we keep beside a job is written in the same transaction.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from actors.connections.redis.script import Script
from actors.queues.bullmq.package import as_maker, package_script

_FOLDER: Final = Path(__file__).parent / "lua"


class Scripts:
    """Each is made when it is first asked for, and the same from then on."""

    @property
    def add(self) -> Script:
        """Adds jobs, in their order."""
        functions = (("add_standard", "addStandardJob"), ("add_delayed", "addDelayedJob"))
        return _composed("add", (*functions, ("add_prioritized", "addPrioritizedJob")), ("quick", "adding", "order"))

    @property
    def turn(self) -> Script:
        """Finishes jobs, and claims others."""
        functions = (
            ("move_to_finished", "moveToFinished"),
            ("move_to_delayed", "moveToDelayed"),
            ("retry_job", "retryJob"),
            ("release_job", "moveJobFromActiveToWait"),
            ("claim", "moveToActive"),
        )
        return _composed("turn", functions, ("quick", "order"))

    @property
    def begin(self) -> Script:
        """A consumer begins."""
        return _composed("begin", (("stalled", "moveStalledJobsToWait"),), ("order", "stalling"))

    @property
    def stalled(self) -> Script:
        """Brings back jobs whose worker died."""
        return _composed("stalled", (("stalled", "moveStalledJobsToWait"),), ("order", "stalling"))

    @property
    def renew(self) -> Script:
        """Extends locks: the package's."""
        return self.package("extendLocks")

    def package(self, name: str) -> Script:
        """A script of the package as it is."""
        return package_script(name)

    def composed(self, name: str, functions: tuple[tuple[str, str], ...], parts: tuple[str, ...] = ()) -> Script:
        """`lua/NAME.lua` behind these functions (our name, the package's) and these parts (`lua/PART.lua`).

        KEYS[1] is `Keys.root`, which the parts know as `root`.
        """
        return _composed(name, functions, parts)


@lru_cache(maxsize=32)
def _composed(name: str, functions: tuple[tuple[str, str], ...], parts: tuple[str, ...]) -> Script:
    package = [as_maker(ours, theirs) for ours, theirs in functions]
    return Script(name, "\n".join([_own("once"), *package, *map(_own, ("root", *parts, name))]))


def _own(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text("utf-8")
