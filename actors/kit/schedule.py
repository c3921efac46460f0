"""When something is due: at a steady pace, or as a cron expression says; pure functions of the time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo


class Every:
    """The multiples of `seconds` since the epoch: the same in every process and after every restart."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def after(self, epoch_s: float) -> float:
        """The first of them after `epoch_s`."""
        return (math.floor(epoch_s / self.seconds) + 1) * self.seconds

    def nearest(self, epoch_s: float) -> float:
        """The one that is meant, where a timer fired a little early or late."""
        return round(epoch_s / self.seconds) * self.seconds


class Cron:
    """The times of a cron expression of five fields (or six: seconds first), read as Debian's cron does.

    Raises `ValueError` where it is none. Where the clocks change, a time that is left out is due at once, and
    one that comes twice is due once.
    """

    def __init__(self, expression: str, zone: tzinfo = UTC) -> None:
        from cronsim import CronSimError

        self._expression = expression
        self._zone = zone
        try:
            self.after(datetime.now(UTC).timestamp())
        except CronSimError as error:
            raise ValueError(f"not a cron expression: {error}") from None
        except StopIteration:
            raise ValueError("a cron expression that is never due") from None

    def after(self, epoch_s: float) -> float:
        """The first of them after `epoch_s`."""
        from cronsim import CronSim

        return next(CronSim(self._expression, datetime.fromtimestamp(epoch_s, self._zone))).timestamp()
