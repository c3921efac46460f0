"""How many files a router may have open."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

MOST_FILES: Final = 1024 * 1024
"""More than anybody needs; a system that sets no limit refuses to be asked for infinitely many."""


def allow_files() -> None:
    """Raise the limit of open files, of which each client takes one, as far as we may.

    Systems leave the soft one at 1024 for the sake of programs that use select(); the loop does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with suppress(OSError, ValueError):  # a kernel may allow less than its hard limit says
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
