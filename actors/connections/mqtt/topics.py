"""Topics and filters, and a topic that a message completes without being able to lead elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic_core import PydanticCustomError

from actors.core.errors import DeliveryError
from actors.kit.expressions import MistakeError, Template
from actors.kit.expressions.sourced import Sourced
from actors.kit.expressions.template import pieces

if TYPE_CHECKING:
    from actors.core.message import Message

LONGEST: Final = 65_535
"""Bytes of a topic, in UTF-8."""

SPECIAL: Final = "+#/\0"
"""What a message must not put into a topic: it would change where the topic leads."""


def check_topic(topic: str) -> None:
    """Raise PydanticCustomError where nothing can be published to it."""
    if (reason := _unusable(topic)) is not None:
        raise _mistake(reason)


def check_reply_topic(topic: str) -> None:
    """Raise a DeliveryError where nobody could answer to it."""
    if (reason := _unusable(topic)) is not None:
        raise _refusal(f"replyto: {reason}")


def check_filter(filter_: str) -> None:
    """Raise PydanticCustomError where nothing can subscribe to it."""
    levels = filter_.split("/")
    if not filter_ or len(filter_.encode()) > LONGEST or "\0" in filter_:
        raise _mistake(f"a topic filter has 1 to {LONGEST} bytes, and no NUL")
    if levels[0] == "$share":
        raise _mistake("a shared subscription is written with 'group', and its filter without $share")
    for number, level in enumerate(levels):
        if ("#" in level and (level != "#" or number < len(levels) - 1)) or ("+" in level and level != "+"):
            raise _mistake("in a topic filter + is a whole level, and # the last one")


def _unusable(topic: str) -> str | None:
    if not topic:
        return "a topic is not empty"
    if "+" in topic or "#" in topic or "\0" in topic:
        return "a topic to publish to holds no +, no # and no NUL"
    try:
        size = len(topic.encode())
    except UnicodeError:
        return "a topic is text in UTF-8"
    if size > LONGEST:
        return f"a topic has at most {LONGEST} bytes"
    if topic.startswith("$"):
        return "topics that begin with $ belong to the broker"
    return None


class TopicTemplate(Sourced):
    """`rooms/{{ data.room }}/alarm`: what stands in `{{ … }}` becomes a part of one level, and never more.

    A value with `+`, `#`, `/` or NUL is refused, and so is an empty one: a DeliveryError that no retry can
    change.
    """

    __slots__ = ("_parts", "is_constant")

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "format": "jinja2-template",
        "examples": ["rooms/{{ data.room }}/alarm"],
    }

    source: str
    """As the topology has it."""

    def __init__(self, source: str) -> None:
        template = Template(source)
        self.source = source
        self.is_constant = template.is_constant
        self._parts: tuple[str | Template, ...] = (source,) if self.is_constant else tuple(pieces(source, _no_blocks))
        if self.is_constant:
            check_topic(source)
        for part in self._parts:
            if isinstance(part, str) and any(character in part for character in "+#\0"):
                raise _mistake("a topic to publish to holds no +, no # and no NUL")

    @property
    def filter(self) -> str:
        """The narrowest filter under which all of its topics are: `rooms/+/alarm`."""
        marked = "".join(part if isinstance(part, str) else "\0" for part in self._parts)
        return "/".join("+" if "\0" in level else level for level in marked.split("/"))

    def render(self, message: Message, now_s: float) -> str:
        """The topic for a message; raises ExpressionError where an expression fails."""
        if self.is_constant:
            return self.source
        topic = "".join(
            part if isinstance(part, str) else _value(part, part.render_text(message, now_s)) for part in self._parts
        )
        reason = _unusable(topic)
        if reason is not None:
            raise _refusal(reason)
        return topic

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise _mistake("expected a topic such as rooms/{{ data.room }}/alarm")
        try:
            return cls(value)
        except MistakeError as mistake:
            from actors.kit.expressions.failure import problem

            raise problem(mistake) from None


def _no_blocks() -> Exception:
    return _mistake("a topic may hold {{ … }}, and no blocks or comments")


def _value(template: Template, text: str) -> str:
    if not text:
        raise _refusal(f"the topic has an empty part where {template.source} stands")
    for character in SPECIAL:
        if character in text:
            raise _refusal(f"what {template.source} stands for holds {character!r}, which would lead to another topic")
    return text


def _mistake(reason: str) -> PydanticCustomError:
    return PydanticCustomError("topic", "{reason}", {"reason": reason})


def _refusal(reason: str) -> DeliveryError:
    return DeliveryError(reason, reason="invalid", retryable=False)
