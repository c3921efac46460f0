"""Functions as a user writes them for the step `python`."""

import asyncio
from typing import Any

from actors.core.errors import DeliveryError
from actors.core.message import Message
from actors.core.step import Verdict


def price(message: Message, *, factor: int = 1) -> Message:
    return message.with_data({**message.data, "price": message.data["count"] * factor})


def route(message: Message, **args: Any) -> Message:
    return message.with_data(args)


async def slowly(message: Message) -> Message:
    await asyncio.sleep(0)
    return message.with_data("slow")


async def never(message: Message) -> Message:
    await asyncio.Event().wait()
    return message


async def times_out_by_itself(message: Message) -> Message:
    raise TimeoutError


def refuse(message: Message) -> Message:
    raise DeliveryError("no stock", reason="refused")


def crash(message: Message) -> Message:
    raise ZeroDivisionError


def returned(message: Message) -> Any:
    """Returns what the message's data holds, whatever it is."""
    return message.data


def lines(message: Message) -> list[Message]:
    return [message.with_data(line) for line in message.data]


def out_of_stock(message: Message) -> Verdict:
    return Verdict("dropped", "no stock")


class Pricing:
    @staticmethod
    def double(message: Message) -> Message:
        return message.with_data(message.data * 2)


NUMBER = 5
