"""The log: readable for people, one object a line for machines, and without what must not be in it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from router.telemetry.logs import install
from router.telemetry.shown import Redaction


class Stream(io.StringIO):
    """A terminal, or none."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


@contextmanager
def installed(
    format: Literal["console", "json"] = "console", level: str = "info", *, tty: bool = False
) -> Iterator[tuple[logging.Logger, Stream]]:
    stream = Stream(tty=tty)
    uninstall = install(format=format, level=level, redaction=Redaction(("token", "phone")), stream=stream)
    try:
        yield logging.getLogger("pointsman"), stream
    finally:
        uninstall()


def test_a_line_for_people_is_time_level_text_and_aligned_fields() -> None:
    with installed() as (logger, stream):
        logger.info("actor ready", extra={"fields": {"actor": "orders", "after_s": 0.25}})
        logger.warning("attempt failed", extra={"fields": {"error": "no route"}})
    one, two = stream.lines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info    actor ready              actor=orders after_s=0.25", one
    )
    assert two.index("error=") == one.index("actor=")
    assert two.endswith('error="no route"')


def test_a_line_for_machines_is_one_object() -> None:
    with installed("json") as (logger, stream):
        logger.info("actor ready", extra={"fields": {"actor": "orders", "load": float("inf")}})
        logging.getLogger("pointsman.message").warning("got\n%s", "it", extra={"id": 1})
    one, two = stream.objects()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one.pop("time"))
    assert one == {
        "level": "info",
        "event": "actor ready",
        "logger": "pointsman",
        "actor": "orders",
        "load": "inf",
    }
    assert (two["logger"], two["level"], two["event"], two["id"]) == ("pointsman.message", "warning", "got\nit", 1)


@pytest.mark.parametrize("format", ["console", "json"])
def test_what_is_to_be_redacted_is_masked_at_any_depth(format: Literal["console", "json"]) -> None:
    """In fields of our own and in payloads alike; URLs lose their user part, in tracebacks too."""
    with installed(format) as (logger, stream):
        logger.info("x", extra={"fields": {"token": "hunter2", "data": [{"Phone": "hunter2"}]}})
        logger.info("cannot reach http://me:hunter2@host", extra={"fields": {"why": {"url": "amqp://me:hunter2@h"}}})
        try:
            raise ValueError("postgres://me:hunter2@db")
        except ValueError:
            logger.exception("it broke")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 5


def test_variables_are_not_in_tracebacks() -> None:
    """Their values may be secrets, which no name gives away."""
    with installed() as (logger, stream):
        hidden = "hunter" + str(2)
        try:
            raise ValueError(len(hidden))
        except ValueError:
            logger.exception("it broke")
    assert "Traceback (most recent call last):" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_a_payload_cannot_forge_a_line_or_speak_to_the_terminal() -> None:
    """Line breaks and escapes in texts and in fields stay where they are."""
    with installed() as (logger, stream):
        logger.info(
            "a\n2026-01-01 forged", extra={"fields": {"error": "b\n2026 forged\x1b[2J", "data": {"k": "c\nforged"}}}
        )
    assert len(stream.lines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_there_are_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with installed(tty=True) as (logger, stream):
        logger.error("x")
    assert "\x1b[31m" in stream.getvalue()
    with installed() as (logger, stream):
        logger.error("x")
    assert "\x1b" not in stream.getvalue()


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with installed(tty=True) as (logger, stream):
        logger.error("x")
    assert "\x1b" not in stream.getvalue()


def test_the_level_is_ours_and_libraries_are_told_from_warnings_on() -> None:
    with installed(level="error") as (logger, stream):
        logger.warning("ours")
        logging.getLogger("some.library").info("theirs")
        logging.getLogger("some.library").warning("theirs")
    (line,) = stream.lines()
    assert line.endswith("logger=some.library")


def test_fields_cannot_take_the_place_of_the_lines_own() -> None:
    with installed("json") as (logger, stream):
        logger.info("true", extra={"fields": {"event": "false", "level": "error", "message": "kept"}})
    (line,) = stream.objects()
    assert (line["event"], line["level"]) == ("true", "info")
    assert (line["event_"], line["level_"], line["message"]) == ("false", "error", "kept")


def test_uninstalling_leaves_logging_as_it_was() -> None:
    root, ours = logging.getLogger(), logging.getLogger("pointsman")
    before = (list(root.handlers), root.level, ours.level)
    with installed(level="debug"):
        assert ours.level == logging.DEBUG
    assert (list(root.handlers), root.level, ours.level) == before
