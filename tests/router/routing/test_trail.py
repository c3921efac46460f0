"""The trail: what has ended last, and how long it took; exact in number, bounded in memory."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.core.clock import ManualClock
from actors.core.message import OUTCOMES, Message, Settlement
from actors.core.step import FILTERED, Passage, StepResult
from router.routing.choose import always
from router.routing.delivery import Delivery
from router.routing.plan import RoutePlan
from router.routing.trail import BOUNDS_S, PLAIN, Endings, Row, Trail
from tests.loop import Run
from tests.router.routing.harness import System, retry, system
from tests.router.routing.steps import splits
from tests.router.routing.targets import Refuse

SPLIT: dict[str, Any] = {"steps": (splits,), "repeatable": (True,), "step_names": ("split",)}


def seconds_taken(*took: float) -> Sequence[int]:
    """The counts of a histogram, worked out one by one."""
    counts = [0] * (len(BOUNDS_S) + 1)
    for each in took:
        counts[bisect_left(BOUNDS_S, each)] += 1
    return tuple(counts)


def rows(router: System) -> list[Row]:
    return router.trail.rows()


def test_a_delivered_message_leaves_its_id_its_target_and_its_times(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("t").answers.extend([Refuse()])
            router.route("t", retry=retry())
            await router.sent("a")
            await router.advance(5.0)
            (row,) = rows(router)
            assert (row.id, row.route, row.target, row.attempt, row.outcome) == ("m1", "r", "t", 2, "delivered")
            assert (row.accepted, row.begun, row.ended) == (0.0, 1.0, 1.0)
            assert row.source == "source"

    run(scenario())


def test_parts_ways_and_what_they_are_of_leave_a_row_each(run: Run, tmp_path: Path) -> None:
    """Only those that the ledger counts are in the histogram."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("a")
            router.target("b")
            route = router.route("a", "b", **SPLIT)
            await router.sent(["x", "y"])
            found = {(row.id, row.role, row.ways) for row in rows(router)}
            assert found == {
                ("m1", "split", ()),
                ("m1-1", "fan_out", ("a", "b")),
                ("m1-2", "fan_out", ("a", "b")),
                *(("m1-1", "branch", (way,)) for way in "ab"),
                *(("m1-2", "branch", (way,)) for way in "ab"),
            }
            assert {row.id for row in rows(router) if row.is_part} == {"m1-1", "m1-2"}
            assert sum(route.endings.histogram(router.clock.now()).counts) == route.ledger.delivered == 2

    run(scenario())


def test_what_a_step_ends_says_which(run: Run, tmp_path: Path) -> None:
    def passes(message: Message, _: Passage) -> StepResult:
        return message

    def stops(message: Message, _: Passage) -> StepResult:
        return FILTERED

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("t")
            router.route("t", steps=(passes, stops), repeatable=(True, True), step_names=("map", "filter"))
            await router.sent("a")
            (row,) = rows(router)
            assert (row.outcome, row.target, row.steps, row.position) == ("filtered", None, ("map", "filter"), 2)

    run(scenario())


