"""Each message is one log record with fields."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.endpoints.log import Log, LogOptions
from tests.loop import Run
from tests.stage import stage

MESSAGE = Message("id-1", "orders", {"order": 7, "text": "x" * 5000})


def logged(
    run: Run, caplog: pytest.LogCaptureFixture, options: Mapping[str, Any], message: Message = MESSAGE
) -> logging.LogRecord:
    async def main() -> None:
        async with stage() as played:
            log = await played.start(Log, options, name="audit")
            await log.deliver(message)

    with caplog.at_level(logging.DEBUG, "pointsman.message"):
        run(main())
    (record,) = caplog.records
    return record


def fields(record: logging.LogRecord) -> Any:
    return vars(record)["fields"]


def test_a_line_names_the_message_and_shows_its_data(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """In fields, so that what is under a name can be masked; long data is cut, in its structure."""
    record = logged(run, caplog, {})
    assert (record.name, record.levelname, record.getMessage()) == ("pointsman.message", "INFO", "message")
    shown = fields(record)
    assert (shown["actor"], shown["id"], shown["source"]) == ("audit", "id-1", "orders")
    assert shown["data"]["order"] == 7
    assert len(shown["data"]["text"]) < 2100


def test_text_level_and_fields_can_be_chosen(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Text and fields are templates; a percent sign is a percent sign."""
    options = {
        "level": "warning",
        "message": "order {{ data.order }} 100%s",
        "fields": {"number": "{{ data.order }}", "id": "own"},
        "preview": "0B",
    }
    record = logged(run, caplog, options, MESSAGE.with_attributes(subject="s", partitionkey="k"))
    assert (record.levelname, record.getMessage()) == ("WARNING", "order 7 100%s")
    assert fields(record) == {
        "actor": "audit",
        "id": "own",
        "source": "orders",
        "subject": "s",
        "key": "k",
        "number": 7,
    }


def test_a_failed_template_is_a_failed_attempt(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The actor goes on with the next message."""

    async def main() -> None:
        async with stage() as played:
            log = await played.start(Log, {"message": "{{ data.missing }}"})
            with pytest.raises(ExpressionError):
                await log.deliver(MESSAGE)
            await log.deliver(Message("2", "orders", {"missing": "found"}))

    with caplog.at_level(logging.DEBUG, "pointsman.message"):
        run(main())


def test_an_unknown_level_is_a_problem() -> None:
    """It names what there is."""
    with pytest.raises(ValidationError, match="warning"):
        LogOptions.model_validate({"level": "loud"})
