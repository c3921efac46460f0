"""Actor classes of the user's own."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final, cast

import pykka
from pydantic import Field, field_validator

from actors.core.actor import AsyncioActor
from actors.core.errors import RouterError
from actors.core.examination import ExamineContext, Finding
from actors.core.outlet import Outlet
from actors.core.spec import Context, Options, Standing, endpoint
from actors.core.succession import Succession
from actors.core.thread import ThreadBridge, ThreadOutlet

CLASS_PATH: Final = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$"


class PythonOptions(Options):
    """What a `python` actor can be told."""

    class_: str = Field(alias="class", json_schema_extra={"pattern": CLASS_PATH}, examples=["shop.orders:Enrich"])
    """The actor class, as `package.module:Class`; it is imported when the actor starts, and not by `validate`."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments for the class."""

    @field_validator("class_")
    @classmethod
    def _names_a_class(cls, path: str) -> str:
        if re.fullmatch(CLASS_PATH, path) is None:
            raise ValueError(f"expected package.module:Class, not {path!r}")
        return path


class ActorClassError(RouterError):
    """What `class` names cannot be used; the message says why."""


async def _examine(options: PythonOptions, context: ExamineContext) -> Sequence[Finding]:
    """Its module is looked for and not imported: that would run it."""
    module = options.class_.partition(":")[0]
    found = await asyncio.to_thread(_place, module, context.directory)
    if found is None:
        advice = "install its package, or put it beside the topology"
        return [Finding("problem", f"there is no module {module}", advice)]
    return [Finding("ok", f"{module} is {found}; it was not imported")]


def _place(module: str, folder: Path) -> str | None:
    """Where a module is, as it is found when the router runs: what is installed goes before the topology's folder."""
    package = module.partition(".")[0]
    spec = PathFinder.find_spec(package, [*sys.path, str(folder.resolve())])
    return None if spec is None else spec.origin or package


def _succession(before: PythonOptions, after: PythonOptions) -> Succession:
    """A class of the user's is asked where it has been imported, which another one may not have been."""
    module, _, name = before.class_.partition(":")
    if before.class_ == after.class_ and module in sys.modules:
        found = _found(sys.modules[module], name)
        if isinstance(found, type) and issubclass(found, AsyncioActor) and hasattr(found, "take_over"):
            return "handed_over"
    return "break"


@endpoint(
    "python",
    options=PythonOptions,
    source=True,
    target=True,
    replies=True,
    succession=_succession,
    examine=_examine,
)
class Python(AsyncioActor):
    """Runs an actor class of your own: an `AsyncioActor` on the router's loop, or a `pykka.ThreadingActor`.

    It is made with `args`, and with `context` or `outlet` where its `__init__` has parameters of these names:
    the outlet hands messages on (`outlet.offer(message)`), the context has the actor's name, the clock and
    more. `on_receive` gets each message, and what it returns is the reply. A `DeliveryError` is a failed
    attempt; any other exception is a crash, and the actor is started anew. A threading actor may block: the
    loop does not wait for it, and calls of its outlet return when the loop has carried them out.

    Where `args` change in a running router, the old actor ends before the new one starts, unless the class, an
    `AsyncioActor`, has a method `take_over`.
    """

    def __new__(cls, options: PythonOptions, context: Context) -> AsyncioActor:  # type: ignore[misc]  # the user's
        """The user's actor, or what stands for it on the loop."""
        actor_class = load(options.class_)
        if issubclass(actor_class, AsyncioActor):
            return actor_class(**_arguments(actor_class, options, context, context.outlet))
        loop = asyncio.get_running_loop()
        outlet = cast(Outlet, ThreadOutlet(context.outlet, loop))  # its `put` blocks where a coroutine would wait
        context = replace(context, outlet=outlet, standing=_ThreadStanding(context.standing, loop))
        return ThreadBridge(partial(actor_class.start, **_arguments(actor_class, options, context, outlet)))


class _ThreadStanding:
    """A standing for actors off the loop's thread."""

    def __init__(self, standing: Standing, loop: asyncio.AbstractEventLoop) -> None:
        self._standing = standing
        self._loop = loop

    def available(self) -> None:
        self._loop.call_soon_threadsafe(self._standing.available)

    def unavailable(self, why: str) -> None:
        self._loop.call_soon_threadsafe(self._standing.unavailable, why)


def load(path: str) -> type[AsyncioActor] | type[pykka.ThreadingActor]:
    """The actor class at `package.module:Class`; raises `ActorClassError`."""
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise ActorClassError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    found = _found(found, name)
    if not isinstance(found, type) or not issubclass(found, AsyncioActor | pykka.ThreadingActor):
        raise ActorClassError(f"{path} is no AsyncioActor and no pykka.ThreadingActor")
    return found


def _found(module: Any, name: str) -> Any:
    """What a module has by a dotted name; None where it has nothing."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _arguments(
    actor_class: type[pykka.Actor], options: PythonOptions, context: Context, outlet: Outlet
) -> dict[str, Any]:
    offered = {"context": context, "outlet": outlet}
    signature = inspect.signature(actor_class)
    wanted = {name: value for name, value in offered.items() if name in signature.parameters}
    if doubled := wanted.keys() & options.args.keys():
        raise ActorClassError(f"{options.class_} is given {doubled.pop()} by the router, not by args")
    arguments = wanted | options.args
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ActorClassError(f"{options.class_} does not take these args: {error}") from None
    return arguments
