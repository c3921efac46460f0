"""Actor classes as users write them, for test_python.py."""

import threading
from typing import Any

import pykka

from actors.core.actor import AsyncioActor
from actors.core.errors import DeliveryError
from actors.core.message import Message
from actors.core.outlet import Outlet
from actors.core.spec import Context
from actors.core.thread import ThreadOutlet


class Greeter(AsyncioActor):
    """Answers, forwards, fails and crashes as it is told."""

    def __init__(self, greeting: str, outlet: Outlet, context: Context) -> None:
        super().__init__()
        self.greeting = greeting
        self.outlet = outlet
        self.name = context.name

    async def on_receive(self, message: Message) -> str:
        if message.data == "refuse":
            raise DeliveryError("not today")
        if message.data == "crash":
            raise ZeroDivisionError
        self.outlet.offer(message.with_data("seen"))
        return f"{self.greeting} {message.data}, says {self.name}"


class Worker(pykka.ThreadingActor):
    """The same on a thread of its own."""

    def __init__(self, outlet: ThreadOutlet, context: Context, greeting: str = "hello") -> None:
        super().__init__()
        self.greeting = greeting
        self.outlet = outlet
        self.context = context

    def on_receive(self, message: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        if message.data == "refuse":
            raise DeliveryError("not today")
        if message.data == "away":
            self.context.standing.unavailable("tired")
        self.outlet.offer(message.with_data("seen"))
        return f"{self.greeting} {message.data}, says {self.context.name}"


class Holder(AsyncioActor):
    """Holds what only one can, and hands it over."""

    def __init__(self, context: Context, size: int = 1) -> None:
        super().__init__()
        self.size = size
        self.held = not context.succeeds

    def take_over(self, predecessor: "Holder | None") -> None:
        if predecessor is not None:
            predecessor.held = False
        self.held = True


class Plain(AsyncioActor):
    """Wants nothing."""


class Inner:
    class Nested(AsyncioActor):
        """Is reached by a dotted name."""


class Stranger:
    """Is no actor."""


class Broken(AsyncioActor):
    def __init__(self) -> None:
        raise ZeroDivisionError("in its own __init__")
