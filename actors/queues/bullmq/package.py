"""The Lua scripts of the installed `bullmq` package, as text; the package itself is never imported."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

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


def as_maker(name: str, script: str) -> str:
    """A Lua function that makes one of the package's script of that name: `name(redis)` is called as `(KEYS, ARGV)`.

    Its `redis` may be the real one, or a table whose `call` looks at what the script asks for. What the script defines
    of functions is made with it, and not at each call: up to forty of them, which would cost more than the rest.
    """
    functions, rest = _parted(package_text(script))
    return f"local function {name}(redis)\n{functions}\nreturn function(KEYS, ARGV)\n{rest}\nend\nend\n"


_COMMENT: Final = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
_FUNCTION: Final = re.compile(r"^local (?:function \w+|\w+ = function)\b.*?^end\b", re.DOTALL | re.MULTILINE)
_RCALL: Final = re.compile(r"^local rcall = redis\.call;?[ \t]*$", re.MULTILINE)


def _parted(text: str) -> tuple[str, str]:
    """The functions that a script defines, and the rest of it, of which they use nothing but `rcall` (a test looks)."""
    text = _RCALL.sub("", _COMMENT.sub("", text))
    functions = _FUNCTION.findall(text)
    return "\n".join(["local rcall = redis.call", *functions]), _FUNCTION.sub("", text)
