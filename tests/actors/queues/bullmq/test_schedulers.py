"""When a schedule is due, as BullMQ writes schedules."""

from datetime import UTC, datetime
from typing import Any

import pytest

from actors.queues.bullmq.schedulers import next_ms

NOW_MS = round(datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC).timestamp() * 1000)


def due(repeat: dict[str, Any], after_ms: int = NOW_MS) -> str:
    return datetime.fromtimestamp(next_ms(repeat, after_ms) / 1000, UTC).isoformat(timespec="seconds")[:19]


def test_a_cron_expression_has_five_fields_or_six_and_a_time_zone() -> None:
    assert due({"pattern": "0 8 * * *"}) == "2023-11-15T08:00:00"
    assert due({"pattern": "*/5 * * * * *"}) == "2023-11-14T22:13:25"
    assert due({"pattern": "0 8 * * *", "tz": "America/Guayaquil"}) == "2023-11-15T13:00:00"
    assert due({"pattern": "0 8 * * *", "tz": None}) == "2023-11-15T08:00:00"


@pytest.mark.parametrize("start", ["2024-01-01T00:00:00Z", "2024-01-01", 1_704_067_200_000])
def test_nothing_is_due_before_the_schedule_begins(start: str | int) -> None:
    """Node writes a date as it was given, or as milliseconds."""
    assert due({"pattern": "30 0 * * *", "startDate": start}) == "2024-01-01T00:30:00"


def test_a_beginning_that_is_over_or_no_date_changes_nothing() -> None:
    for start in ("2020-01-01T00:00:00Z", "soon", None):
        assert due({"pattern": "30 0 * * *", "startDate": start}) == "2023-11-15T00:30:00"


def test_a_steady_pace_is_left_to_bullmq() -> None:
    """Its script knows when the last one was due."""
    assert next_ms({"every": 1000}, NOW_MS) == NOW_MS


@pytest.mark.parametrize(
    "repeat", [{"pattern": "hourly"}, {"pattern": "0 0 30 2 *"}, {"pattern": "* * * * *", "tz": "x"}]
)
def test_what_cannot_be_read_is_said(repeat: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"cron|time zone"):
        next_ms(repeat, NOW_MS)
