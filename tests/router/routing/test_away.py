"""Targets that know that they are away: no attempt is used, and nothing becomes a dead letter for it."""

from pathlib import Path

import pytest

from actors.core.errors import BackPressureError
from actors.core.events import RouteResumed, RouteSuspended
from actors.core.limits import BreakerPolicy, Limiter
from actors.core.restart import RestartPolicy
from tests.loop import Run
from tests.router.routing.harness import System, retry, system
from tests.router.routing.targets import OK, Crash, Hang, Refuse


def test_an_outage_of_a_minute_dead_letters_nothing(run: Run, tmp_path: Path) -> None:
    """The route suspends, holds its source back, and goes on in order; no attempt was used."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            route = router.route("sink", retry=retry(1))
            router.child("sink").unavailable("the cable is out")
            first = router.send("first")
            await router.settle()
            with pytest.raises(BackPressureError) as refused:
                router.send("second")
            assert refused.value.retry_after_s > 0
            await router.advance(60.0)
            assert not sink.seen
            assert router.child("sink").started == 0
            assert [event.why for event in router.heard(RouteSuspended)] == ["the cable is out"]
            router.child("sink").available()
            await router.settle()
            assert len(router.heard(RouteResumed)) == 1
            assert first.ended() == "delivered"
            await router.sent("third")
            assert sink.done_data == ["first", "third"]
            assert route.ledger.retries == 0

    run(scenario())


def test_an_outage_delays_no_fallback(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink"), router.target("other")
            router.route("sink", fallback=("other",))
            router.child("sink").unavailable("the cable is out")
            await router.sent(1, 2)
            assert (other.data, other.at, sink.seen) == ([1, 2], [0.0, 0.0], [])

    run(scenario())


def test_with_the_fallback_away_too_it_goes_to_whoever_returns_first(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink"), router.target("other")
            router.route("sink", fallback=("other",))
            for name in ("sink", "other"):
                router.child(name).unavailable("the cable is out")
            await router.sent("one")
            await router.advance(60.0)
            router.child("other").available()
            await router.settle()
            assert (other.done_data, sink.seen) == (["one"], [])

    run(scenario())


def test_an_outage_of_the_last_fallback_is_waited_for(run: Run, tmp_path: Path) -> None:
    """The target refused for good, so its being there resumes nothing; what counts is the fallback."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Refuse(retryable=False)
            router.target("other")
            router.route("sink", fallback=("other",))
            router.child("other").unavailable("the cable is out")
            (ticket,) = await router.sent("one")
            await router.advance(60.0)
            router.child("sink").unavailable("it too")
            router.child("sink").available()
            await router.settle()
            assert ticket.ended() is None
            assert not router.heard(RouteResumed)
            router.child("other").available()
            await router.settle()
            assert (ticket.ended(), len(sink.seen)) == ("delivered", 1)

    run(scenario())


def test_what_waits_in_the_mailbox_of_a_target_that_goes_away_comes_back_at_once(run: Run, tmp_path: Path) -> None:
    """What it has in hand it may still answer."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink", capacity=1), router.target("other")
            sink.answers.append(Hang())
            router.route("sink", fallback=("other",), concurrency=3)
            await router.sent("in hand")
            await router.sent("queued", "in the lobby")
            router.child("sink").unavailable("the cable is out")
            await router.settle()
            assert other.done_data == ["queued", "in the lobby"]
            sink.let_go()
            await router.settle()
            assert sink.done_data == ["in hand"]
            assert router.attempts_add_up("sink")

    run(scenario())


def test_a_connection_lost_while_it_has_a_message_in_hand_uses_no_attempt(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")

            def cut(_: object) -> Refuse:
                router.child("sink").unavailable("reset by peer")
                sink.decide = None
                return Refuse("connect")

            sink.decide = cut
            router.route("sink", retry=retry(1))
            (ticket,) = await router.sent("one")
            await router.advance(60.0)
            router.child("sink").available()
            await router.settle()
            assert ticket.ended() == "delivered"

    run(scenario())


def test_what_expires_while_the_route_is_suspended_ends_then(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink")
            route = router.route("sink")
            router.child("sink").unavailable("the cable is out")
            (ticket,) = await router.sent("one", expirytime=router.clock.time() + 5.0)
            await router.advance(4.9)
            assert ticket.ended() is None
            await router.advance(0.2)
            assert ticket.ended() == "expired"
            assert not route.attempts.suspended
            assert len(router.heard(RouteResumed)) == 1

    run(scenario())


def test_a_failed_actor_is_waited_for_until_an_operator_restarts_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", policy=RestartPolicy(max_restarts=1, min_delay_s=0.1, jitter=0.0))
            sink.answers.extend([Crash(), Crash()])
            router.route("sink")
            (ticket,) = await router.sent("one")
            await router.advance(60.0)
            assert router.child("sink").state == "failed"
            assert ticket.ended() is None
            await router.supervisor.restart("sink")
            await router.settle()
            assert ticket.ended() == "delivered"

    run(scenario())


def test_an_actor_that_is_switched_off_is_not_waited_for(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("off", enabled=False)
            other = router.target("other")
            router.route("off", fallback=("other",), name="with fallback", sources=["a"])
            router.route("off", name="without", sources=["b"])
            router.send("one", source="a")
            ticket = router.send("two", source="b")
            await router.settle()
            assert other.done_data == ["one"]
            assert ticket.ended() == "dead_lettered"
            assert await router.reasons() == {"failed": 1}

    run(scenario())


def test_an_open_breaker_refuses_at_once_and_lets_one_try_after_its_time(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            policy = BreakerPolicy(failures=0.5, window_s=30.0, min_requests=4, open_s=30.0)
            sink, other = router.target("sink", breaker=policy), router.target("other")
            sink.otherwise = Refuse(retryable=False)
            router.route("sink", fallback=("other",))
            await router.sent(*range(4))
            assert len(sink.seen) == 4
            await router.sent(4, 5)
            assert (len(sink.seen), len(other.done)) == (4, 6)
            sink.otherwise = OK
            await router.advance(30.0)
            await router.sent(6)
            assert sink.done_data == [6]

    run(scenario())


async def _flow(router: System, count: int) -> None:
    await router.sent(*range(count))
    await router.advance(60.0)


def test_a_limit_is_kept_exactly_and_in_order(run: Run, tmp_path: Path) -> None:
    """A burst of `max`, then one each time a token is due; waiting for one uses no attempt."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", limiter=Limiter(2, 10.0))
            router.route("sink", concurrency=5, timeout_s=1.0)
            await _flow(router, 6)
            assert sink.data == list(range(6))
            assert sink.at == pytest.approx([0.0, 0.0, 5.0, 10.0, 15.0, 20.0])

    run(scenario())


def test_a_slow_limit_does_not_hold_up_the_tokens_of_a_faster_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            slow, fast = router.target("slow", limiter=Limiter(1, 50.0)), router.target("fast", limiter=Limiter(1, 5.0))
            router.route("fast", "slow", concurrency=10)
            await router.sent(1, 2)
            await router.advance(60.0)
            assert fast.at == pytest.approx([0.0, 5.0])
            assert slow.at == pytest.approx([0.0, 50.0])

    run(scenario())