def test_every_end_is_counted_once_however_long_it_took(run: Run, tmp_path: Path) -> None:
    """Delivered at once, after a retry, and dead."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("t").answers.extend([Refuse(), Refuse(retryable=False)])
            route = router.route("t")
            await router.sent("a", "b", "c")
            await router.advance(2.0)
            histogram = route.endings.histogram(router.clock.now())
            assert histogram.counts == seconds_taken(1.0, 0.0, 0.0)
            assert histogram.seconds == 1.0
            assert histogram == route.endings.histogram(router.clock.now())
            assert sum(router.outcomes().values()) == sum(histogram.counts)

    run(scenario())


def test_latencies_of_the_last_minute_are_told_by_route(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("t").answers.extend([Refuse()])
            router.route("t")
            await router.sent("a", "b")
            await router.advance(5.0)
            assert router.trail.took() == {"r": [0.0, 1.0]}
            await router.advance(56.5)
            assert router.trail.took() == {}

    run(scenario())


class _Stub:
    """As much of a delivery as the trail looks at."""

    def __init__(self, number: int, accepted: float, *, is_message: bool = True) -> None:
        self.message = Message(f"m{number}", "s", None)
        self.target = None
        self.attempt = 1
        self.accepted_at = self.enqueued_at = accepted
        self.details = None
        self.is_message = is_message


def trailing(clock: ManualClock, **limits: Any) -> tuple[Trail, Endings]:
    trail = Trail(clock=clock, **limits)
    return trail, trail.endings(RoutePlan("r", ("s",), always(("t",)), ("t",)))


def deliver(endings: Endings, number: int, accepted: float) -> None:
    stub: Any = _Stub(number, accepted)
    if not endings.delivered:
        endings.begin()
    endings.delivered.append(stub)


def test_the_ring_is_bounded_by_number_and_by_age(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        trail, endings = trailing(clock, messages=3, age_s=10.0)
        for number in range(5):
            await clock.advance(1.0)
            deliver(endings, number, clock.now())
            trail.fold()
        assert [row.id for row in trail.rows()] == ["m2", "m3", "m4"]
        await clock.advance(8.5)
        assert [row.id for row in trail.rows()] == ["m3", "m4"]
        await clock.advance(10.0)
        assert trail.rows() == []
        assert sum(endings.histogram(clock.now()).counts) == 5

    run(scenario())


def test_with_a_ring_of_no_rows_messages_are_counted_all_the_same(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        trail, endings = trailing(clock, messages=0)
        deliver(endings, 1, 0.0)
        assert trail.rows() == []
        assert sum(endings.histogram(clock.now()).counts) == 1

    run(scenario())


def test_under_load_a_sample_is_kept_evenly_and_what_failed_is_kept_whole(run: Run) -> None:
    """More end in a second than the ring holds: it reaches a second back all the same."""

    async def scenario() -> None:
        clock = ManualClock()
        trail, endings = trailing(clock, messages=100)
        for _ in range(50):
            await clock.advance(0.1)
            for number in range(1000):
                deliver(endings, number, clock.now())
            failed: Any = _Stub(-1, clock.now())
            endings.ended(failed, Settlement("dead_lettered", "refused"))
            trail.fold()
        kept = trail.rows()
        assert len(kept) == 100
        assert kept[-1].ended - kept[0].ended >= 0.8
        assert sum(row.outcome == "dead_lettered" for row in kept) >= 9
        assert trail.left_out + 50 * 10 >= 50_000 - 200
        assert sum(endings.histogram(clock.now()).counts) == 50 * 1001

    run(scenario())


def test_what_ends_is_looked_at_when_the_turn_is_over_and_let_go_of(run: Run, tmp_path: Path) -> None:
    """A row holds no message: payloads are gone with their end."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("t")
            route = router.route("t")
            await router.sent(*range(10))
            assert route.endings.delivered == []
            assert all(not isinstance(part, Message | Delivery) for row in rows(router) for part in row)

    run(scenario())


@given(st.lists(st.lists(st.floats(0.0, 1000.0), max_size=20), max_size=10))
def test_the_histogram_is_what_counting_one_by_one_gives(turns: list[list[float]]) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        await clock.advance(1000.0)
        trail, endings = trailing(clock)
        for turn in turns:
            for number, each in enumerate(turn):
                deliver(endings, number, clock.now() - each)
            trail.fold()
        histogram = endings.histogram(clock.now())
        # As the floats come out of the same subtraction.
        took = [1000.0 - (1000.0 - each) for turn in turns for each in turn]
        assert abs(histogram.seconds - sum(took)) < 1e-6
        assert sum(histogram.counts) == len(took)
        near = any(abs(each - bound) < 1e-9 for each in took for bound in BOUNDS_S)
        assert near or histogram.counts == seconds_taken(*took)

    asyncio.run(scenario())


def test_every_outcome_is_known_to_the_trail() -> None:
    assert set(OUTCOMES) >= PLAIN
