"""Each message is a line in the router's own log."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from actors.core.actor import AsyncioActor
from actors.core.message import Message
from actors.core.spec import Context, Options, endpoint
from actors.kit.excerpt import excerpt
from actors.kit.expressions import Template, TemplateTree
from actors.kit.units import Between, Size

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LogOptions(Options):
    """What a `log` target can be told."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The level of the lines; `error` is for what an operator must act on."""
    message: Template = Field(default_factory=lambda: Template("message"))
    """The line's text. What `settings.redact` names is masked in fields alone, so keep payloads out of it."""
    fields: dict[str, TemplateTree] = Field(default_factory=dict)
    """Fields to add to the message's id, source, subject, key and data, or to put in their place."""
    preview: Annotated[Size, Between("0B", "1MiB")] = Size("2KiB")
    """About how much of the data a line shows."""


@endpoint("log", options=LogOptions, target=True)
class Log(AsyncioActor):
    """Writes each message to the log, with its id, its source and the beginning of its data as fields."""

    def __init__(self, options: LogOptions, context: Context) -> None:
        super().__init__()
        self._options = options
        self._context = context
        self._level = LEVELS[options.level]
        self._logger = logging.getLogger("pointsman.message")

    def on_receive(self, message: Message) -> None:
        if not self._logger.isEnabledFor(self._level):
            return
        options, now_s = self._options, self._context.clock.time()
        fields: dict[str, Any] = {"actor": self._context.name, "id": message.id, "source": message.source}
        if message.subject is not None:
            fields["subject"] = message.subject
        if message.key is not None:
            fields["key"] = message.key
        if options.preview:
            fields["data"] = excerpt(message.data, options.preview)
        for name, tree in options.fields.items():
            fields[name] = tree.render(message, now_s)
        text = options.message.render_text(message, now_s)
        self._logger.log(self._level, "%s", text, extra={"fields": fields})
