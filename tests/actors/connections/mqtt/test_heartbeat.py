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
            beat.heard = True
            await clock.advance(15)
        assert pings == [0.0, 15.0, 30.0, 45.0, 60.0]
        assert deaths == []
        await clock.advance(60)
        assert deaths == [15.0]
        assert pings[-1] == 60.0

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
