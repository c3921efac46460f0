"""Attempts: their deadlines, their retries, and what follows the last one."""

from pathlib import Path

import pytest

from actors.core.errors import BackPressureError, Reason
from actors.core.events import AttemptFailed
from tests.loop import Run
from tests.router.routing.harness import retry, system
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse, Reply


def test_what_the_target_answers_settles_the_receipt(run: Run, tmp_path: Path) -> None:
    """`delivered` means that the next hop acknowledged, and its reply travels with it."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").answers.append(Reply({"id": 7}))
            router.route("sink")
            (ticket,) = await router.sent("one")
            assert ticket.ended() == "delivered"
            assert ticket.settlement is not None
            assert ticket.settlement.reply == {"id": 7}
            assert router.outcomes() == {"delivered": 1}
            assert router.attempts_add_up("sink")

    run(scenario())


def test_an_attempt_that_waits_for_room_fails_as_full_at_its_deadline(run: Run, tmp_path: Path) -> None:
    """Waiting for room counts against `timeout`, and is never unknown."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink", capacity=1).otherwise = Hang()
            router.route("sink", name="patient", sources=["patient"], concurrency=2, timeout_s=60.0)
            router.route("sink", timeout_s=10.0, retry=retry(1))
            router.send("in hand", source="patient")
            await router.settle()
            router.send("queued", source="patient")
            await router.sent("in the lobby")
            await router.advance(10.0)
            assert await router.reasons() == {"full": 1}
            assert router.child("sink").refused == 1

    run(scenario())


