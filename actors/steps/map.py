"""Changes a message: sets, renames and removes fields, headers and attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.core.spec import Options
from actors.core.step import Passage, StepContext, StepResult, step
from actors.kit.expressions import TemplateTree
from actors.kit.fieldpath import MISSING, FieldPath


class MapOptions(Options):
    """What `map` changes; at least one of these is given."""

    set: dict[FieldPath, TemplateTree] = Field(default_factory=dict)
    """What is written where: each value is a template, a constant, or a mapping or list of them."""
    rename: dict[FieldPath, FieldPath] = Field(default_factory=dict)
    """From where to where a value moves; what is not there is left alone."""
    unset: tuple[FieldPath, ...] = ()
    """What is removed; what is not there is left alone."""

    @model_validator(mode="after")
    def _each_place_once(self) -> Self:
        if not (self.set or self.rename or self.unset):
            raise PydanticCustomError("no_change", "expected at least one of set, rename and unset")
        changed: dict[FieldPath, str] = {}
        for option, path in self._changes():
            if path in changed:
                reason = f"{path} is changed twice: by '{changed[path]}' and by '{option}'"
                raise PydanticCustomError("changed_twice", "{reason}", {"reason": reason})
            changed[path] = option
        return self

    def _changes(self) -> Iterator[tuple[str, FieldPath]]:
        yield from (("set", path) for path in self.set)
        for source, target in self.rename.items():
            yield "rename", target
            yield "rename", source
        yield from (("unset", path) for path in self.unset)


@step("map", options=MapOptions, repeatable=True)
class Map:
    """Changes a message: sets, renames and removes parts of its data, its headers and its attributes.

        steps:
          - map:
              set:
                data.to: "{{ data.phone }}"
                data.meta: {seen: "{{ now }}", by: router}
                headers.x-company: "{{ data.empresa }}"
                key: "{{ data.conversation.id }}"
              rename: {data.body: data.text}
              unset: [data.secret]

    A path begins with `data`, `headers`, `type` or one of the attributes `key`, `subject`, `tenant`,
    `correlationid`, `replyto`, `datacontenttype`, `expirytime`, `traceparent`; in `data` go on with `.name`,
    `["any name"]` or `[0]`. `data` alone is the whole payload.

    First `set`, whose templates all see the message as it came in, and which writes `data` before `data.a`
    before `data.a.b`; then `rename`, then `unset`. Mappings on the way to a field are made where there are
    none. Headers and attributes are text: numbers are written as text, None removes. A template that fails,
    and a path that leads into text or past the end of a list, fail the message with reason `expression`.
    """

    __slots__ = ("_fields", "_more", "_moves", "_payload", "_removals", "_time", "_writes")

    def __init__(self, options: MapOptions, context: StepContext) -> None:
        self._time = context.clock.time
        self._payload: TemplateTree | None = None
        # What nearly every map sets are fields at the top of the data: they go into one copy of it.
        self._fields: list[tuple[str, TemplateTree]] = []
        self._writes: list[tuple[FieldPath, TemplateTree]] = []
        for path, value in sorted(options.set.items(), key=lambda item: len(item[0].segments)):
            match path.root, path.segments:
                case "data", ():
                    self._payload = value
                case "data", (str() as name,):
                    self._fields.append((name, value))
                case _:
                    self._writes.append((path, value))
        self._moves = tuple(options.rename.items())
        self._removals = options.unset
        self._more = bool(self._writes or self._moves or self._removals)

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        now_s = self._time()
        changed = message
        if self._payload is not None:
            changed = message.with_data(self._payload.render(message, now_s))
        if self._fields:
            data = changed.data
            data = data.copy() if type(data) is dict else self._no_fields(data)
            for name, value in self._fields:
                data[name] = value.render(message, now_s)
            changed = changed.with_data(data)
        if self._more:
            for path, value in self._writes:
                changed = path.write(changed, value.render(message, now_s))
            for source, target in self._moves:
                moved = source.read(changed)
                if moved is not MISSING:
                    changed = target.write(source.remove(changed), moved)
            for path in self._removals:
                changed = path.remove(changed)
        return changed

    def _no_fields(self, data: Any) -> dict[str, Any]:
        """What fields are written into where the payload is no mapping: None becomes one, all else cannot."""
        if data is None:
            return {}
        place = f"data.{self._fields[0][0]}"
        raise ExpressionError(f"{place}: the payload is {type(data).__name__}, and has no fields", source=place)
