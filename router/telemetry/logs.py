"""The router's own log on standard error: structlog renders what the standard library's loggers are told."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from router.telemetry.shown import Redaction, printable, without_credentials

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

LOGGER: Final = "pointsman"
"""The root of all our loggers; `pointsman.message` is where the `log` endpoint writes."""

EVENT_WIDTH: Final = 24
"""Texts are padded to this many columns, so that most fields begin in one."""
LEVEL_WIDTH: Final = len("warning")
_LEVEL_STYLES: Final = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}

_OWN: Final = frozenset(("time", "level", "logger", "event", "exception"))
_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def install(
    *,
    format: Literal["console", "json"] = "console",
    level: str = "info",
    redaction: Redaction | None = None,
    stream: TextIO | None = None,
) -> Callable[[], None]:
    """Write the log to `stream` (standard error) from now on; returns what undoes it.

    Our own loggers write from `level` on, those of libraries from warnings on. Fields are what a record has in
    `extra`; a mapping under `extra["fields"]` is spread, which allows names that `logging` keeps for itself.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(format, redaction or Redaction(), coloured=_wants_colours(stream)))
    root, ours = logging.getLogger(), logging.getLogger(LOGGER)
    before = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    ours.setLevel(level.upper())

    def uninstall() -> None:
        root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])
        handler.close()

    return uninstall


def _formatter(format: str, redaction: Redaction, *, coloured: bool) -> logging.Formatter:
    # Imported here, since it costs 0.1 s and only a running router needs it.
    from structlog.stdlib import ProcessorFormatter

    render = _json if format == "json" else _console(coloured)
    return ProcessorFormatter(processors=[_Fields(redaction, for_machines=format == "json"), render])


class _Fields:
    """From a record to the fields of a line, in their order and fit to be shown."""

    def __init__(self, redaction: Redaction, *, for_machines: bool) -> None:
        self._redaction = redaction
        self._for_machines = for_machines

    def __call__(self, _: Any, __: str, event_dict: EventDict) -> EventDict:
        record: logging.LogRecord = event_dict["_record"]
        fields: EventDict = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "event": without_credentials(str(event_dict["event"])),
        }
        if self._for_machines or record.name.partition(".")[0] != LOGGER:
            fields["logger"] = record.name
        for name, value in self._redaction.plain(_extra(record)).items():
            fields[f"{name}_" if name in _OWN else name] = _without_credentials(value)
        exc_info = event_dict.get("exc_info")
        if exc_info and exc_info[1] is not None:
            fields["exception"] = printable(without_credentials(_traceback(exc_info[1])), keep="\n")
        return fields

    def _time(self, created: float) -> str:
        moment = datetime.fromtimestamp(created, UTC)
        if self._for_machines:
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _RECORD}
    spread = extra.pop("fields", None)
    if isinstance(spread, Mapping):
        extra |= spread
    elif spread is not None:
        extra["fields"] = spread
    return extra


def _without_credentials(value: Any) -> Any:
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {name: _without_credentials(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_credentials(part) for part in value]
    return value


def _traceback(error: BaseException) -> str:
    # Without the values of variables, which renderers of tracebacks like to add: they may be secrets.
    import traceback

    return "".join(traceback.format_exception(error)).rstrip("\n")


def _json(_: Any, __: str, fields: MutableMapping[str, Any]) -> str:
    return json.dumps(fields)


def _console(coloured: bool) -> Processor:
    from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter

    def style(code: str) -> str:
        return code if coloured else ""

    reset, dim, bold, cyan = style("\x1b[0m"), style("\x1b[2m"), style("\x1b[1m"), style("\x1b[36m")
    of_level = {name: style(code) for name, code in _LEVEL_STYLES.items()}

    def level(key: str, value: object) -> str:
        return f"{of_level.get(str(value), '')}{value!s:<{LEVEL_WIDTH}}{reset}"

    def column(name: str, key_style: str | None, value_style: str, width: int = 0) -> Column:
        show = _value if key_style is not None else _text
        return Column(name, KeyValueColumnFormatter(key_style, value_style, reset, show, width))

    return ConsoleRenderer(
        columns=[
            column("time", None, dim),
            Column("level", level),
            column("event", None, bold, EVENT_WIDTH),
            column("", cyan, ""),
        ],
        sort_keys=False,
    )


def _text(value: object) -> str:
    return printable(str(value))


def _value(value: object) -> str:
    """As in logfmt: quoted where a reader could not tell where it ends."""
    if isinstance(value, str) and value.isprintable() and value and not set(value) & set(' "='):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(json.dumps(value, ensure_ascii=False))


def _wants_colours(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