def test_an_attempt_in_the_mailbox_fails_as_not_sent_and_one_in_hand_as_unknown(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Hang()
            router.route("sink", concurrency=2, timeout_s=10.0, retry=retry(1))
            await router.sent("in hand", "queued")
            await router.advance(10.0)
            assert [letter.reason for letter in await router.letters()] == ["unknown", "timeout_before_send"]
            child = router.child("sink")
            assert (child.started, child.unknown, child.refused) == (2, 1, 1)

    run(scenario())


def test_a_deadline_holds_while_a_retry_far_away_is_waited_for(run: Run, tmp_path: Path) -> None:
    """One timer stands for deadlines and retries: the sooner of them counts."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").answers.extend([Refuse("overload", retry_after_s=600.0), Hang()])
            router.route("sink", timeout_s=10.0)
            await router.sent("busy")
            await router.advance(20.0)
            await router.sent("hangs")
            await router.advance(10.0)
            assert router.child("sink").unknown == 1

    run(scenario())


def test_a_late_answer_is_counted_and_reaches_nobody(run: Run, tmp_path: Path) -> None:
    """The attempt that follows is answered by its own answer alone."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=2)
            sink.answers.extend([Hang(), Hang()])
            router.route("sink", timeout_s=10.0)
            (ticket,) = await router.sent("slow")
            await router.advance(11.0)
            assert len(sink.seen) == 2
            sink.hanging.popleft().set_result(None)
            await router.settle()
            assert router.child("sink").late == 1
            assert ticket.ended() is None
            sink.let_go()
            await router.settle()
            assert ticket.ended() == "delivered"
            assert ticket.settled_times == 1
            assert router.attempts_add_up("sink")

    run(scenario())


@pytest.mark.parametrize(
    ("on_unknown", "seen", "fallback_seen", "outcomes"),
    [
        ("retry", 2, 0, {"delivered": 1}),
        ("fallback", 1, 1, {"delivered": 1}),
        ("dead_letter", 1, 0, {"dead_lettered": 1}),
    ],
)
def test_what_may_have_had_its_effect_follows_on_unknown(
    run: Run, tmp_path: Path, on_unknown: str, seen: int, fallback_seen: int, outcomes: dict[str, int]
) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink"), router.target("other")
            sink.answers.append(Refuse("unknown"))
            router.route("sink", fallback=("other",), retry=retry(5, on_unknown=on_unknown))  # type: ignore[arg-type]
            await router.sent("one")
            await router.advance(5.0)
            assert (len(sink.seen), len(other.seen)) == (seen, fallback_seen)
            assert router.outcomes() == outcomes

    run(scenario())


def test_a_message_whose_last_attempt_is_unknown_is_dead_lettered_with_that_reason(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Refuse("unknown")
            router.route("sink", retry=retry(2))
            await router.sent("one")
            await router.advance(5.0)
            (letter,) = await router.letters()
            assert (letter.reason, letter.attempts, letter.target) == ("unknown", 2, "sink")

    run(scenario())


def test_attempts_are_repeated_with_growing_pauses_then_the_fallback_then_the_dead_letter(
    run: Run, tmp_path: Path
) -> None:
    """Five attempts, 1 s, 2 s, 4 s and 8 s apart, and as many at each fallback."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            scripts = [router.target(name) for name in ("first", "second", "third")]
            for script in scripts:
                script.otherwise = Refuse()
            router.route("first", fallback=("second", "third"))
            (ticket,) = await router.sent("one")
            await router.advance(60.0)
            assert [script.at for script in scripts] == [
                [0.0, 1.0, 3.0, 7.0, 15.0],
                [15.0, 16.0, 18.0, 22.0, 30.0],
                [30.0, 31.0, 33.0, 37.0, 45.0],
            ]
            assert ticket.ended() == "dead_lettered"
            (letter,) = await router.letters()
            assert (letter.target, letter.reason, letter.attempts) == ("third", "refused", 5)
            assert [event.retry_in_s for event in router.heard(AttemptFailed)] == [1.0, 2.0, 4.0, 8.0, None] * 3
            assert router.routes["r"].ledger.retries == 12

    run(scenario())


def test_retry_after_is_kept_where_it_is_longer(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.extend([Refuse("overload", retry_after_s=30.0), Refuse("overload", retry_after_s=0.5), OK])
            router.route("sink")
            await router.sent("one")
            await router.advance(60.0)
            assert sink.at == [0.0, 30.0, 32.0]

    run(scenario())


@pytest.mark.parametrize("reason", ["refused", "expression"])
def test_what_no_repetition_can_change_goes_to_the_fallback_at_once(run: Run, tmp_path: Path, reason: Reason) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            router.target("sink").otherwise = Refuse(reason, retryable=False)
            other = router.target("other")
            router.route("sink", fallback=("other",))
            (ticket,) = await router.sent("one")
            assert other.at == [0.0]
            assert ticket.ended() == "delivered"

    run(scenario())


@pytest.mark.parametrize(
    "answer", [Refuse("overload"), Refuse("connect"), Refuse("refused"), Crash(), Refuse("unknown")]
)
def test_a_waiting_retry_frees_its_slot(run: Run, tmp_path: Path, answer: Answer) -> None:
    """`concurrency` counts running attempts."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.answers.append(answer)
            router.route("sink", concurrency=1)
            await router.sent("fails", "flows")
            await router.advance(0.5)
            assert sink.done_data == ["flows"]
            await router.advance(1.0)
            assert sink.done_data == ["flows", "fails"]

    run(scenario())


def test_as_many_wait_for_their_retry_as_max_waiting_says_then_the_source_is_held_back(
    run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Refuse()
            router.route("sink", max_waiting=2, capacity=3)
            await router.sent(1, 2)
            await router.sent(3, 4, 5)
            assert sink.data == [1, 2]
            with pytest.raises(BackPressureError):
                router.send(6)
            assert router.routes["r"].ledger.refused_at_source == 1
            sink.otherwise = OK
            await router.advance(1.0)
            assert sorted(sink.done_data) == [1, 2, 3, 4, 5]

    run(scenario())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_attempts_run_at_once_than_concurrency_says(run: Run, tmp_path: Path, concurrency: int) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", concurrency=10)
            sink.otherwise = Hang()
            route = router.route("sink", concurrency=concurrency, timeout_s=60.0)
            await router.sent(*range(5))
            assert len(route.attempts.running) == concurrency
            for _ in range(5):
                sink.let_go()
                await router.settle()
            assert sink.most_at_once == concurrency
            assert len(sink.done) == 5

    run(scenario())


def test_a_message_that_crashes_its_target_is_quarantined_after_its_attempts_and_others_flow(
    run: Run, tmp_path: Path
) -> None:
    """Each crash raises the attempt; the last one is no matter for a fallback."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink, other = router.target("sink"), router.target("other")
            sink.decide = lambda message: Crash() if message.data == "poison" else OK
            router.route("sink", fallback=("other",), retry=retry(3))
            await router.sent("poison", "a", "b")
            await router.advance(10.0)
            assert sink.data.count("poison") == 3
            assert not other.seen
            assert sink.done_data == ["a", "b"]
            (letter,) = await router.letters()
            assert (letter.reason, letter.attempts) == ("quarantined", 3)

    run(scenario())


def test_a_target_that_drops_settles_the_message_as_dropped(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", capacity=1, overflow="drop_oldest")
            sink.otherwise = Hang()
            router.route("sink", concurrency=3)
            tickets = await router.sent("in hand")
            tickets += await router.sent("oldest", "newest")
            assert [ticket.ended() for ticket in tickets] == [None, "dropped", None]
            sink.let_go()
            await router.settle()
            sink.let_go()
            await router.settle()
            assert router.outcomes() == {"delivered": 2, "dropped": 1}
            assert router.attempts_add_up("sink")

    run(scenario())


def test_a_target_that_rejects_refuses_as_full(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink", capacity=1, overflow="reject")
            sink.answers.append(Hang())
            router.route("sink", concurrency=3)
            await router.sent("in hand")
            await router.sent("queued", "too many")
            assert [event.reason for event in router.heard(AttemptFailed)] == ["full"]
            sink.let_go()
            await router.advance(1.0)
            assert router.outcomes() == {"delivered": 3}

    run(scenario())


def test_an_expired_message_is_not_tried_again(run: Run, tmp_path: Path) -> None:
    """Expiry is looked at on acceptance and before each attempt."""

    async def scenario() -> None:
        async with system(tmp_path) as router:
            sink = router.target("sink")
            sink.otherwise = Refuse()
            router.route("sink")
            now = router.clock.time()
            (old,) = await router.sent("old", expirytime=now)
            (young,) = await router.sent("young", expirytime=now + 2.0)
            await router.advance(10.0)
            assert sink.data == ["young", "young"]
            assert (old.ended(), young.ended()) == ("expired", "expired")

    run(scenario())
