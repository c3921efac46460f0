"""The Lua scripts of the installed `bullmq` package, as text; the package itself is never imported."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from actors.connections.redis.script import Script
from actors.core.errors import RouterError


@lru_cache(maxsize=64)
def package_script(name: str) -> Script:
    """The script as it is, such as `pause`; its header says what KEYS and ARGV are."""
    return Script(name, package_text(name))


@lru_cache(maxsize=64)
def package_text(name: str) -> str:
    """Raises `RouterError` where the package has none of this name."""
    found = find_spec("bullmq")
    if found is None or not found.submodule_search_locations:
        raise RouterError("the package bullmq is not installed, whose scripts a queue in Redis needs")
    folder = Path(found.submodule_search_locations[0]) / "commands"
    path = next(folder.glob(f"{name}-*.lua"), None)
    if path is None:
        raise RouterError(f"the installed package bullmq has no script {name}: is it the version that is wanted?")
    return path.read_text("utf-8")


def as_function(name: str, script: str) -> str:
    """A Lua function of the package's script of that name, to be called as `name(KEYS, ARGV, redis)`.

    Its `redis` may be the real one, or a table whose `call` looks at what the script asks for.
    """
    return f"local function {name}(KEYS, ARGV, redis)\n{package_text(script)}\nend\n"
