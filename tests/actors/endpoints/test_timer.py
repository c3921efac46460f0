"""Ticks come when they are due, once, and with the same id in every process."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from actors.core.clock import ManualClock, settle
from actors.core.errors import BackPressureError
from actors.core.events import Notice
from actors.core.message import Message, Receipt
from actors.endpoints.timer import Timer, TimerOptions
from tests.loop import Run
from tests.stage import DEADLINE_S, KeepingOutlet, stage

# 2023-11-14T22:13:20Z, when a manual clock begins.
START_S = 1_700_000_000.0


class JumpingClock(ManualClock):
    """Its wall clock can be set, as an operator or NTP does; its monotonic time goes on."""

    def set_by(self, seconds: float) -> None:
        self._epoch_s += seconds


def times(outlet: KeepingOutlet) -> list[str]:
    return [str(message.data) for message in outlet.messages]


def test_ticks_come_at_the_multiples_of_the_interval(run: Run) -> None:
    """Not from the start on, so that a restart changes nothing; id and time are those of the tick."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            await played.start(Timer, {"every": "30s"}, name="beat")
            await clock.advance(9)
            assert not played.outlet.messages
            await clock.advance(31)
            assert times(played.outlet) == ["2023-11-14T22:13:30Z", "2023-11-14T22:14:00Z"]
            first = played.outlet.messages[0]
            assert (first.id, first.source, first.type) == ("beat-2023-11-14T22:13:30Z", "beat", "tick")
            assert first.time == START_S + 10

    run(main())


def test_a_fraction_of_a_second_is_a_pace_as_well(run: Run) -> None:
    """Each tick with an id of its own."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            await played.start(Timer, {"every": "100ms"})
            await clock.advance(1.05)
            assert times(played.outlet)[:2] == ["2023-11-14T22:13:20.100Z", "2023-11-14T22:13:20.200Z"]
            assert len({message.id for message in played.outlet.messages}) == 10

    run(main())


def test_cron_ticks_come_when_the_crontab_says(run: Run) -> None:
    """In its time zone, daylight saving included."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            await played.start(Timer, {"cron": "0 8 * * *", "timezone": "America/Guayaquil"})
            await clock.advance(2 * 86_400)
            assert times(played.outlet) == ["2023-11-15T13:00:00Z", "2023-11-16T13:00:00Z"]

    run(main())


def test_data_is_a_template_over_the_tick(run: Run) -> None:
    """`now` is when it was due."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            data = {"at": "{{ now.isoformat() }}", "id": "{{ message.id }}", "fixed": 5}
            await played.start(Timer, {"every": "1m", "data": data, "message_type": "beat"}, name="t")
            await clock.advance(60)
            (message,) = played.outlet.messages
            assert message.data == {
                "at": "2023-11-14T22:14:00+00:00",
                "id": "t-2023-11-14T22:14:00Z",
                "fixed": 5,
            }
            assert message.type == "beat"

    run(main())


class SlowOutlet(KeepingOutlet):
    """Has room only when the clock says so."""

    def __init__(self, clock: ManualClock, wait_s: float) -> None:
        super().__init__()
        self._clock = clock
        self._wait_s = wait_s

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        await self._clock.sleep(self._wait_s)
        await super().put(message, receipt)


@pytest.mark.parametrize("options", [{"every": "1m"}, {"cron": "* * * * *"}])
def test_ticks_that_were_missed_do_not_come_in_a_burst(run: Run, options: dict[str, Any]) -> None:
    """While one waits for room the others are left out, and the next comes at its own time."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            played.outlet = SlowOutlet(clock, 200)
            await played.start(Timer, options)
            await clock.advance(600)
            assert times(played.outlet) == ["2023-11-14T22:14:00Z", "2023-11-14T22:18:00Z"]

    run(main())


def test_a_tick_that_is_refused_is_left_out_and_said(run: Run) -> None:
    """The timer goes on."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            played.outlet.refusal = BackPressureError("the journal is full", route="r")
            timer = await played.start(Timer, {"every": "1m"}, name="beat")
            await clock.advance(60)
            (notice,) = [event for event in played.emitted if isinstance(event, Notice)]
            assert notice.text == "beat: the tick of 2023-11-14T22:14:00Z is left out: the journal is full"
            played.outlet.refusal = None
            await clock.advance(60)
            assert times(played.outlet) == ["2023-11-14T22:15:00Z"]
            assert timer.error is None

    run(main())


@pytest.mark.parametrize("jump_s", [-7200.0, -30.0, 30.0, 7200.0])
def test_a_pace_is_kept_when_somebody_sets_the_clock(run: Run, jump_s: float) -> None:
    """No tick comes early, and none gets stuck."""

    async def main() -> None:
        clock = JumpingClock()
        async with stage(clock) as played:
            await played.start(Timer, {"every": "1m"})
            await clock.advance(60)
            clock.set_by(jump_s)
            await clock.advance(600)
            assert len(played.outlet.messages) == 11

    run(main())


def test_cron_follows_a_clock_that_is_set(run: Run) -> None:
    """Forward: what was due in between comes once. Backward: what is due again bears the same id."""

    async def main() -> None:
        clock = JumpingClock()
        async with stage(clock) as played:
            await played.start(Timer, {"cron": "0 * * * *"})
            await clock.advance(60)
            clock.set_by(2 * 3600)
            await clock.advance(60)
            assert times(played.outlet) == ["2023-11-14T23:00:00Z"]
            clock.set_by(-2 * 3600)
            await clock.advance(3600)
            first, again = played.outlet.messages
            assert first.id == again.id

    run(main())


def test_a_draining_timer_is_quiet(run: Run) -> None:
    """A source takes nothing in any more."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            timer = await played.start(Timer, {"every": "1m"})
            await timer.drain()
            await clock.advance(300)
            await settle()
            assert not played.outlet.messages

    run(main())


