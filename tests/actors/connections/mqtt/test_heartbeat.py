"""A broker that is silent."""

from actors.connections.mqtt.heartbeat import Heartbeat
from actors.core.clock import ManualClock
from tests.loop import Run


def test_it_pings_and_gives_up_on_silence(run: Run) -> None:
    """Within one keepalive of the last that was heard."""

    async def main() -> None:
        clock = ManualClock()
        pings: list[float] = []
        deaths: list[float] = []
        beat = Heartbeat(clock, ping=lambda: pings.append(clock.now()), dead=deaths.append)
        beat.start(30.0)
        for _ in range(4):
            beat.heard = beat.answered = True
            await clock.advance(15)
        assert pings == [0.0, 15.0, 30.0, 45.0, 60.0]
        assert deaths == []
        await clock.advance(60)
        assert deaths == [15.0]
        assert pings[-1] == 60.0

    run(main())


def test_it_gives_up_where_pings_are_not_answered(run: Run) -> None:
    """Although other things come in: what we send gets lost. A late answer is one."""

    async def main() -> None:
        clock = ManualClock()
        deaths: list[float] = []
        beat = Heartbeat(clock, ping=lambda: None, dead=deaths.append)
        beat.start(30.0)
        for seconds in range(100):
            beat.heard = True
            if seconds % 25 == 24:
                beat.answered = True
            await clock.advance(1)
        assert deaths == []
        for _ in range(45):
            beat.heard = True
            await clock.advance(1)
        assert deaths == [30.0]

    run(main())


def test_it_stops(run: Run) -> None:
    """And without a keepalive it never begins."""

    async def main() -> None:
        clock = ManualClock()
        calls: list[float] = []
        beat = Heartbeat(clock, ping=lambda: calls.append(0.0), dead=calls.append)
        beat.start(30.0)
        beat.stop()
        beat.stop()
        beat.start(0.0)
        await clock.advance(100)
        assert calls == [0.0]

    run(main())
