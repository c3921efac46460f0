"""Hands a message to a function of the user's."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from actors.core.errors import ActorError, DeliveryError
from actors.core.message import Message
from actors.core.spec import Options
from actors.core.step import FILTERED, Parts, Passage, StepContext, StepResult, Verdict, step
from actors.kit.expressions import TemplateTree
from actors.kit.units import Between, Duration

_REFERENCE: Final = re.compile(r"[A-Za-z_][\w.]{0,250}:[A-Za-z_][\w.]{0,250}")


class PythonOptions(Options):
    """A reference alone stands for `call`: `python: package.module:function`."""

    call: str
    """The function, as `package.module:function`."""
    args: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], TemplateTree] = Field(default_factory=dict)
    """What it is called with besides the message, by name: templates and constants."""
    timeout: Annotated[Duration, Between("1ms", "1h")] = Duration("10s")
    """How long a coroutine function may take; then it is cancelled, and the message dead-lettered."""

    @field_validator("call")
    @classmethod
    def _reference(cls, call: str) -> str:
        if not _REFERENCE.fullmatch(call):
            raise PydanticCustomError("function", "expected package.module:function")
        return call

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"call": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


@step("python", options=PythonOptions, repeatable=False)
class Python:
    """Hands a message to a function of yours, and goes on with what it returns.

        steps:
          - python: shop.orders:price
          - python: {call: "shop.orders:route", args: {region: EC, to: "{{ data.to }}"}, timeout: 5s}

    The function takes the message, and `args` by name; it may be a coroutine function. It returns

    - a `Message`: it goes on as that; made with `message.with_data(…)` and the like, not by changing `data`;
    - a list of them: it goes on as these parts, and those that bear its own id are numbered, `id-1`, `id-2`;
    - None: it is filtered;
    - a `Verdict`: it ends here, as `Verdict("dropped", "no stock")` says.

    Anything else is a mistake in the function, and raises TypeError. A `DeliveryError` dead-letters the message
    with its reason; any other exception is a crash of the route, which restarts and tries again until the
    message is quarantined.

    A plain function runs on the loop that all actors share: one that waits for something must be a coroutine
    function. One that is not done in `timeout` is cancelled, and the message dead-lettered with reason
    `timeout_before_send`. After a kill a message may come again, so what a function does besides should bear
    repeating.
    """

    __slots__ = ("_args", "_function", "_reference", "_time", "_timeout")

    def __init__(self, options: PythonOptions, context: StepContext) -> None:
        self._reference = options.call
        self._function = _load(options.call, context.route)
        self._args = tuple(options.args.items())
        self._time = context.clock.time
        self._timeout = options.timeout

    def __call__(self, message: Message, passage: Passage) -> StepResult | Awaitable[StepResult]:
        if self._args:
            now_s = self._time()
            returned = self._function(message, **{name: value.render(message, now_s) for name, value in self._args})
        else:
            returned = self._function(message)
        if type(returned) is Message:
            return returned
        if inspect.isawaitable(returned):
            return self._finish(message, returned)
        return self._result(message, returned)

    async def _finish(self, message: Message, awaitable: Awaitable[Any]) -> StepResult:
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                returned = await awaitable
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeliveryError(
                f"{self._reference} was not done in {self._timeout}", reason="timeout_before_send"
            ) from None
        return self._result(message, returned)

    def _result(self, message: Message, returned: object) -> StepResult:
        match returned:
            case None:
                return FILTERED
            case Message() | Verdict():
                return returned
            case list() if all(isinstance(part, Message) for part in returned):
                return Parts(
                    part._replace(id=f"{message.id}-{number}") if part.id == message.id else part
                    for number, part in enumerate(returned, 1)
                )
            case _:
                raise TypeError(
                    f"{self._reference} returned {type(returned).__name__}; expected a Message, a list of "
                    "Messages, a Verdict or None"
                )


def _load(reference: str, route: str) -> Callable[..., Any]:
    """The function that `package.module:function` names; raises ActorError that says what is not there."""
    module_name, _, name = reference.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # importing runs the user's module, which may raise anything
        raise ActorError(
            f"python step: {reference} cannot be imported: {type(error).__name__}: {error}", actor=route
        ) from error
    if not callable(found):
        raise ActorError(f"python step: {reference} is no function but {type(found).__name__}", actor=route)
    return found  # type: ignore[no-any-return]  # callable, as checked