class TestSuccession:
    @pytest.mark.parametrize("at_s", [0.0, 0.05, 0.0999, 0.1, 0.1001, 0.2, 0.29999, 0.3, 0.37])
    @pytest.mark.parametrize("after", [{"every": "100ms", "message_type": "tock"}, {"every": "50ms"}])
    def test_no_tick_comes_twice_and_none_is_lost(self, run: Run, at_s: float, after: dict[str, Any]) -> None:
        """Wherever the switch comes: also in the turn in which a tick is due."""

        async def main() -> None:
            clock = ManualClock()
            async with stage(clock) as played:
                before = await played.start(Timer, {"every": "100ms"}, name="beat")
                new = await played.start(Timer, after, name="beat", succeeds=True)
                assert isinstance(new.actor, Timer)
                # Registered before each tick's own, and so called before it where both are due.
                clock.call_at(at_s, lambda: new.actor.take_over(before.actor))  # type: ignore[attr-defined]
                await clock.advance(at_s)
                await before.retire()
                await clock.advance(1.0)
                ids = [message.id for message in played.outlet.messages]
                assert len(set(ids)) == len(ids)
                wanted = {f"beat-2023-11-14T22:13:20.{tenth}00Z" for tenth in range(1, 10)}
                assert wanted <= set(ids)

        run(main())

    @pytest.mark.parametrize(("first", "then"), [({"cron": "* * * * *"}, {"every": "1m"}), ({"every": "1m"},) * 2])
    def test_a_tick_that_is_due_at_the_switch_is_the_first_ones(
        self, run: Run, first: dict[str, Any], then: dict[str, Any]
    ) -> None:
        """By its type it can be told who sent it; it is sent although the first one drains at once."""

        async def main() -> None:
            clock = ManualClock()
            async with stage(clock) as played:
                before = await played.start(Timer, {**first, "message_type": "old"}, name="beat")
                new = await played.start(Timer, {**then, "message_type": "new"}, name="beat", succeeds=True)
                clock.call_at(40.0, lambda: new.actor.take_over(before.actor))  # type: ignore[attr-defined]
                await clock.advance(40.0)
                await before.retire()
                await clock.advance(60.0)
                assert [message.type for message in played.outlet.messages] == ["old", "new"]
                assert times(played.outlet) == ["2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z"]

        run(main())

    def test_a_tick_that_waits_for_room_is_still_sent(self, run: Run) -> None:
        """The one before owes it, and ends when it is gone."""

        async def main() -> None:
            clock = ManualClock()
            async with stage(clock) as played:
                room = asyncio.Event()

                async def put(message: Message, receipt: Receipt | None = None) -> None:
                    await room.wait()
                    played.outlet.messages.append(message)

                played.outlet.put = put  # type: ignore[method-assign]
                before = await played.start(Timer, {"every": "1m"}, name="beat")
                await clock.advance(60)
                after = await played.succeed(Timer, {"every": "1m"}, before, "beat")
                retiring = asyncio.create_task(before.retire())
                await settle()
                assert not retiring.done()
                room.set()
                async with asyncio.timeout(DEADLINE_S):
                    await retiring
                await clock.advance(60)
                assert times(played.outlet) == ["2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z"]
                assert after.error is None

        run(main())

    def test_a_clock_that_falls_behind_the_pace_repeats_no_tick(self, run: Run) -> None:
        """The steady pace came to the tick before the wall clock did."""

        async def main() -> None:
            clock = JumpingClock()
            async with stage(clock) as played:
                before = await played.start(Timer, {"every": "1m"}, name="beat")
                await clock.advance(30)
                clock.set_by(-5)
                await clock.advance(10)
                assert times(played.outlet) == ["2023-11-14T22:14:00Z"]
                await played.succeed(Timer, {"every": "1m"}, before, "beat")
                await before.retire()
                await clock.advance(66)
                assert times(played.outlet) == ["2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z"]

        run(main())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"every": "1m", "cron": "* * * * *"},
        {"every": "0s"},
        {"every": 60},
        {"cron": "* * * *"},
        {"cron": "0 0 30 2 *"},
        {"cron": "* * * * *", "timezone": "Middle/Earth"},
        {"cron": "* * * * *", "timezone": "../../etc/passwd"},
    ],
)
def test_options_that_make_no_sense_are_problems(options: dict[str, Any]) -> None:
    """All of them before anything starts."""
    with pytest.raises(ValidationError):
        TimerOptions.model_validate(options)


def test_the_manual_clock_starts_where_these_tests_think() -> None:
    """Or every time above would be wrong."""
    assert datetime.fromtimestamp(ManualClock().time(), UTC).isoformat() == "2023-11-14T22:13:20+00:00"
