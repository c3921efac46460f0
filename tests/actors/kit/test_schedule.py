"""What is due when, as pure functions of the time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kit.schedule import Cron, Every

NOW_S = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC).timestamp()


@given(seconds=st.floats(0.01, 86_400), epoch_s=st.floats(1e9, 4e9))
def test_a_pace_has_the_same_times_everywhere(seconds: float, epoch_s: float) -> None:
    """The next is at most one step away, and is a multiple since the epoch."""
    every = Every(seconds)
    due_s = every.after(epoch_s)
    assert epoch_s < due_s + 1e-3
    assert due_s <= epoch_s + seconds + 1e-3
    assert every.nearest(due_s + seconds * 0.3) == pytest.approx(due_s)


def test_cron_reads_as_in_a_crontab() -> None:
    """Five fields, or six with seconds first."""
    assert Cron("*/5 * * * *").after(NOW_S) == datetime(2023, 11, 14, 22, 15, tzinfo=UTC).timestamp()
    assert Cron("0 8 * * 1-5").after(NOW_S) == datetime(2023, 11, 15, 8, tzinfo=UTC).timestamp()
    assert Cron("30 * * * * *").after(NOW_S) == datetime(2023, 11, 14, 22, 13, 30, tzinfo=UTC).timestamp()


def test_cron_has_a_time_zone() -> None:
    """Eight in Guayaquil is thirteen in UTC."""
    due_s = Cron("0 8 * * *", ZoneInfo("America/Guayaquil")).after(NOW_S)
    assert datetime.fromtimestamp(due_s, UTC).hour == 13


def test_cron_copes_with_clocks_that_change() -> None:
    """Half past two does not exist on the last Sunday of March in Berlin, and comes once all the same."""
    zone = ZoneInfo("Europe/Berlin")
    cron = Cron("30 2 * * *", zone)
    due_s = cron.after(datetime(2024, 3, 31, 0, 0, tzinfo=zone).timestamp())
    assert datetime.fromtimestamp(due_s, zone).hour == 3
    assert datetime.fromtimestamp(cron.after(due_s), zone).day == 1


@pytest.mark.parametrize("expression", ["", "* * * *", "61 * * * *", "0 0 30 2 *", "hourly", "* * * * * * *"])
def test_what_is_no_cron_expression_is_an_error(expression: str) -> None:
    """Also one that is never due."""
    with pytest.raises(ValueError, match="cron"):
        Cron(expression)
